import {
  boundedPage,
  type Counted,
  cutPage,
  decodeCursor,
  encodeCursor,
  pageBytes,
} from '../../src/common/paging.js';

const isNumber = (key: unknown): key is number => typeof key === 'number';
const raw = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
const parts = (cursor: string) => JSON.parse(Buffer.from(cursor, 'base64url').toString());

describe('a cursor', () => {
  const scope = { order: 'title', tags: 'a' };

  it.each([0, 5, Number.MAX_SAFE_INTEGER])('carries the key %i', (key) => {
    expect(decodeCursor(encodeCursor(scope, key), scope, isNumber)).toBe(key);
  });

  it('carries keys of several parts, in any alphabet', () => {
    const key = ['Äpfel 🚀 "', 7];
    const isKey = (k: unknown): k is typeof key => Array.isArray(k);
    expect(decodeCursor(encodeCursor(scope, key), scope, isKey)).toEqual(key);
  });

  it('is safe in a URL', () => {
    for (let i = 0; i < 200; i++) expect(encodeCursor({ i }, ['~~~???', i])).toMatch(/^[A-Za-z0-9_-]+$/);
  });

  it('is the same for the same scope and key', () => {
    expect(encodeCursor(scope, 1)).toBe(encodeCursor({ ...scope }, 1));
  });

  it.each([
    { order: 'title' },
    { order: 'title', tags: 'b' },
    { order: 'title', tags: 'a', q: 'x' },
    null,
    'title',
  ])('is not good for the scope %j', (other) => {
    expect(() => decodeCursor(encodeCursor(scope, 1), other, isNumber)).toThrow(
      /another order or other filters/,
    );
  });

  it.each([
    '',
    'x',
    '%%%',
    raw(null),
    raw(5),
    raw([]),
    raw({ 0: 'a', 1: 1 }),
    raw([parts(encodeCursor(scope, 1))[0]]),
    raw([parts(encodeCursor(scope, 1))[0], 'text']),
    raw([parts(encodeCursor(scope, 1))[0], 1, 2]),
  ])('is none: %s', (text) => {
    expect(() => decodeCursor(text, scope, isNumber)).toThrow(/not one of ours/);
  });

  it('that is wrong is malformed input', () => {
    for (const text of ['x', encodeCursor('other', 1)]) {
      let thrown: unknown;
      try {
        decodeCursor(text, scope, isNumber);
      } catch (error) {
        thrown = error;
      }
      expect(thrown).toMatchObject({ kind: 'malformed', code: 'invalid_cursor' });
    }
  });
});

describe('cutPage', () => {
  const rows = (count: number, found: number) =>
    Array.from({ length: count }, (_, id): Counted & { id: number } => ({ id, found }));
  const cursorOf = (row: { id: number }) => `after ${row.id}`;

  it.each([
    ['nothing', 0, 0, 0, null],
    ['less than the limit', 2, 2, 2, null],
    ['the limit exactly', 3, 3, 3, null],
    ['one more than the limit', 4, 4, 3, 'after 2'],
    ['fewer than were found, for their size', 2, 4, 2, 'after 1'],
    ['fewer than were found, at the end', 2, 3, 2, 'after 1'],
    ['one of two large ones', 1, 2, 1, 'after 0'],
  ])('reading %s', (_, read, found, kept, next) => {
    const page = cutPage(rows(read, found), 3, cursorOf);
    expect([page.rows.length, page.next]).toEqual([kept, next]);
  });
});

describe('cutPage by offset', () => {
  const cut = (read: number, found: number) =>
    cutPage(
      Array.from({ length: read }, () => ({ found })),
      3,
      () => 'next',
      true,
    );

  it.each([
    [0, 0, 0, null],
    [2, 2, 2, null],
    [3, 3, 3, null],
    [4, 4, 3, 'next'],
    [3, 4, 3, 'next'],
  ])('of %i read and %i found is a page', (read, found, kept, next) => {
    const page = cut(read, found);
    expect([page.rows.length, page.next]).toEqual([kept, next]);
  });

  it.each([
    [1, 2],
    [2, 3],
    [2, 4],
  ])('of %i read and %i found is too large, rather than losing rows', (read, found) => {
    let error: unknown;
    try {
      cut(read, found);
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toMatchObject({ kind: 'too-large', code: 'page_too_large' });
  });
});

describe('boundedPage', () => {
  it('keeps the order in and around the window, and the bound', () => {
    const sql = boundedPage('select 1 as size', 'seq desc', '$7').replace(/\s+/g, ' ');
    expect(sql).toContain('over (order by seq desc)');
    expect(sql.trim()).toMatch(/order by seq desc$/);
    expect(sql).toContain('size_before < $7');
  });

  it('holds more when it is read by offset, where it cannot be shorter', () => {
    expect(pageBytes(true)).toBeGreaterThan(pageBytes(false));
  });
});
