/** What is looked at of one message, in UTF-16 units: a summary tells of its opening, and stays quick. */
const LOOKED_AT = 20_000;
const MOST_SENTENCES = 500;
const LONGEST = 200;
/** Below that many different telling words a sentence says too little: "Thanks a lot!", "OK.", rows of digits. */
const LEAST_WORDS = 3;

const SENTENCE_END = /(?<=[.!?])\s+|(?<=[。！？])|[\r\n]+/u;
/** Han and Kana are written without spaces: there each character counts as a word; Hangul words are short. */
const WORD =
  /[\p{sc=Han}\p{sc=Hira}\p{sc=Kana}]|\p{sc=Hang}{2,}|(?:(?![\p{sc=Han}\p{sc=Hira}\p{sc=Kana}])[\p{L}\p{M}\p{N}]){3,}/gu;
const COMMON = new Set(
  `about all also and any are been but can could did does for from had has have her here him his how into its
  just let like may more not now one our out please should some sure than thank thanks that the their them then
  there these they this was well were what when where which who why will with would yes you your`.split(
    /\s+/,
  ),
);

export interface Sentence {
  /** verbatim but for white space, cut at a word */
  text: string;
  /** different telling words */
  words: Set<string>;
}

/** The sentences of a message that say something, without what stands in code fences. */
export function sentencesOf(text: string): Sentence[] {
  const prose = text
    .slice(0, LOOKED_AT)
    .split('```')
    .filter((_, index) => index % 2 === 0);
  return prose
    .flatMap((part) => part.split(SENTENCE_END, MOST_SENTENCES))
    .slice(0, MOST_SENTENCES)
    .map((sentence) => cutAtWord(sentence.replace(/\s+/g, ' ').trim()))
    .map((sentence) => ({ text: sentence, words: wordsOf(sentence) }))
    .filter(({ words }) => words.size >= LEAST_WORDS);
}

function wordsOf(text: string): Set<string> {
  const words = text.toLowerCase().match(WORD) ?? [];
  return new Set(words.filter((word) => !COMMON.has(word) && !/^\p{N}+$/u.test(word)));
}

/** Both cuts, this one and that of the whole text, may part a pair of surrogates: the half that is left goes. */
function cutAtWord(text: string): string {
  const kept = text.slice(0, LONGEST);
  const space = kept.lastIndexOf(' ');
  const isWordEnd = text.length <= LONGEST || text[LONGEST] === ' ';
  const cut = isWordEnd || space < 1 ? kept : kept.slice(0, space);
  return (cut.isWellFormed() ? cut : cut.slice(0, -1)).trimEnd();
}
