import { Readable } from 'node:stream';
import type { FastifyReply } from 'fastify';

/** The media type of a stream of events. */
export const EVENT_STREAM = 'text/event-stream';

/** Somebody shows that he is there so often. */
export const COMMENT_MS = 15_000;

/** A reader that takes nothing for so long, though there is something for him, is cut off. */
const STALLED_MS = 30_000;

export interface SentEvent {
  type: string;
  /** where the reader can go on after this event */
  id?: string;
  data: unknown;
}

/** What is sent at once: events, or that there are none; with an `id` the reader's place moves on. */
export type Sent = SentEvent[] | { comment: true; id?: string };

export const COMMENT: Sent = { comment: true };

/** Whoever reads a stream. */
export interface Reader {
  /** aborted when he has gone, or was cut off */
  left: AbortSignal;
  /** ends his connection, whatever he has not taken yet */
  cut(): void;
}

/** Whether this header asks for a stream of events. */
export const wantsStream = (accept = '') =>
  accept.split(',').some((range) => {
    const [type, ...parameters] = range.split(';').map((part) => part.trim().toLowerCase());
    return type === EVENT_STREAM && !parameters.some((parameter) => /^q=0(\.0*)?$/.test(parameter));
  });

/**
 * Answers with a stream of events (SSE). The source is asked for more only as the reader takes what there is, so that
 * no more than what was asked for last waits in memory.
 */
export function sendEvents(reply: FastifyReply, source: (reader: Reader) => AsyncIterable<Sent>): Readable {
  const left = new AbortController();
  const reader = { left: left.signal, cut: () => void reply.raw.destroy() };
  reply.type(EVENT_STREAM).header('x-accel-buffering', 'no');
  if (reply.raw.destroyed || reply.request.method === 'HEAD') left.abort();
  else reply.raw.once('close', () => left.abort());
  return Readable.from(asText(source(reader), reader), { objectMode: false });
}

async function* asText(source: AsyncIterable<Sent>, { left, cut }: Reader) {
  // nobody has asked for the events themselves
  if (left.aborted) return;
  for await (const sent of source) {
    const stalled = setTimeout(cut, STALLED_MS);
    try {
      yield Array.isArray(sent) ? sent.map(eventText).join('') : `:\n${idText(sent.id)}\n`;
    } finally {
      clearTimeout(stalled);
    }
  }
}

const idText = (id: string | undefined) => (id === undefined ? '' : `id: ${id}\n`);

const eventText = ({ type, id, data }: SentEvent) =>
  `event: ${type}\n${idText(id)}data: ${JSON.stringify(data)}\n\n`;
