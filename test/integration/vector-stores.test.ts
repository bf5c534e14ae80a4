import { Sweeps } from '../../src/jobs/sweeps.js';
import { at, create, expectOk, expectRefused, fresh } from '../http/support.js';
import { startApp, type TestApp } from '../setup/app.js';
import { FakeQdrant } from '../setup/fake-qdrant/fake-qdrant.js';
import { allNames, type LayoutName, storeAt } from '../setup/qdrant.js';

const SIZE = { vectors: { size: 2, distance: 'cosine' } };

const fake = new FakeQdrant();
/** Holds the database; every other process stands beside it for a while. */
let first: TestApp;
beforeAll(async () => {
  await fake.start();
  first = await startApp();
});
afterAll(async () => {
  await first.close();
  await fake.stop();
});

const inQdrant = (layout: LayoutName) => ({ QDRANT_URL: fake.url, QDRANT_LAYOUT: layout });

/** What a service that is started with this configuration does; it ends with it. */
async function as<T>(configuration: NodeJS.ProcessEnv, work: (app: TestApp) => Promise<T>): Promise<T> {
  const app = await startApp(configuration, first);
  try {
    return await work(app);
  } finally {
    await app.close();
  }
}

async function sweep({ app, database }: TestApp): Promise<void> {
  await database.pool.query('update collections set due_at = now() where due_at is not null');
  await app.get(Sweeps).run();
}

interface Made {
  id: string;
  user: string;
  name: string;
}

/** A session with a point in a collection. */
async function collected({ api }: TestApp, expected: object): Promise<Made> {
  const user = fresh();
  const { session_id: id } = await create(api.as(user));
  const made = expectOk(await api.as(user).put(at(id, '/collection'), SIZE), 201);
  expect(made).toMatchObject({ status: 'ready', ...expected });
  expectOk(await api.as(user).put(at(id, '/points'), { points: [{ id: 1, vector: [1, 0] }] }));
  return { id, user, name: made.name };
}

/** Everything can be done with the collection, and all that was in it is. */
async function expectServed(app: TestApp, { id, user, name }: Made, points: number[]): Promise<void> {
  const api = app.api.as(user);
  expect(expectOk(await api.get(at(id, '/collection')))).toMatchObject({
    name,
    points_count: points.length,
  });
  expectOk(await api.put(at(id, '/points'), { points: [{ id: 100, vector: [0, 1] }] }));
  const near = expectOk(await api.post(at(id, '/points/query'), { vector: [0, 1] }));
  expect(near.points[0].id).toBe(100);
  const deleted = expectOk(await api.post(at(id, '/points/delete'), { ids: [100] }));
  expect(deleted).toEqual({ deleted: 1 });
  const { points: left } = expectOk(await api.post(at(id, '/points/scroll'), {}));
  expect(left.map((point: { id: number }) => point.id)).toEqual(points);
  expectOk(await api.put(at(id, '/collection'), { ...SIZE, payload_indexes: { topic: 'keyword' } }));
}

async function expectDropped(app: TestApp, { id, user, name }: Made): Promise<void> {
  expect((await app.api.as(user).delete(at(id, '/collection'))).status).toBe(204);
  const { rows } = await app.database.pool.query('select from collections where name = $1', [name]);
  expect(rows).toEqual([]);
}

const held = async (layout: LayoutName) => allNames((await storeAt(fake.url, layout)).store, 'ss');
const POSTGRES = { backend: 'postgres', direct_writes: false };
const DEDICATED = { backend: 'qdrant', direct_writes: true };
const SHARED = { backend: 'qdrant', direct_writes: false };

test('from PostgreSQL to Qdrant: what is in PostgreSQL is served from there, and what is new is in Qdrant', async () => {
  const old = await collected(first, POSTGRES);
  const doomed = await collected(first, POSTGRES);
  await as(inQdrant('dedicated'), async (app) => {
    const made = await collected(app, DEDICATED);
    expect(await held('dedicated')).toContain(made.name);
    await expectServed(app, old, [1]);
    await expectServed(app, made, [1]);
    await sweep(app);
    await expectServed(app, old, [1]);
    expect(await held('dedicated')).not.toContain(old.name);
    await app.api.as(doomed.user).delete(at(doomed.id, '?permanent=true'));
    await sweep(app);
    await sweep(app);
    const { rows } = await app.database.pool.query('select from vector_spaces where name = $1', [
      doomed.name,
    ]);
    expect(rows).toEqual([]);
    await expectDropped(app, old);
  });
});

