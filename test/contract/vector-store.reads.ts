import type { Filter } from '../../src/vectors/filter.js';
import { comparePointIds, type PointId } from '../../src/vectors/point-id.js';
import type { Point, Space } from '../../src/vectors/vector-store.js';
import { ALL, IDS, many, NAMED, point, type Subject } from './vector-store.suite.js';

const EVERY: Filter = { must_not: [{ key: 'n', match: { value: -1 } }] };

export function describeReads(subject: Subject): void {
  const pages = async (
    space: Space,
    limit: number,
    filter?: Filter,
    between?: (page: PointId[]) => Promise<void>,
  ) => {
    const ids: PointId[] = [];
    for (let after: PointId | undefined; ; ) {
      const { points, next } = await subject.store.scan(space, { limit, filter, after, ...IDS });
      const page = points.map(({ id }) => id);
      ids.push(...page);
      expect(page.length).toBeLessThanOrEqual(limit);
      if (next === null) return ids;
      expect(next).toBe(page.at(-1));
      await between?.(page);
      after = next;
    }
  };

  test('points are retrieved in the order asked for, those that are there', async () => {
    const space = await subject.space();
    await subject.store.upsert(space, many(20));
    const asked = ['7', '99', '3', '19', '0', '11'];
    expect((await subject.store.retrieve(space, asked, IDS)).map(({ id }) => id)).toEqual([
      ...['7', '3', '19', '0', '11'],
    ]);
    expect(await subject.store.retrieve(space, [], ALL)).toEqual([]);
    expect(await subject.store.retrieve(space, ['7'], IDS)).toEqual([{ id: '7' }]);
    expect(await subject.store.retrieve(space, ['7'], { payload: true, vectors: false })).toEqual([
      { id: '7', payload: { n: 7 } },
    ]);
    expect(await subject.store.retrieve(space, ['7'], { payload: false, vectors: true })).toEqual([
      { id: '7', vectors: { '': [1, 2, 3] } },
    ]);
  });

  test.each([
    ['without a filter', undefined],
    ['with a filter', EVERY],
  ])('a scan goes exactly by id, integers as numbers and before UUIDs, %s', async (_, filter) => {
    const space = await subject.space();
    const numbers = Array.from({ length: 120 }, (_, i) =>
      String((BigInt(i) * 2n ** 57n) / 7n + BigInt(i % 13)),
    );
    const uuids = Array.from(
      { length: 30 },
      (_, i) =>
        `${((i * 37) % 256).toString(16).padStart(8, '0')}-0000-4000-8000-${String(i).padStart(12, '0')}`,
    );
    const ids = [...numbers, ...uuids, '9007199254740993', '18446744073709551615', '10', '9'].filter(
      (id, at, all) => all.indexOf(id) === at,
    );
    await subject.store.upsert(
      space,
      ids.toReversed().map((id) => point(id, { n: 1 })),
    );
    const sorted = ids.toSorted(comparePointIds);
    for (const limit of [1, 7, 50, ids.length - 1, ids.length, 1000]) {
      expect(await pages(space, limit, filter)).toEqual(sorted);
    }
    const all = await subject.store.scan(space, { limit: ids.length, filter, ...ALL });
    expect(all.next).toBeNull();
    expect(all.points[0]).toEqual(point(sorted[0]!, { n: 1 }));
    const behind = await subject.store.scan(space, { limit: 2, after: '11', filter, ...IDS });
    expect(behind.points.map(({ id }) => id)).toEqual(
      sorted.filter((id) => comparePointIds(id, '11') > 0).slice(0, 2),
    );
    const end = await subject.store.scan(space, { limit: 2, after: sorted.at(-1)!, filter, ...IDS });
    expect(end).toEqual({ points: [], next: null });
  });

  test.each([
    ['without a filter', undefined],
    ['with a filter', EVERY],
  ])('a scan goes on while points come and go, %s', async (_, filter) => {
    const space = await subject.space();
    await subject.store.upsert(space, many(50, 100));
    let turn = 0;
    const seen = await pages(space, 10, filter, async (page) => {
      turn += 1;
      if (turn > 3) return;
      const last = page.at(-1)!;
      await subject.store.upsert(space, [
        point(String(turn), { n: 1 }),
        point(String(1000 + turn), { n: 1 }),
      ]);
      await subject.store.delete(space, { ids: [page[0]!, last, String(Number(last) + 2)] });
    });
    const gone = ['111', '122', '133'];
    const expected = [...many(50, 100).map(({ id }) => id), '1001', '1002', '1003'];
    expect(seen).toEqual(expected.filter((id) => !gone.includes(id)));
  });

  test('a filtered scan ends where nothing more meets the filter', async () => {
    const space = await subject.space();
    await subject.store.upsert(space, many(100));
    const filter = { must: [{ key: 'n', match: { any: [5, 50, 51] } }] };
    expect(await pages(space, 2, filter)).toEqual(['5', '50', '51']);
    expect(await subject.store.scan(space, { limit: 3, filter, ...IDS })).toMatchObject({ next: null });
    expect(await subject.store.scan(space, { limit: 5, filter: { must: [{ has_id: [] }] }, ...IDS })).toEqual(
      { points: [], next: null },
    );
  });

  test('a page of large points ends early', async () => {
    const space = await subject.space();
    const text = 'x'.repeat(4 * 1024 * 1024);
    const large = Array.from({ length: 12 }, (_, n) => point(String(n), { text }));
    for (let at = 0; at < large.length; at += 3) await subject.store.upsert(space, large.slice(at, at + 3));
    const first = await subject.store.scan(space, { limit: 12, ...ALL });
    expect(first.points.length).toBeGreaterThan(0);
    expect(first.points.length).toBeLessThan(9);
    expect(first.next).toBe(first.points.at(-1)!.id);
    const rest = await subject.store.scan(space, { limit: 1000, after: first.next!, ...ALL });
    expect(rest.points[0]!.id).toBe(String(first.points.length));
  });

  test('points of a space with named vectors have those they were given', async () => {
    const space = await subject.space(NAMED);
    const points: Point[] = [
      { id: '1', vectors: { text: [1, 2] }, payload: { a: [1] } },
      { id: '2', vectors: { image: [0, 1, 0] }, payload: {} },
      { id: '3', vectors: { text: [0, 0], image: [1, 0, 0] }, payload: {} },
    ];
    await subject.store.upsert(space, points);
    expect((await subject.store.scan(space, { limit: 9, ...ALL })).points).toEqual(points);
    const filter = { must: [{ has_id: ['1', '2', '3'] }] };
    expect((await subject.store.scan(space, { limit: 9, filter, ...ALL })).points).toEqual(points);
  });
}
