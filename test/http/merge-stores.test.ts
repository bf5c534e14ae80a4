import { startApp, type TestApp } from '../setup/app.js';
import { eventually } from '../setup/eventually.js';
import { FakeQdrant } from '../setup/fake-qdrant/fake-qdrant.js';
import { merge, point, pointsOf, put, resultOf, SHAPE, session } from './histories.js';
import { at, expectOk, fresh, read } from './support.js';

const fake = new FakeQdrant();
/** Before it was told of Qdrant, and after. */
let before: TestApp;
let after: TestApp;
beforeAll(async () => {
  await fake.start();
  before = await startApp({ ROLE: 'api' });
  after = await startApp({ QDRANT_URL: fake.url }, before);
});
afterAll(async () => {
  await after.close();
  await before.close();
  await fake.stop();
});

const rows = (from: number, count: number, of: string) =>
  Array.from({ length: count }, (_, n) => point(from + n, [from + n, 1], { of }));

test.each([
  ['keep_first', 'PostgreSQL', 0],
  ['keep_last', 'Qdrant', 0],
  ['remap', 'PostgreSQL', 100],
])('sources in both stores become one session in Qdrant: %s', async (on_point_conflict, first, remapped) => {
  const [old, recent] = [before, after].map(({ api }) => api.as('alice')) as [
    typeof before.api,
    typeof before.api,
  ];
  const [a, b] = [
    await session(old, { session_id: fresh('old'), configuration: SHAPE }),
    await session(recent, { session_id: fresh('recent'), configuration: SHAPE }),
  ];
  await put(old, a, ...rows(0, 400, 'PostgreSQL'));
  await put(recent, b, ...rows(300, 400, 'Qdrant'));
  const target = resultOf(await merge(recent, { session_ids: [a, b], on_point_conflict }));
  expect(target).toMatchObject({ points: 700 + remapped, remapped });
  const backends = [a, b, target.session_id].map(async (id) => (await read(recent, id)).collection.backend);
  expect(await Promise.all(backends)).toEqual(['postgres', 'qdrant', 'qdrant']);
  const merged = await pointsOf(recent, target.session_id);
  const byId = new Map(merged.map((one) => [one.id, one]));
  for (let id = 0; id < 700; id++) {
    const of = id < 300 ? 'PostgreSQL' : id >= 400 ? 'Qdrant' : first;
    expect(byId.get(id)).toEqual(point(id, [id, 1], { of }));
  }
  const moved = merged.filter(({ payload }) => payload._origin);
  expect(moved.map(({ payload }) => payload._origin.id).sort()).toEqual(
    remapped ? Array.from({ length: 100 }, (_, n) => 300 + n) : [],
  );
});

test('a collection that has got another shape since the merge failed: tried again, it fails for that', async () => {
  const alice = after.api.as('alice');
  const [a, b] = [
    await session(alice, { configuration: SHAPE }),
    await session(alice, { configuration: SHAPE }),
  ];
  await put(alice, a, point(1, [1, 0]));
  await put(alice, b, point(1, [2, 0]));
  const { job_id } = expectOk(await merge(alice, { session_ids: [a, b] }));
  expectOk(await alice.delete(at(b, '/collection')), 204);
  expectOk(await alice.put(at(b, '/collection'), { vectors: { size: 3, distance: 'euclid' } }), 201);
  await put(alice, b, point(7, [1, 2, 3]));
  expect(expectOk(await alice.get(`/jobs/${job_id}`)).error.code).toBe('point_conflict');
  expectOk(await alice.post(`/jobs/${job_id}/retry`));
  const again = await eventually(
    async () => expectOk(await alice.get(`/jobs/${job_id}`)),
    ({ finished_at }) => finished_at !== null,
  );
  expect(again).toMatchObject({ state: 'failed', error: { code: 'shape_mismatch' } });
  expect(await pointsOf(alice, b)).toEqual([point(7, [1, 2, 3])]);
});
