import type { Point } from '../../src/vectors/vector-store.js';
import { createDatabase, type TestDatabase } from '../setup/database.js';
import { startProxy } from '../setup/pg-proxy.js';
import { openPostgres } from './open-postgres.js';
import { ALL, IDS, many, NAMED, newName, point, SMALL } from './vector-store.suite.js';

type Store = Awaited<ReturnType<typeof openPostgres>>;

let database: TestDatabase;
const opened: Store[] = [];
beforeAll(async () => {
  database = await createDatabase();
});
afterEach(async () => {
  for (const one of opened.splice(0)) await one.close();
});
afterAll(() => database.drop());

async function open(...args: Parameters<typeof openPostgres>): Promise<Store> {
  const one = await openPostgres(...args);
  opened.push(one);
  return one;
}

const ask = { vector: [1, 1, 1], using: '', limit: 10, ...IDS };
const UUID = '018f7a2b-6c1d-7e3f-8a4b-5c6d7e8f9a0b';
const EVERY = { must_not: [{ is_empty: { key: 'n' } }] };
const newSpace = async ({ store }: Store, shape = SMALL) => {
  const space = { name: newName(), shape };
  await store.ensure(space);
  return space;
};

test('queries whose thread is killed are answered all the same', async () => {
  const one = await open(database.url);
  const space = await newSpace(one);
  for (let at = 0; at < 10_000; at += 1000) await one.store.upsert(space, many(1000, at));
  for (let round = 0; round < 3; round++) {
    const queries = Array.from({ length: 10 }, () => one.store.count(space, EVERY));
    // biome-ignore lint/complexity/useLiteralKeys: private, and no one else's to kill
    const worker = await one.thread['thread']['worker']!;
    await worker.terminate();
    expect(await Promise.all(queries)).toEqual(Array(10).fill(10_000));
  }
  expect(await one.store.query(space, ask)).toHaveLength(10);
});

test('two processes see at once what the other wrote', async () => {
  const [one, two] = [await open(database.url), await open(database.url)];
  const space = await newSpace(one);
  for (let n = 0; n < 50; n++) {
    const [writer, reader] = n % 2 ? [one, two] : [two, one];
    await writer.store.upsert(space, [
      point(String(n), { n }, [n + 1, 0, 0]),
      point('1000', { n }, [0, n, 0]),
    ]);
    expect(
      (
        await reader.store.query(space, { ...ask, limit: 1, filter: { must_not: [{ has_id: ['1000'] }] } })
      )[0],
    ).toMatchObject({ id: String(n) });
    expect(await reader.store.count(space, { must: [{ key: 'n', match: { value: n } }] })).toBe(2);
    if (n % 5 === 4) {
      expect(await writer.store.delete(space, { filter: { must: [{ has_id: [String(n)] }] } })).toBe(1);
      expect(await reader.store.count(space, EVERY)).toBe(n - Math.floor(n / 5) + 1);
    }
  }
  await one.store.drop(space.name);
  await expect(two.store.query(space, ask)).rejects.toMatchObject({ code: 'no_collection' });
});

test('rows of deleted points are removed at last, and copies of the space stay right', async () => {
  const [one, two, late] = [await open(database.url), await open(database.url), await open(database.url)];
  const space = await newSpace(one);
  for (let at = 0; at < 3000; at += 1000) await one.store.upsert(space, many(1000, at));
  const left: number[] = [];
  expect(await late.store.count(space, EVERY)).toBe(3000);
  for (let at = 0; at < 2500; at += 250) {
    await one.store.delete(space, { ids: many(250, at).map(({ id }) => id) });
    expect(await two.store.count(space, EVERY)).toBe(2750 - at);
    const { rows } = await database.pool.query(
      'select count(*)::int from vector_points p join vector_spaces s on s.key = p.space_key where s.name = $1',
      [space.name],
    );
    left.push(rows[0].count);
  }
  expect(left[0]).toBe(3000);
  expect(left.at(-1)).toBeLessThan(2500);
  await one.store.upsert(space, many(10));
  for (const { store } of [one, two, late]) expect(await store.count(space, EVERY)).toBe(510);
});

