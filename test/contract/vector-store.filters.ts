import type { JsonObject } from '../../src/common/json.js';
import type { Condition, Filter } from '../../src/vectors/filter.js';
import type { PointId } from '../../src/vectors/point-id.js';
import type { Point, Space } from '../../src/vectors/vector-store.js';
import { meets } from './filter-oracle.js';
import { Random, randomFilter, randomPayload } from './random-filters.js';
import { IDS, point, type Subject } from './vector-store.suite.js';

const SEED = Number(process.env.FILTER_SEED ?? 20261121);
const POINTS = 5000;

/** What a condition finds among these payloads, by their place. */
const CASES: [string, JsonObject[], Condition, number[]][] = [
  [
    'text is compared as it is written',
    [{ a: 'x' }, { a: 'X' }, { a: ['y', 'x'] }],
    { key: 'a', match: { value: 'x' } },
    [0, 2],
  ],
  [
    'an integer is no text, no boolean and no fraction',
    [{ a: 1 }, { a: '1' }, { a: true }, { a: 1.5 }, { a: [0, 1] }],
    { key: 'a', match: { value: 1 } },
    [0, 4],
  ],
  [
    'booleans',
    [{ a: true }, { a: 1 }, { a: 'true' }, { a: [false] }],
    { key: 'a', match: { value: true } },
    [0],
  ],
  [
    'an element of a list within a list is not looked at',
    [{ a: [[1]] }, { a: [1] }],
    { key: 'a', match: { value: 1 } },
    [1],
  ],
  ['any', [{ a: 1 }, { a: 2 }, { a: ['x', 3] }, {}], { key: 'a', match: { any: [2, 3] } }, [1, 2]],
  ['any of nothing', [{ a: 1 }, {}], { key: 'a', match: { any: [] } }, []],
  [
    'except finds other kinds, not null and not what is missing',
    [{ a: 1 }, { a: 'x' }, { a: null }, {}, { a: [1] }, { a: [1, 2] }, { a: {} }, { a: [] }, { a: false }],
    { key: 'a', match: { except: [1] } },
    [1, 5, 6, 8],
  ],
  [
    'text within text',
    [{ a: 'green tea' }, { a: 'Green' }, { a: ['x', 'evergreen'] }, { a: 5 }],
    { key: 'a', match: { text: 'green' } },
    [0, 2],
  ],
  [
    'a range of numbers',
    [{ a: 1 }, { a: 1.5 }, { a: '1.5' }, { a: true }, { a: [9, 2] }, { a: null }],
    { key: 'a', range: { gt: 1, lte: 2 } },
    [1, 4],
  ],
  [
    'a range of times',
    [
      { a: '2024-01-15T12:00:00+02:00' },
      { a: '2024-01-15' },
      { a: '2024-01-15 10:00:00' },
      { a: '2024-01-15T10:00' },
      { a: 1705312800 },
      { a: 'soon' },
    ],
    { key: 'a', range: { gte: '2024-01-15T10:00:00Z', lt: '2024-01-16' } },
    [0, 2, 3],
  ],
  [
    'is_empty',
    [{}, { a: null }, { a: [] }, { a: [null] }, { a: {} }, { a: '' }, { a: 0 }],
    { is_empty: { key: 'a' } },
    [0, 1, 2],
  ],
  ['is_null', [{}, { a: null }, { a: [] }, { a: [null] }, { a: 0 }], { is_null: { key: 'a' } }, [1]],
  [
    'values_count',
    [{}, { a: null }, { a: [] }, { a: 5 }, { a: [1, 2] }, { a: { x: 1, y: 2 } }],
    { key: 'a', values_count: { gte: 1 } },
    [3, 4, 5],
  ],
  [
    'values_count of none',
    [{}, { a: null }, { a: [] }, { a: 5 }],
    { key: 'a', values_count: { lt: 1 } },
    [1, 2],
  ],
  [
    'paths',
    [{ a: { b: 1 } }, { 'a.b': 1 }, { a: [{ b: 1 }] }, { a: { b: [1] } }],
    { key: 'a.b', match: { value: 1 } },
    [0, 3],
  ],
  [
    'paths into lists',
    [{ a: { b: 1 } }, { a: [{ b: 2 }, { b: 1 }] }, { a: [1] }],
    { key: 'a[].b', match: { value: 1 } },
    [1],
  ],
  ['places in lists', [{ a: [1, 2] }, { a: [2, 1] }, { a: 1 }], { key: 'a[0]', match: { value: 1 } }, [0]],
  ['names in quotes', [{ a: { b: 1 } }, { 'a.b': 1 }], { key: '"a.b"', match: { value: 1 } }, [1]],
  [
    'nested: one element meets all',
    [{ a: [{ b: 1, c: 2 }] }, { a: [{ b: 1 }, { c: 2 }] }, { a: { b: 1, c: 2 } }, { a: [1] }],
    {
      nested: {
        key: 'a',
        filter: {
          must: [
            { key: 'b', match: { value: 1 } },
            { key: 'c', match: { value: 2 } },
          ],
        },
      },
    },
    [0],
  ],
  [
    'nested: one element without',
    [{ a: [{ b: 1 }] }, { a: [{ b: 1 }, { b: 2 }] }, { a: [] }, {}],
    { nested: { key: 'a', filter: { must_not: [{ key: 'b', match: { value: 1 } }] } } },
    [1],
  ],
  [
    'nested: empty lists of conditions',
    [{ a: [{ b: 1 }] }, { a: [] }],
    { nested: { key: 'a', filter: { must: [], should: [] } } },
    [0],
  ],
  [
    'nested: elements have no id',
    [{ a: [{}] }, { a: [] }],
    { nested: { key: 'a', filter: { must: [{ has_id: ['0', '1'] }] } } },
    [],
  ],
  ['has_id', [{}, {}, {}], { has_id: ['1', '9'] }, [1]],
  ['no conditions', [{}, {}], {}, [0, 1]],
  ['empty lists of conditions', [{}, {}], { must: [], should: [], must_not: [] }, [0, 1]],
  [
    'must, should and must_not together',
    [{ a: 1, b: 1 }, { a: 1, b: 2 }, { a: 1, b: 3 }, { b: 1 }],
    {
      must: [{ key: 'a', match: { value: 1 } }],
      should: [
        { key: 'b', match: { value: 1 } },
        { key: 'b', match: { value: 3 } },
      ],
      must_not: [{ has_id: ['0'] }],
    },
    [2],
  ],
];

