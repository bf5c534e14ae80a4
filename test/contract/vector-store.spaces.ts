import type { Shape } from '../../src/vectors/vector-store.js';
import { ALL, many, NAMED, newName, point, SMALL, type Subject } from './vector-store.suite.js';

export function describeSpaces(subject: Subject): void {
  test('it answers for its health, and says what it is', async () => {
    await subject.store.health();
    expect(subject.store.backend).toMatch(/^[a-z]+$/);
    expect(typeof subject.store.directWrites).toBe('boolean');
  });

  test('a space is made once: the same again changes nothing', async () => {
    const space = await subject.space(NAMED);
    const written = { id: '1', vectors: { text: [1, 2] }, payload: { a: 1 } };
    await subject.store.upsert(space, [written]);
    const reordered: Shape = { image: NAMED.image!, text: { distance: 'euclid', size: 2 } };
    await subject.store.ensure({ ...space, shape: reordered }, { a: 'integer', 'b.c': 'keyword' });
    await Promise.all(Array.from({ length: 5 }, () => subject.store.ensure(space)));
    expect(await subject.store.describe(space)).toEqual(NAMED);
    expect(await subject.store.retrieve(space, ['1'], ALL)).toEqual([written]);
  });

  test.each<[string, Shape]>([
    ['another size', { '': { size: 4, distance: 'dot' } }],
    ['another distance', { '': { size: 3, distance: 'cosine' } }],
    ['a name', { only: { size: 3, distance: 'dot' } }],
    ['other names', NAMED],
  ])('a space of another shape is refused, naming both: %s', async (_, shape) => {
    const space = await subject.space();
    await expect(subject.store.ensure({ name: space.name, shape })).rejects.toMatchObject({
      code: 'shape_mismatch',
      extra: { shape: SMALL, asked: shape },
    });
    expect(await subject.store.describe(space)).toEqual(SMALL);
  });

  test('a space made by many at once is there once', async () => {
    const space = { name: newName(), shape: SMALL };
    await Promise.all(Array.from({ length: 10 }, () => subject.store.ensure(space)));
    await subject.store.upsert(space, many(3));
    expect(await subject.store.count(space)).toBe(3);
    expect(await namesLike(subject, space.name)).toEqual([space.name]);
    await subject.store.drop(space.name);
  });

  test('a dropped space is gone, and dropping it again is no fault', async () => {
    const [space, other] = [await subject.space(), await subject.space()];
    await subject.store.upsert(space, many(10));
    await subject.store.upsert(other, many(4));
    await subject.store.drop(space.name);
    expect(await subject.store.describe(space)).toBeNull();
    expect(await namesLike(subject, space.name)).toEqual([]);
    await subject.store.drop(space.name);
    await subject.store.drop(newName());
    expect(await subject.store.count(other)).toBe(4);
  });

  test('spaces are listed by how their names begin', async () => {
    const start = newName();
    const names = ['', '-a', '-b', '-b-2', '_c'].map((end) => start + end);
    await Promise.all(names.map((name) => subject.store.ensure({ name, shape: SMALL })));
    expect(await namesLike(subject, start)).toEqual(names);
    expect(await namesLike(subject, `${start}-b`)).toEqual([`${start}-b`, `${start}-b-2`]);
    expect(await namesLike(subject, `${start}-x`)).toEqual([]);
    await Promise.all(names.map((name) => subject.store.drop(name)));
  });

  test.each<[string, (subject: Subject) => Promise<unknown>]>([
    ['upsert', ({ store }) => store.upsert(none(), many(1))],
    ['delete by ids', ({ store }) => store.delete(none(), { ids: ['1'] })],
    ['delete by filter', ({ store }) => store.delete(none(), { filter: {} })],
    ['retrieve', ({ store }) => store.retrieve(none(), ['1'], ALL)],
    ['scan', ({ store }) => store.scan(none(), { limit: 1, ...ALL })],
    ['scan with a filter', ({ store }) => store.scan(none(), { limit: 1, filter: IS_EMPTY, ...ALL })],
    ['query', ({ store }) => store.query(none(), { vector: [1, 2, 3], using: '', limit: 1, ...ALL })],
    ['count', ({ store }) => store.count(none())],
    ['count with a filter', ({ store }) => store.count(none(), IS_EMPTY)],
  ])('a space that is not there: %s', async (_, call) => {
    await expect(call(subject)).rejects.toMatchObject({ code: 'no_collection' });
  });

  test('what is in one space is not in another', async () => {
    const [one, two] = [await subject.space(), await subject.space()];
    await subject.store.upsert(one, [point('1', { of: 'one' }), point('2', { of: 'one' })]);
    await subject.store.upsert(two, [point('1', { of: 'two' })]);
    const query = { vector: [1, 1, 1], using: '', limit: 10, ...ALL };
    expect((await subject.store.query(two, query)).map(({ payload }) => payload)).toEqual([{ of: 'two' }]);
    expect((await subject.store.scan(two, { limit: 10, ...ALL })).points).toHaveLength(1);
    expect(await subject.store.delete(two, { ids: ['1', '2'] })).toBe(1);
    expect(await subject.store.delete(two, { filter: {} })).toBe(0);
    expect(await subject.store.retrieve(two, ['1', '2'], ALL)).toEqual([]);
    expect(await subject.store.count(one)).toBe(2);
    expect(await subject.store.retrieve(one, ['1'], ALL)).toEqual([point('1', { of: 'one' })]);
  });
}

const IS_EMPTY = { must: [{ is_empty: { key: 'a' } }] };
const none = () => ({ name: newName(), shape: SMALL });

async function namesLike({ store }: Subject, prefix: string): Promise<string[]> {
  const names: string[] = [];
  for await (const name of store.list(prefix)) names.push(name);
  return names.sort();
}
