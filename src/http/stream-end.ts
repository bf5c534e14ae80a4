import type { FastifyReply } from 'fastify';
import type { Caller } from '../common/caller.js';

/** The longest that a timer runs; whoever still reads then comes again. */
const LONGEST_MS = 2 ** 31 - 1;

/** Fires when an open stream must end: its reader has left, or his token does not count any more. */
export function endOfStream(reply: FastifyReply, { expiresAt }: Caller): AbortSignal {
  const end = new AbortController();
  const finish = () => end.abort();
  const timer =
    expiresAt && setTimeout(finish, Math.min(expiresAt.getTime() - Date.now(), LONGEST_MS)).unref();
  reply.raw.once('close', () => {
    if (timer) clearTimeout(timer);
    finish();
  });
  if (reply.raw.destroyed) finish();
  return end.signal;
}
