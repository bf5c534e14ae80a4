import * as fc from 'fast-check';
import { sentencesOf } from '../../../src/context/sentences.js';
import { extend as extendBy, type Line, wholeText } from '../../../src/context/summary.js';

interface Said {
  seq: number;
  role: string;
  text: string;
}

const said = (seq: number, text: string, role = 'user'): Said => ({ seq, role, text });
const extend = (lines: Line[], sources: Said[]) =>
  extendBy(
    lines,
    sources.map(({ text, ...source }) => ({ ...source, sentences: sentencesOf(text) })),
  );
const textsOf = (sources: Said[]) => extend([], sources).map(({ text }) => text);
const plain = (text: string) => text.replace(/\s+/g, ' ');

describe('what is taken of a message', () => {
  it.each([
    ['one that says something', 'The parser fails on nested lists.', ['The parser fails on nested lists.']],
    ['thanks', 'Thanks a lot!', []],
    ['a nod', 'OK.', []],
    ['nothing', ' \n ', []],
    ['digits', '1234 5678 9012 3456', []],
    ['no words at all', 'x'.repeat(1_000), []],
    [
      'white space made one',
      'The parser\tfails   on nested\u00a0lists',
      ['The parser fails on nested lists'],
    ],
    ['Chinese', '你好。请写一个解析器！谢谢。', ['请写一个解析器！']],
    [
      'a code fence left out',
      'Fix the parser please now, quickly\n```\nlet parser = nested(lists)\n```',
      ['Fix the parser please now, quickly'],
    ],
  ])('%s', (_, text, expected) => expect(textsOf([said(1, text)])).toEqual(expected));

  it('is the sentence whose words come back', () => {
    const lines = textsOf([
      said(1, 'Yesterday evening some friends visited. The invoice parser loses currency signs.'),
      said(2, 'Does the invoice parser know any currency besides euro?', 'assistant'),
    ]);
    expect(lines[0]).toBe('The invoice parser loses currency signs.');
  });

  it('is two sentences of a long one, in their order', () => {
    const lines = textsOf([
      said(
        1,
        'Parser alpha breaks today. Weather stays rather mild. Birds sing outside loudly. Parser alpha breaks again.',
      ),
    ]);
    expect(lines).toEqual(['Parser alpha breaks today.', 'Parser alpha breaks again.']);
  });

  it('is nothing of a system or a tool message', () => {
    const text = 'The parser fails on nested lists.';
    expect(textsOf([said(1, text, 'system'), said(2, text, 'developer'), said(3, text, 'tool')])).toEqual([]);
  });

  it('is cut at a word', () => {
    const text = 'lorem ipsum dolor sit amet '.repeat(20);
    const [line] = textsOf([said(1, text)]);
    expect(line!.length).toBeGreaterThan(190);
    expect(line!.length).toBeLessThanOrEqual(200);
    expect(text.startsWith(`${line} `)).toBe(true);
  });

  it.each([197, 198, 199, 200])('parts no pair of surrogates behind %i characters', (length) => {
    const [line] = textsOf([said(1, '汉字很'.padEnd(length, '多') + '🚀'.repeat(20))]);
    expect(line).toMatch(/^汉字很多+(🚀)*$/u);
    expect(line!.length).toBeGreaterThan(195);
    expect(line!.length).toBeLessThanOrEqual(200);
  });

  it('parts no pair of surrogates where it stops looking', () => {
    expect(textsOf([said(1, `${' '.repeat(19_992)}汉字很多的句子🚀🚀`)])).toEqual(['汉字很多的句子']);
  });
});

const words = fc.constantFrom(
  'parser',
  'nested',
  'list',
  'ok',
  'the',
  '解析',
  '器',
  '🚀',
  'x'.repeat(150),
  'naïve',
);
const glue = fc.constantFrom(' ', ' ', ' ', '. ', '!', '。', '\n', '\r\n', '  ', '?');
const texts = fc
  .array(fc.tuple(words, glue), { maxLength: 60, size: 'max' })
  .map((pairs) => pairs.flat().join(''));
const blocks = fc
  .array(
    fc.array(fc.tuple(fc.constantFrom('user', 'assistant', 'tool'), texts), { maxLength: 30, size: 'max' }),
    {
      maxLength: 4,
    },
  )
  .map((lists) => {
    let seq = 0;
    return lists.map((list) => list.map(([role, text]) => said(++seq, text, role)));
  });

/** The summary behind each block. */
function steps(sources: Said[][]): Line[][] {
  let lines: Line[] = [];
  return sources.map((block) => {
    lines = extend(lines, block);
    return lines;
  });
}

