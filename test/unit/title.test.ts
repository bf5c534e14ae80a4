import { makeTitle, textOf } from '../../src/messages/title.js';

describe('textOf', () => {
  const part = (text: unknown) => ({ type: 'text', text });

  it.each([
    ['a string', 'x', 'x'],
    ['the empty string', '', null],
    ['blanks', ' \n\t', null],
    ['null', null, null],
    ['undefined', undefined, null],
    ['no parts', [], null],
    ['a text part', [part('x')], 'x'],
    ['the first of two', [part('a'), part('b')], 'a'],
    ['the first that says something', [part(''), part(' '), part('b')], 'b'],
    ['a text part behind an image', [{ type: 'image_url', image_url: {} }, part('x')], 'x'],
    ['another type with a text', [{ type: 'refusal', text: 'no' }], null],
    ['a text that is none', [part(5), part({ a: 1 }), part(null)], null],
    ['no text at all', [{ type: 'text' }], null],
  ])('%s', (_, content, text) => expect(textOf(content)).toBe(text));
});

describe('makeTitle', () => {
  it.each([
    ['x', 'x'],
    ['Hello. World.', 'Hello.'],
    ['Really?! Yes.', 'Really?!'],
    ['Wait... what?', 'Wait...'],
    ['Pi is 3.14 or so. Yes', 'Pi is 3.14 or so.'],
    ['see a.b.c/d.e for more! ok', 'see a.b.c/d.e for more!'],
    ['one\ntwo', 'one'],
    ['one\r\ntwo', 'one'],
    ['\n\n one two', 'one two'],
    ['tab\tand   blanks', 'tab and blanks'],
    ['你好。再见。', '你好。'],
    ['你好！再见', '你好！'],
    ['你好？再见', '你好？'],
    ['.', '.'],
    ['no-break\u00a0space', 'no-break space'],
  ])('of %j is %j', (text, title) => expect(makeTitle(text)).toBe(title));

  it('is cut at a word', () => {
    const words = 'lorem ipsum dolor sit amet '.repeat(10);
    const title = makeTitle(words);
    expect(title.length).toBeLessThanOrEqual(80);
    expect(words.startsWith(`${title} `)).toBe(true);
    expect(words.slice(title.length + 1).split(' ')[0]!.length + title.length + 1).toBeGreaterThan(80);
  });

  it('has at most 80 characters, is well formed and never empty, whatever comes', () => {
    const pieces = [
      'a',
      'é',
      '汉',
      '🚀',
      '👩‍👩‍👧',
      ' ',
      '.',
      '? ',
      '\n',
      '\t',
      'word ',
      '。',
      '"',
      'x'.repeat(79),
    ];
    let state = 42;
    const random = (below: number) => {
      state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
      return Math.floor((state / 2_147_483_648) * below);
    };
    for (let round = 0; round < 5_000; round++) {
      const text = Array.from({ length: 1 + random(40) }, () => pieces[random(pieces.length)]).join('');
      if (text.trim() === '') continue;
      const title = makeTitle(text);
      expect(title.isWellFormed()).toBe(true);
      expect([...title].length).toBeLessThanOrEqual(80);
      expect(title).toBe(title.trim());
      expect(title).not.toBe('');
      expect(title).not.toMatch(/[\r\n\t]/);
    }
  });

  it.each([75, 76, 77, 78, 79, 80])('does not part a pair of surrogates behind %i characters', (length) => {
    const title = makeTitle('x'.repeat(length) + '🚀'.repeat(10));
    expect(title).toMatch(/^x+(🚀)*$/u);
    expect([...title].length).toBeLessThanOrEqual(80);
  });

  it('is quick for a text of a megabyte', () => {
    expect(makeTitle('word '.repeat(200_000))).toHaveLength(79);
    expect(makeTitle('x'.repeat(1_000_000))).toHaveLength(80);
    expect(makeTitle(`${' '.repeat(1_000_000)}x`)).toBe('x');
  });
});
