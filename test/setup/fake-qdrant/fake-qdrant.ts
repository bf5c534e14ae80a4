import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type Fault, Faults } from './faults.js';
import { isObj, parse, print, type Value } from './json.js';
import { badRequest, Refusal } from './refusal.js';
import { Routes } from './routes.js';

const MAX_BYTES = 32 * 1024 * 1024;

/**
 * A Qdrant server in memory: a real HTTP server on loopback with the part of the API that the service uses, its
 * semantics and its words. It can be told to fail.
 */
export class FakeQdrant {
  readonly faults = new Faults();
  /** `METHOD /path` of every call that arrived */
  readonly calls: string[] = [];
  apiKey?: string;
  private readonly routes = new Routes();
  private server?: Server;
  private port = 0;

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** Again after `stop`: at the same place, with the same content. */
  async start(): Promise<void> {
    this.server = createServer((request, response) => void this.serve(request, response));
    await new Promise<void>((resolve) => this.server!.listen(this.port, '127.0.0.1', resolve));
    this.port = (this.server.address() as AddressInfo).port;
  }

  /** From now on connections are refused, and those that are open are cut. */
  async stop(): Promise<void> {
    const closed = new Promise((resolve) => this.server!.close(resolve));
    this.server!.closeAllConnections();
    await closed;
  }

  fail(fault: Fault): void {
    this.faults.add(fault);
  }

  /** Adds so many points like those that a collection has; answers how many it has then. */
  multiply(collection: string, more: number): number {
    return this.routes.multiply(collection, more);
  }

  private async serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url!, this.url);
    const call = `${request.method} ${url.pathname}`;
    this.calls.push(call);
    const how = this.faults.take(call);
    const bytes = await read(request).catch(() => null);
    if (bytes === null) return;
    if (how.status) return void response.writeHead(how.status, how.headers).end(how.body ?? '');
    if (how.cut === 'before') return void request.socket.destroy();
    if (how.hang === 'before') return;
    const [status, body] = this.answer(request, url, bytes);
    if (how.hang) return;
    const text = how.unfinished ? body.replace('"completed"', `"${how.unfinished}"`) : body;
    if (how.cut) return cut(response, how.cut === 'within-answer' ? text : null);
    const type = url.pathname.startsWith('/collections') ? 'application/json' : 'text/plain';
    response.writeHead(status, { 'content-type': type }).end(how.body ?? text);
  }

  private answer(request: IncomingMessage, url: URL, bytes: Buffer): [number, string] {
    if (/^\/(healthz|livez)$/.test(url.pathname)) return [200, 'healthz check passed'];
    if (url.pathname === '/readyz') return [200, 'all shards are ready'];
    if (this.apiKey && request.headers['api-key'] !== this.apiKey)
      return [401, 'Must provide an API key or an Authorization bearer token'];
    try {
      if (url.pathname === '/')
        return [200, print({ title: 'qdrant - vector search engine', version: '1.18.3' })];
      const call = { method: request.method!, path: url.pathname, search: url.searchParams };
      return [
        200,
        print({ result: this.routes.answer({ ...call, body: bodyOf(bytes) }), status: 'ok', time: 0 }),
      ];
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      return [error.status, error.message && print({ status: { error: error.message }, time: 0 })];
    }
  }
}

async function read(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks);
}

function bodyOf(bytes: Buffer): { [key: string]: Value } {
  if (bytes.length > MAX_BYTES) throw new Refusal(413, 'Payload too large');
  if (bytes.length === 0) return {};
  try {
    const body = parse(bytes.toString());
    if (isObj(body)) return body;
  } catch {}
  throw badRequest('Format error in JSON body: expected value at line 1 column 1');
}

/** Ends the connection, before the answer or in the middle of it. */
function cut(response: ServerResponse, text: string | null): void {
  if (text === null) return void response.socket?.destroy();
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) });
  response.write(text.slice(0, text.length >> 1), () => response.socket?.destroy());
}
