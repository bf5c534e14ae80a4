import { tooLong } from './refusals.js';

const NEWLINE = 0x0a;

/**
 * Cuts bytes into lines, without their ends; the last one needs none.
 * @throws DomainError `too_large` for a line that is longer than the limit, as soon as it is
 */
export async function* linesOf(source: AsyncIterable<Buffer>, limit: number): AsyncGenerator<Buffer> {
  let begun: Buffer[] = [];
  let length = 0;
  const whole = (rest: Buffer) => {
    const line = begun.length === 0 ? rest : Buffer.concat([...begun, rest]);
    begun = [];
    length = 0;
    return line;
  };
  for await (const chunk of source) {
    let from = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, from)) {
      if (length + end - from > limit) throw tooLong(limit);
      yield whole(chunk.subarray(from, end));
      from = end + 1;
    }
    if (from === chunk.length) continue;
    length += chunk.length - from;
    if (length > limit) throw tooLong(limit);
    begun.push(chunk.subarray(from));
  }
  if (length > 0) yield whole(Buffer.alloc(0));
}
