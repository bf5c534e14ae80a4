import { createHash } from 'node:crypto';
import { DomainError } from './errors.js';

/** Counting stops here: an exact count of a filtered million takes half a second. */
export const COUNT_CAP = 10_000;

/** Where a page begins: behind a row (keyset, flat at any depth), or at an offset (as far as it must be walked). */
export interface PageRequest<Key> {
  limit: number;
  after: Key | null;
  offset: number | null;
  /** given when asked by page; echoed */
  page: number | null;
  includeTotal: boolean;
}

/** One page of rows; `next` continues behind the last one, null at the end. */
export interface Page<Row> {
  rows: Row[];
  next: string | null;
  total?: { count: number; capped: boolean };
}

const badCursor = (detail: string) => new DomainError('malformed', 'invalid_cursor', detail);

const digest = (scope: unknown) =>
  createHash('sha256').update(JSON.stringify(scope)).digest('base64url').slice(0, 16);

/** An opaque cursor: the key of the last row, and a digest of the order and filters it is good for. */
export const encodeCursor = (scope: unknown, key: unknown): string =>
  Buffer.from(JSON.stringify([digest(scope), key])).toString('base64url');

/**
 * The key in a cursor.
 * @throws DomainError `invalid_cursor` when it is none of ours, or belongs to another order or other filters
 */
export function decodeCursor<Key>(cursor: string, scope: unknown, isKey: (key: unknown) => key is Key): Key {
  let parts: unknown;
  try {
    parts = JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8'));
  } catch {
    throw badCursor('The cursor is not one of ours.');
  }
  if (!Array.isArray(parts) || parts.length !== 2 || !isKey(parts[1])) {
    throw badCursor('The cursor is not one of ours.');
  }
  if (parts[0] !== digest(scope)) throw badCursor('The cursor belongs to another order or other filters.');
  return parts[1];
}

/** The key in a cursor through what one thing has: that thing's own key, and the number of the last row. */
export type Within = [owner: number, n: number];

export const isPair = (key: unknown): key is [number, number] =>
  Array.isArray(key) && key.length === 2 && key.every((part) => Number.isSafeInteger(part) && part >= 0);

/** @throws DomainError `invalid_cursor` when the id has passed to another, whose rows are numbered anew */
export function checkOwner(after: readonly [owner: number, last: unknown] | null, owner: number): void {
  if (after && after[0] !== owner) throw badCursor('The cursor belongs to what had this id before.');
}

/** A page read by cursor holds at most so many bytes of documents: it is shorter then, never empty. */
const PAGE_BYTES = 8 * 1024 * 1024;

/** A page read by offset cannot be shorter without losing rows: beyond so many bytes it is refused. */
const OFFSET_PAGE_BYTES = 16 * 1024 * 1024;

/** How many bytes of documents a page may hold: the last parameter of a statement made by `boundedPage`. */
export const pageBytes = (isByOffset: boolean) => (isByOffset ? OFFSET_PAGE_BYTES : PAGE_BYTES);

/** Each row read for a page tells how many were found for it: one more than the limit, if there are more. */
export interface Counted {
  found: number;
}

/** Cuts what was read beyond the limit, and makes the cursor to go on with if anything was left behind. */
export function cutPage<Row extends Counted>(
  read: Row[],
  limit: number,
  cursorOf: (row: Row) => string,
  isByOffset = false,
): Page<Row> {
  const rows = read.slice(0, limit);
  const last = rows.at(-1);
  if (last && isByOffset && rows.length < Math.min(limit, last.found)) {
    throw new DomainError(
      'too-large',
      'page_too_large',
      'The page is too large: ask for fewer rows, or use a cursor.',
    );
  }
  return { rows, next: last && last.found > rows.length ? cursorOf(last) : null };
}

/**
 * SQL around a query that reads one row more than the limit: adds `found`, and leaves out the rows behind `bytes`,
 * so that a page of large rows stays small in memory.
 * @param query yields `size` (bytes) and is sorted by `order`
 * @param bytes the parameter with `pageBytes`
 */
export const boundedPage = (query: string, order: string, bytes: string) => `
  select * from (
    select limited.*, count(*) over ()::int as found, sum(size) over (order by ${order}) - size as size_before
    from (${query}) limited
  ) page
  where size_before < ${bytes}::bigint
  order by ${order}`;
