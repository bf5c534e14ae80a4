import { randomUUID } from 'node:crypto';
import { isInteger, type PointId } from '../../point-id.js';

/** Nobody can guess it, so no text of a user is ever taken for digits. */
const MARK = `${randomUUID()}:`;
const MARKED = new RegExp(`"${MARK}(\\d+)"`, 'g');

/** An id as Qdrant takes it: a JSON number with all its digits, or a UUID. */
export type StoredId = string | Digits;

class Digits {
  constructor(readonly digits: string) {}

  /** What a double cannot hold goes as text that `encode` takes the quotes from: Node 20 has no `JSON.rawJSON`. */
  toJSON(): number | string {
    const value = Number(this.digits);
    return Number.isSafeInteger(value) ? value : MARK + this.digits;
  }
}

export const storedId = (id: PointId): StoredId => (isInteger(id) ? new Digits(id) : id);

/** JSON text in which every id keeps all its digits. */
export function encode(value: unknown): string {
  const text = JSON.stringify(value);
  return text.includes(MARK) ? text.replace(MARKED, '$1') : text;
}

interface WithId {
  id: unknown;
}
interface Answer {
  result?: WithId[] | { points?: WithId[] } | null;
}

const LONG_ID = /"id"\s*:\s*\d{16}/;
/** A member `id` with a long integer, or else a whole string, so that what stands inside one is never looked at. */
const LONG_ID_OR_STRING = /("id"\s*:\s*)(\d{16,20})(?=\s*[,}])|"[^"\\]*(?:\\.[^"\\]*)*"/g;

/**
 * Parses an answer; ids of points beyond 2^53 come as their digits. Only the ids are taken from the text in which
 * they are quoted: a payload may well have a number of that name, and keeps it as the double it is.
 */
export function decode(text: string): unknown {
  const answer: Answer = JSON.parse(text);
  if (!LONG_ID.test(text)) return answer;
  const quoted: Answer = JSON.parse(
    text.replace(LONG_ID_OR_STRING, (all, name, digits) => (digits ? `${name}"${digits}"` : all)),
  );
  const exact = pointsIn(quoted);
  pointsIn(answer).forEach((point, at) => {
    point.id = exact[at]!.id;
  });
  return answer;
}

const pointsIn = ({ result }: Answer): WithId[] => (Array.isArray(result) ? result : (result?.points ?? []));