test('a full space stays at its cap, however many write at once', async () => {
  const cap = { points: 100, bytes: 1_000_000 };
  const one = await open(database.url, { cap });
  const space = await newSpace(one);
  const writes = await Promise.allSettled(
    Array.from({ length: 20 }, (_, i) => one.store.upsert(space, many(10, i * 10))),
  );
  const refused = writes.flatMap((write) => (write.status === 'rejected' ? [write.reason] : []));
  expect(refused).toHaveLength(10);
  for (const error of refused) {
    expect(error).toMatchObject({ kind: 'too-large', code: 'vectors_too_large' });
    expect(error.message).toMatch(/100 points.*QDRANT_URL/);
  }
  expect(await one.store.count(space)).toBe(100);
  expect(await one.store.count(space, EVERY)).toBe(100);
  const { points } = await one.store.scan(space, { limit: 100, ...ALL });
  await one.store.upsert(space, points as Point[]);
  const large = point(points[0]!.id, { text: 'x'.repeat(1_000_000) });
  await expect(one.store.upsert(space, [large])).rejects.toMatchObject({ code: 'vectors_too_large' });
  await one.store.delete(space, { ids: [points[1]!.id] });
  await one.store.upsert(space, [point('5000')]);
  expect(await one.store.count(space)).toBe(100);
  const { rows } = await database.pool.query(
    `select s.points, s.bytes::int, count(p.payload)::int as counted, sum(p.bytes) filter (where p.payload is not null)::int as summed
     from vector_spaces s join vector_points p on p.space_key = s.key where s.name = $1 group by s.key`,
    [space.name],
  );
  expect(rows[0]).toMatchObject({ counted: rows[0].points, summed: rows[0].bytes });
});

test('more spaces than fit in memory answer right in turn', async () => {
  const one = await open(database.url, { maxBytes: 300_000 });
  const spaces = await Promise.all(
    Array.from({ length: 5 }, () => newSpace(one, { '': { size: 64, distance: 'dot' } })),
  );
  const put = (at: number, n: number) =>
    one.store.upsert(
      spaces[at]!,
      Array.from({ length: 200 }, (_, i) =>
        point(
          String(n + i),
          { n: n + i, at },
          Array.from({ length: 64 }, (_, d) => (d === at ? n + i + 1 : 0)),
        ),
      ),
    );
  for (let round = 0; round < 4; round++) {
    for (const at of spaces.keys()) await put(at, round * 200);
    for (const [at, space] of spaces.entries()) {
      const vector = Array.from({ length: 64 }, (_, d) => (d === at ? 1 : 0));
      const top = (round + 1) * 200;
      expect(await one.store.query(space, { ...ask, vector, limit: 1 })).toEqual([
        { id: String(top - 1), score: top },
      ]);
      const mine = { must: [{ key: 'at', match: { value: at } }] };
      expect(await one.store.count(space, mine)).toBe(top);
    }
  }
});

test('PostgreSQL that goes away and comes back', async () => {
  const proxy = await startProxy(database.url);
  const one = await open(proxy.url);
  const space = await newSpace(one);
  await one.store.upsert(space, many(20));
  expect(await one.store.count(space, EVERY)).toBe(20);
  proxy.cut();
  expect(await one.store.count(space, EVERY)).toBe(20);

  proxy.retarget('postgres://127.0.0.1:1/none');
  proxy.cut();
  await expect(one.store.query(space, ask)).rejects.toMatchObject({ code: 'vectors_unavailable' });
  await expect(one.store.scan(space, { limit: 1, ...IDS })).rejects.toMatchObject({
    code: 'vectors_unavailable',
  });
  await expect(one.store.upsert(space, many(1))).rejects.toMatchObject({
    kind: 'unavailable',
    code: expect.stringMatching(/^vectors_/),
  });
  await expect(one.store.health()).rejects.toMatchObject({ code: 'vectors_unavailable' });

  proxy.retarget(database.url);
  expect(await one.store.count(space, EVERY)).toBe(20);
  await one.store.upsert(space, many(10, 20));
  expect(await one.store.count(space, EVERY)).toBe(30);
  await one.close();
  opened.splice(opened.indexOf(one), 1);
  await proxy.close();
});

test('a drop that was interrupted is finished by the next one', async () => {
  const one = await open(database.url);
  const space = await newSpace(one);
  for (let at = 0; at < 5000; at += 1000) await one.store.upsert(space, many(1000, at));
  await database.pool.query('update vector_spaces set name = null where name = $1', [space.name]);
  expect(await one.store.describe(space)).toBeNull();
  await one.store.drop(newName());
  const { rows } = await database.pool.query(
    'select count(*)::int from vector_points p where not exists (select from vector_spaces s where s.key = p.space_key and s.name is not null)',
  );
  expect(rows[0].count).toBe(0);
});

