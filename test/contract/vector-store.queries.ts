import type { Distance, Point } from '../../src/vectors/vector-store.js';
import { ALL, IDS, many, NAMED, point, type Subject } from './vector-store.suite.js';

const product = (a: number[], b: number[]) => a.reduce((sum, value, i) => sum + value * b[i]!, 0);
const SCORES: Record<Distance, (a: number[], b: number[]) => number> = {
  cosine: (a, b) => product(a, b) / Math.sqrt(product(a, a) * product(b, b)),
  dot: product,
  euclid: (a, b) => Math.hypot(...a.map((value, i) => value - b[i]!)),
  manhattan: (a, b) => a.reduce((sum, value, i) => sum + Math.abs(value - b[i]!), 0),
};
const vector = (seed: number) => Array.from({ length: 8 }, (_, i) => Math.fround(Math.sin(seed * 8 + i) * 3));

export function describeQueries(subject: Subject): void {
  describe.each(Object.entries(SCORES) as [Distance, (typeof SCORES)[Distance]][])(
    'by %s',
    (distance, score) => {
      const wanted = vector(1000);
      const points: Point[] = Array.from({ length: 300 }, (_, i) => point(String(i), { n: i }, vector(i)));
      const isNear = distance === 'cosine' || distance === 'dot';
      const ranked = points
        .map(({ id, vectors }) => ({ id, score: score(wanted, vectors['']!) }))
        .sort((a, b) => (isNear ? b.score - a.score : a.score - b.score));
      const space = async () => {
        const made = await subject.space({ '': { size: 8, distance } });
        await subject.store.upsert(made, points);
        return made;
      };
      const expectSame = (hits: { id: string; score: number }[], expected: typeof ranked) => {
        expect(hits.map(({ id }) => id)).toEqual(expected.map(({ id }) => id));
        for (const [at, hit] of hits.entries()) expect(hit.score).toBeCloseTo(expected[at]!.score, 4);
      };

      test('scores, order, limit, threshold and filter', async () => {
        const made = await space();
        const ask = { vector: wanted, using: '', ...IDS };
        expectSame(await subject.store.query(made, { ...ask, limit: 10 }), ranked.slice(0, 10));
        expectSame(await subject.store.query(made, { ...ask, limit: 1000 }), ranked);
        const scoreThreshold = (ranked[20]!.score + ranked[21]!.score) / 2;
        expectSame(
          await subject.store.query(made, { ...ask, limit: 100, scoreThreshold }),
          ranked.slice(0, 21),
        );
        expectSame(await subject.store.query(made, { ...ask, limit: 5, scoreThreshold }), ranked.slice(0, 5));
        const filter = { must: [{ key: 'n', range: { lt: 30 } }] };
        const few = ranked.filter(({ id }) => Number(id) < 30);
        expectSame(await subject.store.query(made, { ...ask, limit: 1000, filter }), few);
        expectSame(await subject.store.query(made, { ...ask, limit: 4, filter }), few.slice(0, 4));
        const nobody = { must: [{ key: 'n', match: { value: 'none' } }] };
        expect(await subject.store.query(made, { ...ask, limit: 4, filter: nobody })).toEqual([]);
        await subject.store.delete(made, { ids: [ranked[0]!.id] });
        expectSame(await subject.store.query(made, { ...ask, limit: 3 }), ranked.slice(1, 4));
      });
    },
  );

  test('a query brings what was asked for', async () => {
    const space = await subject.space();
    await subject.store.upsert(space, many(3));
    const ask = { vector: [1, 0, 0], using: '', limit: 1, filter: { must: [{ has_id: ['2'] }] } };
    const hit = { id: '2', score: 1 };
    expect(await subject.store.query(space, { ...ask, ...IDS })).toEqual([hit]);
    expect(await subject.store.query(space, { ...ask, payload: true, vectors: false })).toEqual([
      { ...hit, payload: { n: 2 } },
    ]);
    expect(await subject.store.query(space, { ...ask, ...ALL })).toEqual([
      { ...hit, ...point('2', { n: 2 }) },
    ]);
  });

  test('one of several vectors is searched by its name, in points that have it', async () => {
    const space = await subject.space(NAMED);
    await subject.store.upsert(space, [
      { id: '1', vectors: { text: [3, 4] }, payload: {} },
      { id: '2', vectors: { image: [0, 2, 0] }, payload: {} },
      { id: '3', vectors: { text: [0, 1], image: [3, 0, 0] }, payload: {} },
    ]);
    const text = { vector: [0, 0], using: 'text', limit: 10, ...IDS };
    expect(await subject.store.query(space, text)).toEqual([
      { id: '3', score: 1 },
      { id: '1', score: 5 },
    ]);
    const image = { vector: [1, 0, 0], using: 'image', limit: 10, ...IDS };
    expect(await subject.store.query(space, image)).toEqual([
      { id: '3', score: 1 },
      { id: '2', score: 0 },
    ]);
    await subject.store.upsert(space, [{ id: '3', vectors: { text: [0, 1] }, payload: {} }]);
    expect((await subject.store.query(space, image)).map(({ id }) => id)).toEqual(['2']);
  });

  test.each([
    ['a wrong size', { vector: [1, 2], using: 'image' }, '/vector/image'],
    ['an unknown name', { vector: [1, 2], using: 'other' }, '/using'],
    ['zero under cosine', { vector: [0, 0, 0], using: 'image' }, '/vector/image'],
    ['not a number', { vector: [Number.NaN, 1], using: 'text' }, '/vector/text'],
  ])('a query that nothing can be compared with is refused: %s', async (_, ask, pointer) => {
    const space = await subject.space(NAMED);
    await expect(subject.store.query(space, { ...ask, limit: 1, ...IDS })).rejects.toMatchObject({
      code: 'invalid_point',
      errors: [{ pointer }],
    });
  });

  test('an empty space has no hits', async () => {
    const space = await subject.space();
    expect(await subject.store.query(space, { vector: [1, 2, 3], using: '', limit: 5, ...ALL })).toEqual([]);
    expect(await subject.store.count(space)).toBe(0);
    expect(await subject.store.count(space, {})).toBe(0);
    expect(await subject.store.scan(space, { limit: 5, ...ALL })).toEqual({ points: [], next: null });
  });
}
