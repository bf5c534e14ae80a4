import { derivedId } from '../../src/common/ids.js';
import type { Filter } from '../../src/vectors/filter.js';
import { comparePointIds } from '../../src/vectors/point-id.js';
import type { Space, VectorStore } from '../../src/vectors/vector-store.js';
import { FakeQdrant } from '../setup/fake-qdrant/fake-qdrant.js';
import { allIds, allNames, installation, LAYOUTS, PLANE, point, storeAt } from '../setup/qdrant.js';

const real = process.env.QDRANT_URL;
if (!real) console.info('QDRANT_URL is not set: the layouts are tested over the fake Qdrant only');

const BOTH = { payload: true, vectors: true };
const MAX_U64 = '18446744073709551615';

const fake = new FakeQdrant();
beforeAll(() => fake.start());
afterAll(() => fake.stop());

const urlOf = (server: string) => (server === 'real' ? real! : fake.url);
const SERVERS = real ? ['fake', 'real'] : ['fake'];
const CASES = SERVERS.flatMap((server) => LAYOUTS.map((layout) => ({ server, layout })));

describe.each(CASES)('$layout over the $server Qdrant', ({ server, layout }) => {
  const { space, prefix } = installation();
  let store: VectorStore;
  beforeAll(async () => {
    store = (await storeAt(urlOf(server), layout)).store;
  });
  afterAll(async () => {
    for await (const name of store.list(prefix)) await store.drop(name);
  });

  async function made(shape = PLANE): Promise<Space> {
    const one = space(shape);
    await store.ensure(one);
    return one;
  }

  it('keeps ids apart that a double cannot', async () => {
    const one = await made();
    const ids = [
      '0',
      '9007199254740991',
      '9007199254740992',
      '9007199254740993',
      '18446744073709551614',
      MAX_U64,
    ];
    await store.upsert(
      one,
      ids.map((id) => point(id, { own: id, id: 12345678901234567000 })),
    );
    expect(await allIds(store, one, 2)).toEqual(ids);
    const found = await store.retrieve(one, ids.toReversed(), BOTH);
    expect(found.map(({ id, payload }) => [id, payload])).toEqual(
      ids.toReversed().map((id) => [id, { own: id, id: 12345678901234567000 }]),
    );
    const only: Filter = { must: [{ has_id: ['9007199254740993', MAX_U64] }] };
    expect(await store.count(one, only)).toBe(2);
    const hits = await store.query(one, { vector: [1, 0], using: '', filter: only, limit: 9, ...BOTH });
    expect(hits.map(({ id }) => id).sort(comparePointIds)).toEqual(['9007199254740993', MAX_U64]);
    expect(await store.delete(one, { ids: ['9007199254740993', '1'] })).toBe(1);
    expect(await allIds(store, one, 10)).toEqual(ids.filter((id) => id !== '9007199254740993'));
  });

  it('gives pages in the order of the ids, however they cluster', async () => {
    const one = await made();
    const uuid = (high: string, low: number) =>
      `${high}-0000-4000-8000-${low.toString(16).padStart(12, '0')}`;
    const ids = [
      ...Array.from({ length: 30 }, (_, n) => String(n * 3)),
      ...Array.from({ length: 10 }, (_, n) => String(2n ** 63n + BigInt(n))),
      ...Array.from({ length: 30 }, (_, n) => uuid('00000000', n)),
      ...Array.from({ length: 30 }, (_, n) => derivedId('scattered', n)),
      uuid('ffffffff', 1),
    ];
    await store.upsert(one, ids.map((id, n) => point(id, { even: n % 2 === 0 })).toReversed());
    const sorted = ids.toSorted(comparePointIds);
    for (const limit of [1, 7, 100, 101, 102]) expect(await allIds(store, one, limit)).toEqual(sorted);
    const even: Filter = { must: [{ key: 'even', match: { value: true } }] };
    const chosen = new Set(ids.filter((_, n) => n % 2 === 0));
    expect(await allIds(store, one, 4, even)).toEqual(sorted.filter((id) => chosen.has(id)));
    const { next } = await store.scan(one, { after: sorted.at(-1)!, limit: 1, ...BOTH });
    expect(next).toBeNull();
  });

  it('holds payloads that look like its own', async () => {
    const one = await made();
    const payload = {
      space: 'other',
      id: '77',
      payload: { payload: { space: one.name } },
      order1: -1,
      order2: 'x',
      order3: null,
      '"quoted': { 'a.b': 1 },
    };
    await store.upsert(one, [point(1, payload), point(2, {}), point(3, { payload: 'other' })]);
    expect((await store.retrieve(one, ['1'], BOTH))[0]).toEqual({
      id: '1',
      payload,
      vectors: { '': [1, 0] },
    });
    const ids = (filter: Filter) => allIds(store, one, 10, filter);
    expect(await ids({ must: [{ key: 'space', match: { value: 'other' } }] })).toEqual(['1']);
    expect(await ids({ must: [{ key: 'space', match: { value: one.name } }] })).toEqual([]);
    expect(await ids({ must: [{ key: 'payload.payload.space', match: { value: one.name } }] })).toEqual([
      '1',
    ]);
    expect(await ids({ must: [{ is_empty: { key: 'space' } }] })).toEqual(['2', '3']);
    expect(await ids({ must: [{ is_empty: { key: 'payload' } }] })).toEqual(['2']);
    expect(await ids({ must: [{ is_null: { key: 'order3' } }] })).toEqual(['1']);
    expect(await ids({ must: [{ key: 'order1', range: { lt: 0 } }] })).toEqual(['1']);
    expect(await ids({ must: [{ key: 'id', values_count: { gte: 1 } }] })).toEqual(['1']);
  });

  it('never shows what is in another space', async () => {
    const spaces = await Promise.all([made(), made(), made()]);
    const kept = new Map<string, Map<string, number>>(spaces.map(({ name }) => [name, new Map()]));
    let seed = 7;
    const below = (limit: number) => {
      seed = (seed * 48_271) % 2_147_483_647;
      return seed % limit;
    };
    for (let step = 0; step < 60; step++) {
      const one = spaces[below(3)]!;
      const mine = kept.get(one.name)!;
      const id = String(below(12));
      if (below(3) > 0) {
        await store.upsert(one, [point(id, { step, of: one.name })]);
        mine.set(id, step);
      } else if (below(2) > 0) {
        expect(await store.delete(one, { ids: [id] })).toBe(mine.delete(id) ? 1 : 0);
      } else {
        const chosen = [...mine].filter(([, at]) => at < step - 20).map(([own]) => own);
        const filter: Filter = { should: [{ key: 'step', range: { lt: step - 20 } }] };
        expect(await store.delete(one, { filter })).toBe(chosen.length);
        for (const own of chosen) mine.delete(own);
      }
    }
    for (const one of spaces) {
      const mine = [...kept.get(one.name)!].sort(([a], [b]) => comparePointIds(a, b));
      const { points } = await store.scan(one, { limit: 100, payload: true, vectors: false });
      expect(points).toEqual(mine.map(([id, step]) => ({ id, payload: { step, of: one.name } })));
      const hits = await store.query(one, {
        vector: [1, 1],
        using: '',
        limit: 100,
        payload: true,
        vectors: false,
      });
      expect(new Set(hits.map(({ payload }) => payload!.of))).toEqual(new Set(mine.length ? [one.name] : []));
      expect(hits).toHaveLength(mine.length);
      const all = Array.from({ length: 12 }, (_, n) => String(n));
      expect((await store.retrieve(one, all, BOTH)).map(({ id }) => id)).toEqual(mine.map(([id]) => id));
      expect(
        await store.count(one, { should: [{ has_id: all }, { key: 'of', match: { except: [one.name] } }] }),
      ).toBe(mine.length);
    }
    await store.drop(spaces[0]!.name);
    for (const one of spaces.slice(1)) expect(await store.count(one)).toBe(kept.get(one.name)!.size);
  });

  it('makes a space once, whoever else is at it, and of the shape of the first', async () => {
    const one = space();
    await Promise.all(Array.from({ length: 6 }, () => store.ensure(one, { a: 'keyword', 'b.c': 'integer' })));
    await store.ensure(one, { 'd[].e': 'float', '"f.g"': 'bool' });
    await store.upsert(one, [point(1)]);
    const other = { ...one, shape: { '': { size: 3, distance: 'cosine' as const } } };
    await expect(store.ensure(other)).rejects.toMatchObject({
      code: 'shape_mismatch',
      extra: { shape: PLANE, asked: other.shape },
    });
    expect(await store.describe(one)).toEqual(PLANE);
    expect(await store.count(one)).toBe(1);
    expect(store.directWrites).toBe(layout === 'dedicated');
  });

  it('knows no space that was not made or is dropped', async () => {
    const gone = await made();
    await store.upsert(gone, [point(1)]);
    await store.drop(gone.name);
    await store.drop(gone.name);
    for (const one of [gone, space()]) {
      expect(await store.describe(one)).toBeNull();
      const calls: (() => Promise<unknown>)[] = [
        () => store.upsert(one, [point(1)]),
        () => store.retrieve(one, ['1'], BOTH),
        () => store.scan(one, { limit: 1, ...BOTH }),
        () => store.query(one, { vector: [1, 0], using: '', limit: 1, ...BOTH }),
        () => store.count(one),
        () => store.delete(one, { ids: ['1'] }),
      ];
      for (const call of calls) await expect(call()).rejects.toMatchObject({ code: 'no_collection' });
    }
  });

  it('lists the spaces that begin so', async () => {
    const mine = installation();
    const names = [mine.space(), mine.space(), mine.space()];
    for (const one of names) await store.ensure(one);
    const list = (begin: string) => allNames(store, begin);
    expect(await list(mine.prefix)).toEqual(names.map(({ name }) => name));
    expect(await list(`${mine.prefix}_2`)).toEqual([names[1]!.name]);
    expect(await list(`${mine.prefix}x`)).toEqual([]);
    for (const one of names) await store.drop(one.name);
    expect(await list(mine.prefix)).toEqual([]);
  });

  it('keeps several vectors, and compares them as the contract says', async () => {
    const one = await made({ a: { size: 2, distance: 'cosine' }, b: { size: 2, distance: 'euclid' } });
    await store.upsert(one, [
      { id: '1', vectors: { a: [1e-20, 0], b: [3, 4] }, payload: {} },
      { id: '2', vectors: { a: [0, 5] }, payload: {} },
      { id: '3', vectors: { a: [3e38, 3e38], b: [6, 8] }, payload: {} },
    ]);
    const near = async (using: string, vector: number[], scoreThreshold?: number) =>
      (
        await store.query(one, { using, vector, scoreThreshold, limit: 9, payload: false, vectors: false })
      ).map(({ id, score }) => [id, score]);
    expect(await near('a', [7, 0])).toEqual([
      ['1', expect.closeTo(1, 5)],
      ['3', expect.closeTo(Math.SQRT1_2, 5)],
      ['2', expect.closeTo(0, 5)],
    ]);
    expect(await near('b', [0, 0])).toEqual([
      ['1', 5],
      ['3', 10],
    ]);
    expect(await near('b', [0, 0], 5)).toEqual([['1', 5]]);
    expect(await near('a', [7, 0], 0.5)).toHaveLength(2);
    await store.upsert(one, [{ id: '1', vectors: { b: [1, 1] }, payload: {} }]);
    expect((await store.retrieve(one, ['1'], BOTH))[0]!.vectors).toEqual({ b: [1, 1] });
    expect(await near('a', [7, 0], 0.9)).toEqual([]);
  });
});
