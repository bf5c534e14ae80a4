import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What the server does with a request instead of answering it well. */
export type Trouble =
  | { kind: 'status'; status: number; retryAfter?: number }
  | { kind: 'garbage'; body: string }
  | { kind: 'silence' }
  | { kind: 'cut' };

/** Words that mean the same. */
const MEANINGS = [
  ['car', 'automobile', 'vehicle'],
  ['doctor', 'physician'],
  ['invoice', 'bill'],
];

/**
 * A server of models on loopback that speaks OpenAI's protocol: an embedding is made of the words of a text, words that
 * mean the same alike. It keeps what it was sent and what it has answered, and can be told to fail.
 */
export class FakeModels {
  readonly asked: string[] = [];
  /** texts whose embeddings went out whole */
  readonly answered: string[] = [];
  readonly prompts: string[] = [];
  /** how often it was asked for its models */
  listed = 0;
  readonly authorizations = new Set<string | undefined>();
  /** taken by the next requests, one each */
  troubles: Trouble[] = [];
  /** …by all, as long as it is set */
  trouble: Trouble | null = null;
  delayMs = 0;
  /** of its vectors */
  size = 32;
  /** what a text must have for the whole request to be refused */
  refused: RegExp | null = null;
  /** what is answered to a prompt */
  summarize = (prompt: string) => `Summary of ${prompt.length} characters.`;

  private constructor(
    readonly url: string,
    private readonly stop: () => Promise<void>,
  ) {}

  static async start(): Promise<FakeModels> {
    const server = createServer((request, response) => void fake.serve(request, response));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`;
    const fake = new FakeModels(url, () => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(() => resolve()));
    });
    return fake;
  }

  close = () => this.stop();

  private list(request: IncomingMessage, response: ServerResponse): void {
    if (request.url === '/v1/models') this.listed++;
    if (this.trouble) fail(response, this.trouble);
    else send(response, request.url === '/v1/models' ? 200 : 404, { object: 'list', data: [] });
  }

  private async serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.authorizations.add(request.headers.authorization);
    if (request.method === 'GET') return void this.list(request, response);
    const body = JSON.parse(await textOf(request));
    if (this.delayMs > 0) await new Promise((resolve) => setTimeout(resolve, this.delayMs));
    const isEmbedding = request.url === '/v1/embeddings';
    if (isEmbedding) this.asked.push(...body.input);
    else this.prompts.push(body.messages.at(-1).content);
    const trouble = this.troubles.shift() ?? this.trouble;
    if (trouble) return fail(response, trouble);
    if (isEmbedding && body.input.some((text: string) => this.refused?.test(text)))
      return send(response, 400, { error: { message: 'no' } });
    if (!isEmbedding)
      return send(response, 200, {
        choices: [{ message: { content: this.summarize(this.prompts.at(-1)!) } }],
      });
    send(response, 200, {
      data: body.input.map((text: string, index: number) => ({
        index,
        embedding: embedding(text, this.size),
      })),
    });
    response.on('finish', () => this.answered.push(...body.input));
  }
}

async function textOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}

function send(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

function fail(response: ServerResponse, trouble: Trouble): void {
  if (trouble.kind === 'silence') return;
  if (trouble.kind === 'cut') {
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': '100000' });
    response.write('{"data":[{"index":0,"embedding":[0.1');
    setTimeout(() => response.destroy(), 20);
  } else if (trouble.kind === 'garbage') {
    response.writeHead(200, { 'content-type': 'application/json' }).end(trouble.body);
  } else {
    const headers = trouble.retryAfter === undefined ? {} : { 'retry-after': String(trouble.retryAfter) };
    response.writeHead(trouble.status, headers).end('{}');
  }
}

function embedding(text: string, size: number): number[] {
  const vector: number[] = Array(size).fill(0.001);
  for (const word of text.toLowerCase().match(/\p{L}+/gu) ?? []) {
    const meaning = MEANINGS.find((words) => words.includes(word))?.[0] ?? word;
    vector[hash(meaning) % size]! += 1;
  }
  return vector;
}

function hash(word: string): number {
  let sum = 7;
  for (const char of word) sum = (sum * 31 + char.codePointAt(0)!) % 1_000_003;
  return sum;
}
