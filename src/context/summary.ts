import type { Sentence } from './sentences.js';

/** One sentence of a summary. Kept as it is, so that the summary can be extended. */
export interface Line {
  seq: number;
  text: string;
  role: string;
  /** how telling it was among the messages it was taken with */
  score: number;
}

/** What a model has made of messages 1 to `to_seq`. */
export interface Written {
  text: string;
  to_seq: number;
  /** of these messages that were redacted when it read them: once there are more, it says what it should not */
  redactions: number;
  model: string;
}

/** A message to be summarised. */
export interface Source {
  seq: number;
  role: string;
  sentences: Sentence[];
}

interface Limit {
  lines: number;
  /** UTF-16 units of the text, with a line break for each line */
  characters: number;
}

const WHOLE: Limit = { lines: 40, characters: 4_000 };
/** What earlier lines keep when many messages come at once: else the newest would be all there is. */
const HALF: Limit = { lines: 20, characters: 2_000 };
/** From so many sentences on a message is worth two lines. */
const LONG_MESSAGE = 4;
/** Evens out the length of sentences: few words, all frequent, are not the most telling. */
const DAMPING = 5;

/**
 * The summary with later messages added. Where it would grow too long, the least telling of the earlier lines are
 * left out, then of the new ones, but never what the first user message says. Nothing random, no clock.
 */
export function extend(lines: Line[], sources: Source[]): Line[] {
  const added = linesOf(sources);
  const first = [...lines, ...added].find((line) => line.role === 'user')?.seq;
  const held = sizeOf(lines);
  const fresh = trim(added, first, {
    lines: WHOLE.lines - Math.min(held.lines, HALF.lines),
    characters: WHOLE.characters - Math.min(held.characters, HALF.characters),
  });
  const taken = sizeOf(fresh);
  const kept = trim(lines, first, {
    lines: WHOLE.lines - taken.lines,
    characters: WHOLE.characters - taken.characters,
  });
  return [...kept, ...fresh].sort((a, b) => a.seq - b.seq);
}

/** What a model has written, and the sentences of what came since. */
export const wholeText = (written: Written | null, lines: Line[]): string =>
  [
    ...(written ? [written.text] : []),
    ...lines.filter(({ seq }) => seq > (written?.to_seq ?? 0)).map(({ text }) => text),
  ].join('\n');

/** One or two lines of each message, by seq. */
function linesOf(sources: Source[]): Line[] {
  const told = sources
    .filter(({ role }) => role === 'user' || role === 'assistant')
    .sort((a, b) => a.seq - b.seq);
  const frequency = frequencyOf(told.flatMap(({ sentences }) => sentences));
  return told.flatMap(({ seq, role, sentences }) =>
    mostTelling(sentences, frequency).map(({ text, score }) => ({ seq, text, role, score })),
  );
}

/** In how many sentences a word stands. */
function frequencyOf(sentences: Sentence[]): Map<string, number> {
  const frequency = new Map<string, number>();
  for (const { words } of sentences) {
    for (const word of words) frequency.set(word, (frequency.get(word) ?? 0) + 1);
  }
  return frequency;
}

/** The best of a message's sentences, in their order; of equals the earlier one. */
function mostTelling(sentences: Sentence[], frequency: Map<string, number>) {
  const scored = sentences.map(({ text, words }, index) => {
    const sum = [...words].reduce((total, word) => total + frequency.get(word)!, 0);
    return { text, index, score: sum / (words.size + DAMPING) };
  });
  return scored
    .sort((a, b) => b.score - a.score || a.index - b.index)
    .slice(0, sentences.length < LONG_MESSAGE ? 1 : 2)
    .sort((a, b) => a.index - b.index);
}

/** Leaves out the least telling lines, of equals the earlier one, until the rest keeps within the limit. */
function trim(lines: Line[], first: number | undefined, limit: Limit): Line[] {
  const kept = new Set(lines);
  let size = sizeOf(lines);
  const leastFirst = lines.filter(({ seq }) => seq !== first).sort((a, b) => a.score - b.score);
  for (const line of leastFirst) {
    if (size.lines <= limit.lines && size.characters <= limit.characters) break;
    kept.delete(line);
    size = { lines: size.lines - 1, characters: size.characters - line.text.length - 1 };
  }
  return lines.filter((line) => kept.has(line));
}

const sizeOf = (lines: Line[]): Limit => ({
  lines: lines.length,
  characters: lines.reduce((sum, { text }) => sum + text.length + 1, 0),
});
