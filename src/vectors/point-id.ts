import { z } from 'zod';

/** The id of a point, canonical: decimal digits of an unsigned 64-bit integer, or a lower-case UUID. */
export type PointId = string;

const MAX_U64 = 2n ** 64n - 1n;
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
const DIGITS = /^(0|[1-9]\d{0,19})$/;

export const isInteger = (id: PointId): boolean => !id.includes('-');

/** Reads an id as clients write it: a JSON number, decimal digits, a UUID in either case; null: none of these. */
export function parsePointId(given: unknown): PointId | null {
  if (typeof given === 'number') return Number.isSafeInteger(given) && given >= 0 ? String(given) : null;
  if (typeof given !== 'string') return null;
  if (UUID.test(given)) return given.toLowerCase();
  return DIGITS.test(given) && BigInt(given) <= MAX_U64 ? given : null;
}

/** An id as clients read it: an integer is a JSON number where a double holds it exactly, else its digits. */
export const showPointId = (id: PointId): number | string =>
  isInteger(id) && Number.isSafeInteger(Number(id)) ? Number(id) : id;

/** Integers before UUIDs, each in their own order. */
export function comparePointIds(a: PointId, b: PointId): number {
  if (isInteger(a) !== isInteger(b)) return isInteger(a) ? -1 : 1;
  if (isInteger(a) && a.length !== b.length) return a.length - b.length;
  return a < b ? -1 : a > b ? 1 : 0;
}

export const pointId = z
  .union([z.int().min(0), z.string()])
  .transform((given, ctx): PointId => {
    const id = parsePointId(given);
    if (id === null) ctx.addIssue({ code: 'custom', message: 'give an unsigned 64-bit integer or a UUID' });
    return id ?? '';
  })
  .meta({
    description: 'an unsigned 64-bit integer (beyond 2^53−1 as decimal digits in a string), or a UUID',
    example: 7,
  });
