// Runs in a thread of its own: counting a megabyte takes seconds.
import { countTokens } from 'gpt-tokenizer/encoding/o200k_base';

/** Text is text, whatever it is spelt like. */
const OPTIONS = { disallowedSpecial: new Set() };

/**
 * The tokenizer takes time by the square of what it takes for one piece: letters, spaces or signs without end. Such a run
 * is cut, which adds a token or two in a hundred. Text that people write has none.
 */
const LONGEST_RUN = 512;
const LONG_RUN = ['\\p{L}\\p{M}', '\\s', '^\\s\\p{L}\\p{M}\\p{N}']
  .map((kind) => `[${kind}]{${LONGEST_RUN + 1},}`)
  .join('|');

function countOne(text) {
  let tokens = 0;
  let at = 0;
  for (const { 0: run, index } of text.matchAll(new RegExp(LONG_RUN, 'gu'))) {
    tokens += countTokens(text.slice(at, index), OPTIONS) + countRun(run);
    at = index + run.length;
  }
  return tokens + countTokens(text.slice(at), OPTIONS);
}

function countRun(run) {
  let tokens = 0;
  for (let at = 0; at < run.length; ) {
    const isPair = /[\uD800-\uDBFF]/.test(run.charAt(at + LONGEST_RUN - 1));
    const end = at + LONGEST_RUN - (isPair ? 1 : 0);
    tokens += countTokens(run.slice(at, end), OPTIONS);
    at = end;
  }
  return tokens;
}

/** How many tokens (o200k) each text has. */
export default (texts) => texts.map(countOne);
