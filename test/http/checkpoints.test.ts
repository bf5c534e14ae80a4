import type { Api } from '../setup/api.js';
import { startApp, type TestApp } from '../setup/app.js';
import {
  at,
  atOnce,
  create,
  eventsOf,
  expectOk,
  expectRefused,
  fresh,
  read,
  TIME,
  walkByCursor,
} from './support.js';

let app: TestApp;
let api: Api;
let id: string;
let path: string;

beforeAll(async () => {
  app = await startApp();
});
afterAll(() => app.close());
beforeEach(async () => {
  api = app.api.as(fresh());
  id = (await create(api)).session_id;
  path = at(id, '/checkpoints');
});

const save = async (checkpoint: object, more: object = {}) =>
  expectOk(await api.post(path, { checkpoint, ...more }), 201);
const saved = () => walkByCursor(api, path, 'checkpoints', { limit: 200 });

it('is numbered, kept beside the earlier ones, and shown on the session', async () => {
  expect((await read(api, id)).checkpoint).toBeNull();
  const first = await save({ step: 1 }, { metadata: { by: 'agent' } });
  expect(first).toEqual({
    n: 1,
    checkpoint: { step: 1 },
    metadata: { by: 'agent' },
    created_at: expect.stringMatching(TIME),
  });
  const second = await save({ other: 2 });
  expect(second).toMatchObject({ n: 2, checkpoint: { other: 2 }, metadata: {} });
  expect((await read(api, id)).checkpoint).toEqual({ other: 2 });
  expect(await saved()).toEqual([second, first]);
  expect(expectOk(await api.get(`${path}/1`))).toEqual(first);
});

it.each([
  ['POST of a session', async () => (await create(api, { checkpoint: { a: 1 } })).session_id],
  ['PUT', async () => expectOk(await api.put(at(id), { checkpoint: { a: 1 } })).session_id],
  ['PATCH', async () => expectOk(await api.patch(at(id), { checkpoint: { a: 1 } })).session_id],
])('is saved by %s too', async (_, act) => {
  const session = await act();
  const { checkpoints } = expectOk(await api.get(at(session, '/checkpoints')));
  expect(checkpoints).toMatchObject([{ n: 1, checkpoint: { a: 1 }, metadata: {} }]);
  const told = (await eventsOf(api, session)).filter(({ event_type }) => event_type === 'checkpoint.saved');
  expect(told.map(({ payload }) => payload)).toEqual([{ n: 1 }]);
});

it('is replaced whole, never merged', async () => {
  await save({ a: 1, nested: { x: 1 } });
  expectOk(await api.patch(at(id), { checkpoint: { nested: { y: 2 } } }));
  expect((await read(api, id)).checkpoint).toEqual({ nested: { y: 2 } });
});

it('is no new one when an edit names it as it is, and can be taken off the session', async () => {
  await save({ a: 1 });
  expectOk(await api.put(at(id), { checkpoint: { a: 1 }, title: 'T' }));
  expect(expectOk(await api.patch(at(id), { checkpoint: null })).checkpoint).toBeNull();
  expect(await saved()).toMatchObject([{ n: 1 }]);
  expect((await save({ b: 2 })).n).toBe(2);
});

it('is saved once under an Idempotency-Key, also by 20 twins at once', async () => {
  const key = { 'idempotency-key': 'k' };
  const answers = await atOnce(20, () => api.post(path, { checkpoint: { a: 1 } }, key));
  expect(answers.map(({ status }) => status)).toEqual(Array(20).fill(201));
  expect(new Set(answers.map(({ text }) => text)).size).toBe(1);
  expect(await saved()).toHaveLength(1);
  expectRefused(await api.post(path, { checkpoint: { a: 2 } }, key), 422, 'key_reused');
});

it('is numbered without gap or double by 16 writers', async () => {
  await atOnce(16, async (writer) => {
    for (let i = 0; i < 5; i++) await save({ writer, i });
  });
  expect((await saved()).map(({ n }) => n)).toEqual(Array.from({ length: 80 }, (_, i) => 80 - i));
});

it('is kept among the newest 1,000, and pages walk over all of them', async () => {
  await app.database.pool.query(
    `with s as (select key from sessions where id = $1),
       d as (update session_details set checkpoint_n = 1000 where key = (select key from s))
     insert into checkpoints select s.key, n, '{}', '{}', now() from s, generate_series(1, 1000) n`,
    [id],
  );
  expect((await save({ newest: true })).n).toBe(1001);
  const walked = await walkByCursor(api, path, 'checkpoints', { limit: 150 });
  expect(walked.map(({ n }) => n)).toEqual(Array.from({ length: 1000 }, (_, i) => 1001 - i));
  expectRefused(await api.get(`${path}/1`), 404, 'checkpoint_not_found');
});

it('of the largest size is kept as it is, one byte more is not', async () => {
  const largest = { a: 'x'.repeat(1024 * 1024 - '{"a":""}'.length) };
  expect((await save(largest)).checkpoint).toEqual(largest);
  expectRefused(await api.post(path, { checkpoint: { a: `${largest.a}x` } }), 413, 'too_large');
  expectRefused(
    await api.post(path, { checkpoint: {}, metadata: { a: 'x'.repeat(65_536) } }),
    413,
    'too_large',
  );
  for (let i = 0; i < 9; i++) await save(largest);
  const page = expectOk(await api.get(path));
  expect(page.checkpoints.length).toBeLessThan(10);
  expect(await walkByCursor(api, path, 'checkpoints', {}, false)).toHaveLength(10);
});

it.each(['0', '-1', 'x', '1.5', '99999999999999999999'])('has no number %s', async (n) => {
  expectRefused(await api.get(`${path}/${n}`), 422, 'invalid');
});

it.each([
  {},
  { checkpoint: null },
  { checkpoint: [] },
  { checkpoint: {}, metadata: null },
  { checkpoint: {}, n: 1 },
])('is not %j', async (body) => {
  expectRefused(await api.post(path, body), 422, 'invalid');
});

it('goes with a session deleted for good', async () => {
  await save({ secret: 1 });
  expect((await api.delete(at(id, '?permanent=true'))).status).toBe(204);
  const made = await create(api, { session_id: id });
  expect(made.checkpoint).toBeNull();
  expect(await saved()).toEqual([]);
});
