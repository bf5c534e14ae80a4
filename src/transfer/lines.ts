import { Gathered } from './gathered.js';
import { tooLong } from './refusals.js';

const NEWLINE = 0x0a;

/**
 * Cuts bytes into lines, without their ends; the last one needs none.
 * @throws DomainError `too_large` for a line that is longer than the limit, as soon as it is
 */
export async function* linesOf(source: AsyncIterable<Buffer>, limit: number): AsyncGenerator<Buffer> {
  const begun = new Gathered();
  const whole = (rest: Buffer) => {
    if (begun.length === 0) return rest;
    begun.add(rest);
    return begun.take();
  };
  for await (const chunk of source) {
    let from = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, from)) {
      if (begun.length + end - from > limit) throw tooLong(limit);
      yield whole(chunk.subarray(from, end));
      from = end + 1;
    }
    if (begun.length + chunk.length - from > limit) throw tooLong(limit);
    if (from < chunk.length) begun.add(chunk.subarray(from));
  }
  if (begun.length > 0) yield begun.take();
}