describe('a summary, whatever is said', () => {
  const holds = (check: (sources: Said[][], summaries: Line[][]) => void) =>
    fc.assert(
      fc.property(blocks, (sources) => check(sources, steps(sources))),
      { numRuns: 150 },
    );

  it('keeps within its limits', () =>
    holds((_, summaries) => {
      for (const lines of summaries) {
        expect(lines.length).toBeLessThanOrEqual(40);
        expect(wholeText(null, lines).length).toBeLessThanOrEqual(4_000);
        for (const { text } of lines) expect(text.length).toBeLessThanOrEqual(200);
      }
    }));

  it('quotes, in order, at most two sentences of a message', () =>
    holds((sources, summaries) => {
      const messages = new Map(sources.flat().map((source) => [source.seq, source]));
      for (const lines of summaries) {
        const seqs = lines.map(({ seq }) => seq);
        expect(seqs).toEqual([...seqs].sort((a, b) => a - b));
        for (const { seq, text } of lines) {
          const { role, text: whole } = messages.get(seq)!;
          expect(['user', 'assistant']).toContain(role);
          expect(plain(whole)).toContain(text);
          expect(text).toBe(plain(text).trim());
          expect(text.isWellFormed()).toBe(true);
          expect(seqs.filter((other) => other === seq).length).toBeLessThanOrEqual(2);
        }
      }
    }));

  it('keeps what the first user message says', () =>
    holds((_, summaries) => {
      const first = summaries.flat().find(({ role }) => role === 'user');
      const since = summaries.findIndex((lines) => lines.some(({ role }) => role === 'user'));
      if (first) for (const lines of summaries.slice(since)) expect(lines).toContainEqual(first);
    }));

  it('is the same when made again, from what was stored', () =>
    holds((sources, summaries) => {
      const stored = <T>(value: T): T => JSON.parse(JSON.stringify(value));
      const again = sources.reduce<Line[]>((lines, block) => extend(stored(lines), stored(block)), []);
      expect(again).toEqual(summaries.at(-1) ?? []);
    }));
});

describe('a summary that grows', () => {
  const talk = (from: number, count: number, topic: string) =>
    Array.from({ length: count }, (_, index) =>
      said(from + index, `Number ${from + index} tells of ${topic} with many a different word.`, 'assistant'),
    );
  const opening = said(1, 'Please build me an invoice parser in Rust.');

  it('keeps the beginning, a part of what was earlier and the newest', () => {
    const early = extend([], [opening, ...talk(2, 39, 'gardens')]);
    expect(early).toHaveLength(40);
    const later = extend(early, talk(41, 100, 'harbours'));
    expect(later).toHaveLength(40);
    expect(later[0]!.text).toBe(opening.text);
    expect(later.filter(({ text }) => text.includes('gardens'))).toHaveLength(19);
    expect(later.filter(({ text }) => text.includes('harbours'))).toHaveLength(20);
  });

  it('leaves out the least telling of the earlier lines first', () => {
    const odd = said(30, 'Quixotic zebras juggle marbles.', 'assistant');
    const early = extend([], [opening, ...talk(2, 28, 'gardens'), odd, ...talk(31, 10, 'gardens')]);
    const later = extend(early, talk(41, 1, 'harbours'));
    expect(later).toHaveLength(40);
    expect(later.map(({ seq }) => seq)).not.toContain(30);
    expect(later.at(-1)!.seq).toBe(41);
  });

  it('stays as it is when nothing is said', () => {
    const lines = extend([], [opening]);
    expect(extend(lines, [])).toEqual(lines);
    expect(extend([], [])).toEqual([]);
    expect(wholeText(null, [])).toBe('');
  });
});

it.each([
  ['without spaces', 'x'.repeat(1_000_000)],
  ['of Chinese', '汉字很多的句子'.repeat(150_000)],
  ['of Chinese sentences', '汉字很多的句子。'.repeat(130_000)],
  ['of blanks', ' '.repeat(1_000_000)],
  ['of full stops', '.'.repeat(1_000_000)],
  ['of full stops and blanks', '. '.repeat(500_000)],
  ['of short lines', 'one two three\n'.repeat(70_000)],
  ['of back-ticks', '`'.repeat(1_000_000)],
  ['of surrogate pairs', '🚀'.repeat(250_000)],
])('comes to an end with a megabyte %s', (_, text) => {
  // what took quadratic time would run out of the test's
  expect(extend([], [said(1, text)]).length).toBeLessThanOrEqual(2);
});
