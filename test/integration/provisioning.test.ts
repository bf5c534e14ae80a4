import { Sweeps } from '../../src/jobs/sweeps.js';
import { at, create, expectOk, expectRefused, fresh } from '../http/support.js';
import type { Api } from '../setup/api.js';
import { startApp, type TestApp } from '../setup/app.js';
import { FakeQdrant } from '../setup/fake-qdrant/fake-qdrant.js';
import { allNames, LAYOUTS, storeAt } from '../setup/qdrant.js';

const SIZE = { vectors: { size: 2, distance: 'cosine' } };
const POINT = { points: [{ id: 1, vector: [1, 2] }] };

describe.each(LAYOUTS)('with Qdrant, %s', (layout) => {
  const fake = new FakeQdrant();
  let app: TestApp;
  let api: Api;
  let user: string;
  beforeAll(async () => {
    await fake.start();
    app = await startApp({ QDRANT_URL: fake.url, QDRANT_LAYOUT: layout });
  });
  afterAll(async () => {
    await app.close();
    await fake.stop();
  });
  beforeEach(() => {
    user = fresh();
    api = app.api.as(user);
  });

  const due = () => app.database.pool.query('update collections set due_at = now() where due_at is not null');
  const sweep = async () => {
    await due();
    await app.app.get(Sweeps).run();
  };

  /** Names of what Qdrant holds of sessions. */
  async function held(): Promise<string[]> {
    const { store } = await storeAt(fake.url, layout);
    return allNames(store, 'ss');
  }

  it('tells what an ingestion service needs', async () => {
    const { session_id: id } = await create(api);
    const made = expectOk(await api.put(at(id, '/collection'), SIZE), 201);
    expect(made).toMatchObject({ backend: 'qdrant', status: 'ready', direct_writes: layout === 'dedicated' });
    expect(await held()).toContain(made.name);
    expect(made.name).not.toContain(id);
    expectOk(await api.put(at(id, '/points'), POINT));
    expect(expectOk(await api.get(at(id, '/collection'))).points_count).toBe(1);
  });

  it('that is down costs sessions nothing, and collections come and go when it is back', async () => {
    const { session_id: doomed } = await create(api);
    const { name: old } = expectOk(await api.put(at(doomed, '/collection'), SIZE), 201);
    expect(expectOk(await app.api.get('/health'))).toMatchObject({
      status: 'ok',
      dependencies: { qdrant: { status: 'up' } },
    });
    await fake.stop();
    expect(expectOk(await app.api.get('/health/ready'))).toMatchObject({
      status: 'degraded',
      dependencies: { postgres: { status: 'up' }, qdrant: { status: 'down' } },
    });
    const { session_id: id } = await create(api, { configuration: { ...SIZE } });
    const { session_id: asked } = await create(api);
    expect(expectOk(await api.put(at(asked, '/collection'), SIZE), 201)).toMatchObject({
      status: 'pending',
      points_count: null,
    });
    expect((await api.delete(at(doomed, '/collection'))).status).toBe(204);
    const refusal = await api.put(at(asked, '/points'), POINT);
    expectRefused(refusal, 503, 'vectors_unavailable');
    expect(refusal.headers.get('retry-after')).not.toBeNull();
    await expect(sweep()).rejects.toMatchObject({ code: 'vectors_unavailable' });
    expect(expectOk(await api.get(at(id))).collection).toMatchObject({ status: 'pending' });
    await fake.start();
    await sweep();
    for (const one of [id, asked])
      expect(expectOk(await api.get(at(one, '/collection')))).toMatchObject({
        status: 'ready',
        points_count: 0,
      });
    expectOk(await api.put(at(asked, '/points'), POINT));
    expect(await held()).not.toContain(old);
  });

  it('that says no is told of, and put right when it says yes', async () => {
    const { session_id: id } = await create(api);
    fake.fail({ on: /^PUT/, times: 1, how: { status: 400, body: '{"status":{"error":"Wrong input: no"}}' } });
    expect(expectOk(await api.put(at(id, '/collection'), SIZE), 201).status).not.toBe('ready');
    await sweep();
    expect(expectOk(await api.get(at(id, '/collection')))).toMatchObject({ status: 'ready', error: null });
  });

  it('from which a collection was removed by hand gets it again, empty', async () => {
    const { session_id: id } = await create(api);
    const { name } = expectOk(await api.put(at(id, '/collection'), SIZE), 201);
    expectOk(await api.put(at(id, '/points'), POINT));
    const { store } = await storeAt(fake.url, layout);
    await store.drop(name);
    expect(expectOk(await api.post(at(id, '/points/scroll'), {})).points).toEqual([]);
    expectOk(await api.put(at(id, '/points'), POINT));
    expect(expectOk(await api.get(at(id, '/collection'))).points_count).toBe(1);
  });

  it('is cleared of what no session has, but not of what is another installation’s', async () => {
    const { session_id: id } = await create(api);
    const { name } = expectOk(await api.put(at(id, '/collection'), SIZE), 201);
    const [own] = name.split('_');
    const { store } = await storeAt(fake.url, layout);
    const shape = { '': { size: 2, distance: 'cosine' } } as const;
    await store.ensure({ name: `${own}_left`, shape });
    await store.ensure({ name: 'ss00000000_other', shape });
    await sweep();
    const names = await held();
    expect(names).toContain(name);
    expect(names).toContain('ss00000000_other');
    expect(names).not.toContain(`${own}_left`);
  });

  it('drops the collection of a session that is deleted for good', async () => {
    const { session_id: id } = await create(api);
    const { name } = expectOk(await api.put(at(id, '/collection'), SIZE), 201);
    await api.delete(at(id));
    await sweep();
    expect(await held()).toContain(name);
    await api.delete(at(id, '?permanent=true'));
    await sweep();
    await sweep();
    expect(await held()).not.toContain(name);
  });
});
