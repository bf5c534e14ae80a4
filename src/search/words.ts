/** A word of a text: as it is searched, and where it stands. */
export interface Word {
  word: string;
  start: number;
  end: number;
}

const SPACELESS_SCRIPTS = ['Han', 'Hiragana', 'Katakana', 'Hangul', 'Thai', 'Lao', 'Khmer', 'Myanmar'];
const SPACELESS = `[${SPACELESS_SCRIPTS.map((script) => `\\p{Script=${script}}`).join('')}]\\p{M}*`;
const RUN = /[\p{L}\p{N}\p{M}]+/gu;
const PIECE = new RegExp(`${SPACELESS}|(?:(?!${SPACELESS}).)+`, 'gsu');
const HAS_SPACELESS = new RegExp(SPACELESS, 'u');

/** Nobody asks for longer ones: what is so long is told apart by its beginning. */
const LONGEST = 100;

/**
 * The words of a text. Where a script puts no spaces every character is one, so that a query of two characters is
 * found as they follow each other. Accents, case and width do not count.
 */
export function* wordsOf(text: string): Generator<Word> {
  for (const { 0: run, index } of text.matchAll(RUN)) {
    if (isAscii(run) || !HAS_SPACELESS.test(run)) yield* wordAt(run, index);
    else for (const { 0: piece, index: at } of run.matchAll(PIECE)) yield* wordAt(piece, index + at);
  }
}

function* wordAt(found: string, start: number): Generator<Word> {
  const word = normalise(found);
  if (word !== '') yield { word, start, end: start + found.length };
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: all of ASCII is meant
const isAscii = (text: string) => /^[\x00-\x7f]*$/.test(text);

/** Letters that no accent comes off of. */
const PLAIN: Record<string, string> = {
  ...{ ß: 'ss', æ: 'ae', œ: 'oe', ø: 'o', đ: 'd', ð: 'd', þ: 'th', ł: 'l', ħ: 'h', ı: 'i', ŋ: 'n', ſ: 's' },
};
const HAS_PLAIN = new RegExp(`[${Object.keys(PLAIN).join('')}]`, 'g');
/** In other scripts a mark may make another letter. */
const ACCENTS = /(?<=[\p{Script=Latin}\p{Script=Greek}\p{Script=Cyrillic}]\p{M}*)\p{M}/gu;

/** The characters of most texts in these scripts, which are searched as they are. */
const AS_IT_IS = /^[\u3041-\u3096\u30a1-\u30fa\u4e00-\u9fff\uac00-\ud7a3]$/;

/** A word as it is searched. */
export function normalise(found: string): string {
  const word = found.slice(0, LONGEST);
  if (AS_IT_IS.test(word)) return word;
  if (isAscii(word)) return word.toLowerCase();
  const bare = word.toWellFormed().normalize('NFKD').replace(ACCENTS, '').normalize('NFC').toLowerCase();
  const plain = bare.replace(HAS_PLAIN, (letter) => PLAIN[letter]!);
  return plain
    .replace(/[^\p{L}\p{N}\p{M}]/gu, '')
    .slice(0, LONGEST)
    .toWellFormed()
    .replaceAll('\ufffd', '');
}

/** A part of a text, small enough to be searched and marked at once. */
export interface Part {
  text: string;
  words: Word[];
}

/** PostgreSQL tells positions up to 16,383 apart, and keeps 255 of one word: the commonest of all are four in a hundred. */
const PART_WORDS = 2_000;
const PART_LENGTH = 32_000;

/** The parts of a text, cut between words. Each is quickly made: whoever reads many lets others run between. */
export function* partsOf(text: string): Generator<Part> {
  let words: Word[] = [];
  let start = 0;
  let length = 0;
  for (const word of wordsOf(text)) {
    length += word.word.length;
    const isFull = words.length === PART_WORDS || word.end - start > PART_LENGTH || length > PART_LENGTH;
    if (isFull && words.length > 0) {
      yield { text: text.slice(start, word.start), words };
      words = [];
      start = word.start;
      length = 0;
    }
    words.push({ ...word, start: word.start - start, end: word.end - start });
  }
  if (words.length > 0) yield { text: text.slice(start), words };
}
