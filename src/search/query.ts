import { wordsOf } from './words.js';

/** Words that follow one another; mostly it is one alone. */
type Phrase = string[];

/** What is asked for, as engines on the web take it: words, "a phrase", or, -not. */
export interface Query {
  /** in the words that texts are searched by, for `websearch_to_tsquery` */
  text: string;
  /** none: nothing can be found */
  wanted: Phrase[];
  unwanted: Phrase[];
  /** one of those wanted is enough */
  isAny: boolean;
}

const TERM = /(-?)(?:"([^"]*)"?|([^\s"]+))/g;

export function parseQuery(asked: string): Query {
  const query: Query = { text: '', wanted: [], unwanted: [], isAny: false };
  const terms: string[] = [];
  for (const [, minus, quoted, bare] of asked.matchAll(TERM)) {
    const isOr = minus === '' && bare?.toLowerCase() === 'or';
    const phrase = isOr ? [] : [...wordsOf(quoted ?? bare ?? '')].map(({ word }) => word);
    query.isAny ||= isOr;
    if (isOr) terms.push('or');
    if (phrase.length === 0) continue;
    (minus === '-' ? query.unwanted : query.wanted).push(phrase);
    terms.push(`${minus}"${phrase.join(' ')}"`);
  }
  return { ...query, text: terms.join(' ') };
}

/**
 * A query for words that are nearly those wanted, as PostgreSQL writes it; null: there are none.
 * @param near of each word those nearly like it
 */
export function nearly({ wanted, unwanted, isAny }: Query, near: Map<string, string[]>): string | null {
  const phrases = wanted.map((phrase) => phrase.map((word) => near.get(word) ?? []));
  const known = phrases.filter((phrase) => phrase.every((words) => words.length > 0));
  if (known.length < (isAny ? 1 : phrases.length)) return null;
  const either = known.map((phrase) =>
    followedBy(phrase.map((words) => `(${words.map(quote).join(' | ')})`)),
  );
  const not = unwanted.map((phrase) => ` & !${followedBy(phrase.map(quote))}`);
  return `(${either.join(isAny ? ' | ' : ' & ')})${not.join('')}`;
}

const followedBy = (words: string[]) => `(${words.join(' <-> ')})`;
const quote = (word: string) => `'${word.replace(/['\\]/g, '')}'`;