test('what nobody knows is dropped from every store', async () => {
  await as(inQdrant('dedicated'), async (app) => {
    const { name } = await collected(app, DEDICATED);
    const [own] = name.split('_');
    const left = { name: `${own}_left`, shape: { '': { size: 2, distance: 'cosine' } } } as const;
    for (const layout of ['dedicated', 'shared'] as const)
      await (await storeAt(fake.url, layout)).store.ensure(left);
    await app.database.pool.query(
      `insert into vector_spaces (name, shape, points, bytes, gone, revision, floor) values ($1, $2, 0, 0, 0, 0, 0)`,
      [left.name, JSON.stringify(left.shape)],
    );
    await sweep(app);
    expect(await held('dedicated')).not.toContain(left.name);
    expect(await held('shared')).not.toContain(left.name);
    const { rows } = await app.database.pool.query('select from vector_spaces where name = $1', [left.name]);
    expect(rows).toEqual([]);
  });
});

test('without QDRANT_URL its collections wait: 503 says why, and what is deleted is dropped when it is back', async () => {
  const { kept, doomed } = await as(inQdrant('dedicated'), async (app) => ({
    kept: await collected(app, DEDICATED),
    doomed: await collected(app, DEDICATED),
  }));
  const { id, user } = kept;
  const api = first.api.as(user);
  for (const refusal of [
    await api.put(at(id, '/points'), { points: [{ id: 2, vector: [1, 1] }] }),
    await api.post(at(id, '/points/query'), { vector: [1, 1] }),
    await api.post(at(id, '/points/scroll'), {}),
    await api.post(at(id, '/points/delete'), { ids: [1] }),
    await api.get(at(id, '/points/1')),
    await api.put(at(id, '/collection'), SIZE),
  ]) {
    expectRefused(refusal, 503, 'collection_elsewhere');
    expect(refusal.body.detail).toContain('QDRANT_URL');
  }
  expect(expectOk(await api.get(at(id, '/collection')))).toMatchObject({
    ...DEDICATED,
    status: 'ready',
    points_count: null,
  });
  expect((await first.api.as(doomed.user).delete(at(doomed.id, '/collection'))).status).toBe(204);
  await sweep(first);
  expect(await held('dedicated')).toContain(doomed.name);
  const again = expectOk(await first.api.as(doomed.user).put(at(doomed.id, '/collection'), SIZE), 201);
  expect(again).toMatchObject({ ...POSTGRES, status: 'ready' });
  await as(inQdrant('dedicated'), async (app) => {
    await sweep(app);
    expect(await held('dedicated')).not.toContain(doomed.name);
    await expectServed(app, kept, [1]);
  });
});

test('from one layout to the other: each collection stays in its own', async () => {
  const old = await as(inQdrant('dedicated'), (app) => collected(app, DEDICATED));
  const made = await as(inQdrant('shared'), async (app) => {
    const made = await collected(app, SHARED);
    await expectServed(app, old, [1]);
    await expectServed(app, made, [1]);
    await sweep(app);
    return made;
  });
  expect(await held('dedicated')).toContain(old.name);
  expect(await held('shared')).toContain(made.name);
  await as(inQdrant('dedicated'), async (app) => {
    await sweep(app);
    await expectServed(app, made, [1]);
    await expectDropped(app, made);
    await expectDropped(app, old);
  });
  expect(await held('dedicated')).not.toContain(old.name);
  expect(await held('shared')).not.toContain(made.name);
});

test('while Qdrant is down, what is in PostgreSQL is served', async () => {
  const old = await collected(first, POSTGRES);
  await as(inQdrant('shared'), async (app) => {
    await fake.stop();
    try {
      await expectServed(app, old, [1]);
      await expectDropped(app, old);
    } finally {
      await fake.start();
    }
  });
});
