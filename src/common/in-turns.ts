import { setImmediate } from 'node:timers/promises';

/**
 * The same, in order; the event loop turns once after each. A source that always has more, as a socket may, would keep waiting
 * what others asked for, and what is being written meanwhile.
 */
export async function* inTurns<T>(items: AsyncIterable<T>): AsyncGenerator<T, void, undefined> {
  for await (const item of items) {
    yield item;
    await setImmediate();
  }
}
