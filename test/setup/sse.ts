import { type ClientRequest, type IncomingMessage, request } from 'node:http';
import { eventually } from './eventually.js';

// biome-ignore lint/suspicious/noExplicitAny: events of every shape
type Told = any;

export interface StreamEvent {
  type: string;
  id: string;
  data: Told;
}

export interface Stream {
  status: number;
  type: string;
  /** of a refusal */
  body: Told;
  events: StreamEvent[];
  comments: number;
  /** of the last place it was told of, as an EventSource keeps it */
  lastId: string | undefined;
  /** when the connection has ended, however it did */
  ended: Promise<void>;
  isEnded: boolean;
  /** waits until so many events have come; answers them */
  until(count: number): Promise<StreamEvent[]>;
  /** stops taking anything, and goes on */
  pause(): void;
  resume(): void;
  leave(): void;
}

/** Opens a stream of events, as an EventSource would; resolves when its headers are there. */
export function openStream(
  url: string,
  headers: Record<string, string>,
  heard: (event: StreamEvent) => void = () => undefined,
): Promise<Stream> {
  return new Promise((resolve, reject) => {
    const sent = request(url, { headers: { accept: 'text/event-stream', ...headers } }, (answer) =>
      resolve(follow(sent, answer, heard)),
    );
    sent.on('error', reject);
    sent.end();
  });
}

function follow(sent: ClientRequest, answer: IncomingMessage, heard: (event: StreamEvent) => void): Stream {
  const isRefused = answer.statusCode !== 200;
  let text = '';
  const stream: Stream = {
    ...{ status: answer.statusCode!, type: answer.headers['content-type'] ?? '', body: undefined },
    ...{ events: [], comments: 0, lastId: undefined, isEnded: false },
    ended: new Promise((resolve) => answer.once('close', () => resolve())),
    until: (count) =>
      eventually(
        async () => stream.events,
        (events) => events.length >= count,
      ),
    pause: () => answer.pause(),
    resume: () => answer.resume(),
    leave: () => sent.destroy(),
  };
  void stream.ended.then(() => {
    stream.isEnded = true;
  });
  answer.setEncoding('utf8').on('error', () => undefined);
  answer.on('data', (chunk: string) => {
    const blocks = (text + chunk).split('\n\n');
    text = blocks.pop()!;
    if (!isRefused) for (const block of blocks) take(stream, block, heard);
  });
  answer.on('end', () => {
    if (isRefused) stream.body = JSON.parse(text);
  });
  return stream;
}

function take(stream: Stream, block: string, heard: (event: StreamEvent) => void): void {
  const fields = new Map(
    block.split('\n').map((line): [string, string] => {
      const colon = line.indexOf(':');
      return [line.slice(0, colon), line.slice(colon + 1).trimStart()];
    }),
  );
  if (fields.has('')) stream.comments++;
  if (fields.has('id')) stream.lastId = fields.get('id');
  if (!fields.has('data')) return;
  const event = { type: fields.get('event')!, id: fields.get('id')!, data: JSON.parse(fields.get('data')!) };
  stream.events.push(event);
  heard(event);
}
