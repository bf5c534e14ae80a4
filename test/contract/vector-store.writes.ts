import type { JsonObject } from '../../src/common/json.js';
import type { Point, Shape } from '../../src/vectors/vector-store.js';
import { ALL, IDS, many, NAMED, point, SMALL, type Subject } from './vector-store.suite.js';

const COSINE: Shape = { '': { size: 3, distance: 'cosine' } };
const IDS_OF_ALL_KINDS = [
  '0',
  '7',
  '10',
  String(2n ** 53n - 1n),
  String(2n ** 53n),
  String(2n ** 53n + 1n),
  String(2n ** 64n - 2n),
  String(2n ** 64n - 1n),
  '00000000-0000-0000-0000-000000000000',
  '018f7a2b-6c1d-7e3f-8a4b-5c6d7e8f9a0b',
  'ffffffff-ffff-ffff-ffff-ffffffffffff',
];

export function describeWrites(subject: Subject): void {
  test('a point that is there already is replaced whole', async () => {
    const space = await subject.space(NAMED);
    const first = { id: '1', vectors: { text: [1, 2], image: [0, 0, 1] }, payload: { a: 1, b: { c: 2 } } };
    await subject.store.upsert(space, [first]);
    expect(await subject.store.retrieve(space, ['1'], ALL)).toEqual([first]);
    const second = { id: '1', vectors: { text: [3, 4] }, payload: { d: 5 } };
    await subject.store.upsert(space, [second]);
    expect(await subject.store.retrieve(space, ['1'], ALL)).toEqual([second]);
    expect(await subject.store.count(space)).toBe(1);
  });

  test('ids of all kinds come back digit for digit, and neighbours are distinct', async () => {
    const space = await subject.space();
    await subject.store.upsert(
      space,
      IDS_OF_ALL_KINDS.map((id) => point(id, { said: id })),
    );
    expect(await subject.store.count(space)).toBe(IDS_OF_ALL_KINDS.length);
    const found = await subject.store.retrieve(space, IDS_OF_ALL_KINDS, ALL);
    expect(found).toEqual(IDS_OF_ALL_KINDS.map((id) => point(id, { said: id })));
    const hits = await subject.store.query(space, { vector: [1, 1, 1], using: '', limit: 20, ...ALL });
    expect(hits.map(({ id, payload }) => [id, payload!.said])).toEqual(hits.map(({ id }) => [id, id]));
    expect(hits.map(({ id }) => id).sort()).toEqual([...IDS_OF_ALL_KINDS].sort());
    for (const id of IDS_OF_ALL_KINDS) {
      expect(await subject.store.count(space, { must: [{ has_id: [id] }] })).toBe(1);
      expect(await subject.store.delete(space, { ids: [id] })).toBe(1);
    }
    expect(await subject.store.count(space)).toBe(0);
  });

  test.each<[string, Shape, Point['vectors'], string]>([
    ['a wrong size', SMALL, { '': [1, 2] }, '/points/1/vector'],
    ['no dimensions', SMALL, { '': [] }, '/points/1/vector'],
    ['an unknown name', SMALL, { other: [1, 2, 3] }, '/points/1/vector/other'],
    ['no name', NAMED, { '': [1, 2] }, '/points/1/vector'],
    ['no vector', NAMED, {}, '/points/1/vector'],
    ['a second vector of wrong size', NAMED, { text: [1, 2], image: [1] }, '/points/1/vector/image'],
    ['zero under cosine', COSINE, { '': [0, 0, 0] }, '/points/1/vector'],
    ['as good as zero under cosine', COSINE, { '': [1e-60, 0, 0] }, '/points/1/vector'],
    ['not a number', SMALL, { '': [1, Number.NaN, 3] }, '/points/1/vector'],
    ['infinite', SMALL, { '': [1, Number.POSITIVE_INFINITY, 3] }, '/points/1/vector'],
    ['too large for 32 bits', SMALL, { '': [1, 1e39, 3] }, '/points/1/vector'],
  ])(
    'a point that cannot be held is refused, and nothing of the request is written: %s',
    async (_, shape, vectors, pointer) => {
      const space = await subject.space(shape);
      const names = Object.entries(shape).map(([name, { size }]) => [name, Array(size).fill(1)]);
      const good = { id: '1', vectors: Object.fromEntries(names), payload: {} };
      await expect(
        subject.store.upsert(space, [good, { id: '2', vectors, payload: {} }]),
      ).rejects.toMatchObject({ code: 'invalid_point', errors: [{ pointer }] });
      expect(await subject.store.count(space)).toBe(0);
    },
  );

  test('payloads of every kind come back equal', async () => {
    const payloads: JsonObject[] = [
      {},
      { null: null, yes: true, no: false, empty: '', list: [], object: {} },
      { n: [0, -1, 1.5, -2.25e-7, 1e21, 1e300, 5e-324, 2 ** 53 - 1, -(2 ** 53 - 1), 0.1, 1 / 3] },
      { text: 'ü 日本語 🙂 "quoted" \\ / \b\f\n\r\t \u0001 \u2028', 'näme "x".y[0]': 1, '': 'no name' },
      { deep: { a: [{ b: [[{ c: null }]] }] }, mixed: [1, 'a', null, true, { x: [] }, [2]] },
      { long: 'x'.repeat(200_000), big: Array.from({ length: 5000 }, (_, i) => i / 8) },
      { must: 1, id: 'mine', vector: [1], payload: { payload: 2 }, constructor: 'c', toString: 3 },
    ];
    const space = await subject.space();
    await subject.store.upsert(
      space,
      payloads.map((payload, i) => point(String(i), payload)),
    );
    const ids = payloads.map((_, i) => String(i));
    const read = await subject.store.retrieve(space, ids, { payload: true, vectors: false });
    expect(read).toEqual(payloads.map((payload, i) => ({ id: String(i), payload })));
    const scanned = await subject.store.scan(space, { limit: 10, payload: true, vectors: false });
    expect(scanned.points).toEqual(read);
    const hits = await subject.store.query(space, {
      ...{ vector: [1, 1, 1], using: '', limit: 10, payload: true, vectors: false },
      filter: { must: [{ has_id: ids }] },
    });
    expect(hits.sort((a, b) => Number(a.id) - Number(b.id)).map(({ payload }) => payload)).toEqual(payloads);
  });

  test('a request of more than 8 MB', async () => {
    const space = await subject.space({ '': { size: 512, distance: 'dot' } });
    const points = Array.from({ length: 1000 }, (_, i) => ({
      id: String(i),
      vectors: { '': Array.from({ length: 512 }, (_, at) => Math.fround(Math.sin(i * 512 + at))) },
      payload: { i, text: 'x'.repeat(10_000) },
    }));
    await subject.store.upsert(space, points);
    expect(await subject.store.count(space)).toBe(1000);
    expect(await subject.store.retrieve(space, ['0', '500', '999'], ALL)).toEqual([
      points[0],
      points[500],
      points[999],
    ]);
  });

  test('deleting answers how many there were, by ids and by filter', async () => {
    const space = await subject.space();
    await subject.store.upsert(space, many(100));
    expect(await subject.store.delete(space, { ids: ['3', '4', '1000', String(2n ** 60n)] })).toBe(2);
    expect(await subject.store.delete(space, { ids: ['3'] })).toBe(0);
    expect(await subject.store.delete(space, { ids: [] })).toBe(0);
    expect(await subject.store.delete(space, { filter: { must: [{ key: 'n', range: { lt: 10 } }] } })).toBe(
      8,
    );
    expect(await subject.store.delete(space, { filter: { must: [{ key: 'n', range: { lt: 10 } }] } })).toBe(
      0,
    );
    expect(await subject.store.delete(space, { filter: { must: [{ has_id: ['50', '51', '3'] }] } })).toBe(2);
    expect(await subject.store.count(space)).toBe(88);
    expect((await subject.store.scan(space, { limit: 3, ...IDS })).points).toEqual([
      { id: '10' },
      { id: '11' },
      { id: '12' },
    ]);
    expect(await subject.store.delete(space, { filter: {} })).toBe(88);
    await subject.store.upsert(space, many(2));
    expect(await subject.store.count(space)).toBe(2);
  });

  test('20 who write and delete at once leave exact counts', async () => {
    const space = await subject.space();
    await Promise.all(Array.from({ length: 20 }, (_, i) => subject.store.upsert(space, many(50, i * 25))));
    expect(await subject.store.count(space)).toBe(19 * 25 + 50);
    const overlapping = Array.from({ length: 20 }, (_, i) =>
      subject.store.delete(space, { ids: many(20, i * 10).map(({ id }) => id) }),
    );
    const removed = (await Promise.all(overlapping)).reduce((sum, n) => sum + n, 0);
    // a store that has to count first may count one point for two who remove it at the same time
    expect(removed).toBeGreaterThanOrEqual(19 * 10 + 20);
    const left = 525 - (19 * 10 + 20);
    expect(await subject.store.count(space)).toBe(left);
    await Promise.all(
      Array.from({ length: 20 }, async (_, i) => {
        await subject.store.upsert(space, many(20, 10_000 + i * 20));
        const mine = { must: [{ key: 'n', range: { gte: 10_000 + i * 20, lt: 10_000 + i * 20 + 20 } }] };
        expect(await subject.store.count(space, mine)).toBe(20);
        expect(await subject.store.delete(space, { filter: mine })).toBe(20);
      }),
    );
    expect(await subject.store.count(space)).toBe(left);
    expect(await subject.store.count(space, { must_not: [{ is_null: { key: 'n' } }] })).toBe(left);
  });
}
