import type { Part, Word } from './words.js';

/** Words that are shown around those found. */
const SHOWN = 40;

/**
 * A piece of a text as HTML, with `<mark>` around the words that were found.
 * @param positions of those words, from 1
 */
export function highlight({ text, words }: Part, positions: number[]): string {
  const found = new Set(positions.map((position) => position - 1));
  const first = densest(
    words.length,
    [...found].sort((a, b) => a - b),
  );
  const around = words.slice(first, first + SHOWN);
  if (around.length === 0) return '';
  const marks = around.filter((_, index) => found.has(first + index));
  const from = first === 0 ? 0 : around[0]!.start;
  const to = first + SHOWN >= words.length ? text.length : around.at(-1)!.end;
  return `${from > 0 ? '…' : ''}${marked(text, from, to, marks)}${to < text.length ? '…' : ''}`;
}

/** Where the words begin that most of those found are among; a few of them stand before the first. */
function densest(count: number, found: number[]): number {
  let best = { first: 0, hits: 0 };
  let last = 0;
  for (const [index, position] of found.entries()) {
    while (last < found.length && found[last]! < position + SHOWN - BEFORE) last++;
    if (last - index > best.hits) best = { first: position - BEFORE, hits: last - index };
  }
  return Math.max(0, Math.min(best.first, count - SHOWN));
}

const BEFORE = 8;

function marked(text: string, from: number, to: number, marks: Word[]): string {
  let html = '';
  let at = from;
  for (const { start, end } of joined(marks)) {
    html += `${shown(text.slice(at, start))}<mark>${shown(text.slice(start, end))}</mark>`;
    at = end;
  }
  return html + shown(text.slice(at, to));
}

/** Characters of one word in a script without spaces are marked as one. */
function joined(marks: Word[]): { start: number; end: number }[] {
  const spans: { start: number; end: number }[] = [];
  for (const { start, end } of marks) {
    const last = spans.at(-1);
    if (last?.end === start) last.end = end;
    else spans.push({ start, end });
  }
  return spans;
}

/** What is no word, or a word without end, is not shown whole. */
const LONGEST = 200;

const shown = (text: string) =>
  escaped(text.length <= LONGEST ? text : `${text.slice(0, LONGEST / 2)}…${text.slice(-LONGEST / 2)}`);

const ESCAPES: Record<string, string> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};
const escaped = (text: string) => text.toWellFormed().replace(/[&<>"']/g, (char) => ESCAPES[char]!);