test('pages are copied but for ids that are taken; deleted points take none', async () => {
  const one = await open(database.url);
  const [from, to] = [await newSpace(one), await newSpace(one)];
  await one.store.upsert(from, many(1000));
  await one.store.upsert(from, [...many(700, 1000), point(UUID, { n: -1 })]);
  const others = ['5', '1500', UUID].map((id) => point(id, { other: true }, [9, 9, 9]));
  await one.store.upsert(to, [...others, ...many(3, 7)]);
  expect(await one.store.delete(to, { ids: ['7', '8', '9'] })).toBe(3);
  expect(await one.store.count(to, EVERY)).toBe(0);

  const pages = [];
  for (let behind: string | null = null; ; behind = pages.at(-1)!.last) {
    pages.push(await one.store.copy(from, to, behind, 1000));
    if (pages.at(-1)!.last === null) break;
  }
  expect(pages).toEqual([
    { read: 1000, last: '999', taken: ['5'] },
    { read: 701, last: UUID, taken: ['1500', UUID] },
    { read: 0, last: null, taken: [] },
  ]);
  expect(await one.store.count(to)).toBe(1701);
  // the copy that is searched has followed
  expect(await one.store.count(to, EVERY)).toBe(1698);
  expect(await one.store.retrieve(to, ['4', '5', '7', '1500', UUID], ALL)).toEqual([
    ...(await one.store.retrieve(from, ['4'], ALL)),
    others[0],
    ...(await one.store.retrieve(from, ['7'], ALL)),
    ...others.slice(1),
  ]);
  await expectFigures(to.name);
  const other = await newSpace(one, NAMED);
  await expect(one.store.copy(other, to, null, 10)).rejects.toMatchObject({ code: 'shape_mismatch' });
  await expect(one.store.copy(from, { ...other, shape: SMALL }, null, 10)).rejects.toMatchObject({
    code: 'shape_mismatch',
  });
  await expect(one.store.copy({ ...from, name: newName() }, to, null, 10)).rejects.toMatchObject({
    kind: 'not-found',
  });
  await expect(one.store.copy(from, { ...to, name: newName() }, null, 10)).rejects.toMatchObject({
    kind: 'not-found',
  });
});

test('a page that has no room is not copied at all, and one ends where many bytes are reached', async () => {
  const one = await open(database.url, { cap: { points: 20, bytes: 200 * 1024 * 1024 } });
  const [from, to] = [await newSpace(one), await newSpace(one)];
  await one.store.upsert(from, many(20));
  await one.store.upsert(to, many(5, 100));
  await expect(one.store.copy(from, to, null, 16)).rejects.toMatchObject({ code: 'vectors_too_large' });
  expect(await one.store.count(to)).toBe(5);
  expect(await one.store.copy(from, to, null, 15)).toMatchObject({ read: 15, last: '14' });
  expect(await one.store.count(to)).toBe(20);
  await expectFigures(to.name);

  const [large, copy] = [await newSpace(one), await newSpace(one)];
  const text = 'x'.repeat(3 * 1024 * 1024);
  for (let n = 0; n < 10; n++) await one.store.upsert(large, [point(String(n), { text })]);
  expect(await one.store.copy(large, copy, null, 10)).toEqual({ read: 6, last: '5', taken: [] });
  expect(await one.store.copy(large, copy, '5', 10)).toEqual({ read: 4, last: '9', taken: [] });
});

/** What a space says of itself is what its rows come to. */
async function expectFigures(name: string): Promise<void> {
  const { rows } = await database.pool.query(
    `select s.points, s.bytes::int, s.gone, count(p.payload)::int as points_there, count(*)::int - count(p.payload)::int as gone_there,
       sum(p.bytes) filter (where p.payload is not null)::int as bytes_there
     from vector_spaces s join vector_points p on p.space_key = s.key where s.name = $1 group by s.key`,
    [name],
  );
  const { points, bytes, gone, points_there, bytes_there, gone_there } = rows[0];
  expect({ points, bytes, gone }).toEqual({ points: points_there, bytes: bytes_there, gone: gone_there });
}