export function describeFilters(subject: Subject, filters: number): void {
  const idsOf = async (space: Space, filter: Filter, limit: number) => {
    const { points, next } = await subject.store.scan(space, { filter, limit, ...IDS });
    expect(next).toBeNull();
    return points.map(({ id }) => id);
  };

  test('conditions mean what Qdrant documents', async () => {
    const space = await subject.space();
    for (const [name, payloads, condition, expected] of CASES) {
      await subject.store.delete(space, { filter: {} });
      await subject.store.upsert(
        space,
        payloads.map((payload, at) => point(String(at), payload)),
      );
      const found = await idsOf(space, { must: [condition] }, 100);
      expect([name, found]).toEqual([name, expected.map(String)]);
      const others = await idsOf(space, { must_not: [condition] }, 100);
      const rest = payloads.map((_, at) => at).filter((at) => !expected.includes(at));
      expect([name, others]).toEqual([name, rest.map(String)]);
      const oracle = payloads.map((payload, at) => meets({ must: [condition] }, payload, String(at)));
      expect([name, oracle]).toEqual([name, payloads.map((_, at) => expected.includes(at))]);
    }
  });

  test(`${filters} random filters over ${POINTS} random payloads find what they should`, async () => {
    console.log(`random filters: FILTER_SEED=${SEED}`);
    const random = new Random(SEED);
    const points: Point[] = Array.from({ length: POINTS }, (_, i) => point(String(i), randomPayload(random)));
    const ids = points.map(({ id }): PointId => id);
    const space = await subject.space();
    for (let at = 0; at < POINTS; at += 500) await subject.store.upsert(space, points.slice(at, at + 500));
    let isTelling = 0;
    for (let n = 0; n < filters; n++) {
      const filter = randomFilter(random, ids);
      const expected = points.filter(({ id, payload }) => meets(filter, payload, id)).map(({ id }) => id);
      const found = await idsOf(space, filter, POINTS);
      if (found.join() !== expected.join()) throw new Error(difference(filter, points, expected, found));
      if (n % 10 === 0) expect(await subject.store.count(space, filter)).toBe(expected.length);
      if (expected.length > 0 && expected.length < POINTS) isTelling += 1;
    }
    expect(isTelling).toBeGreaterThan(filters / 4);
  }, 900_000);
}

function difference(filter: Filter, points: Point[], expected: PointId[], found: PointId[]): string {
  const wrong = points.find(({ id }) => expected.includes(id) !== found.includes(id));
  return [
    `FILTER_SEED=${SEED}: ${JSON.stringify(filter)} should find ${expected.length}, found ${found.length}`,
    `first: ${wrong?.id} ${JSON.stringify(wrong?.payload)}, ${expected.includes(wrong?.id ?? '') ? 'not found' : 'found'}`,
  ].join('\n');
}
