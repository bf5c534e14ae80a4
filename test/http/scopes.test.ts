import { AppModule } from '../../src/app.module.js';
import { newId } from '../../src/common/ids.js';
import type { Config } from '../../src/config/config.js';
import { JOB_KINDS } from '../../src/jobs/kinds.js';
import type { Api } from '../setup/api.js';
import { SERVICE_KEY, startApp, type TestApp } from '../setup/app.js';
import { EFFECTS, EffectsHandler, withRooms } from '../setup/job-rooms.js';
import { at, create, expectOk, expectRefused, fresh, insertJob } from './support.js';

// what an operation touches beside its own scope; the scope of each is in the access matrix
const SESSIONS = '/api/v1/sessions';
const KEYS: Record<string, string> = {
  narrow: 'sessions:read sessions:write',
  memory: 'sessions:read sessions:write memory:read memory:write',
  points: 'sessions:read sessions:write collections:read collections:write',
  admin: 'sessions:read sessions:write admin',
};
const keyOf = (name: string) => `${name}-key-0123456789abcdef`;
const listed = Object.entries(KEYS).map(([name, scopes]) => `${name}[${scopes}]:${keyOf(name)}`);

let app: TestApp;
let full: Api;
let user: string;
beforeAll(async () => {
  const environment = { SERVICE_API_KEYS: [`tests:${SERVICE_KEY}`, ...listed].join(','), ROLE: 'api' };
  const kinds = { ...JOB_KINDS, [EFFECTS]: { about: 'what a test asks for', scope: 'admin' as const } };
  app = await startApp(environment, undefined, (config: Config, log, url) =>
    withRooms(AppModule.forRoot(config, log, url, kinds), EffectsHandler),
  );
  full = app.api.service(SERVICE_KEY);
});
afterAll(() => app.close());
beforeEach(() => {
  user = fresh();
});

/** The key alone, and acting for the user: the one sees everything, the other what the user sees, and neither does more than the key may. */
const ways = (name: string): Api[] => {
  const key = app.api.service(keyOf(name));
  return [key, key.as(user)];
};

/** A session with a fact, a point and a message. */
async function filled(): Promise<string> {
  const { session_id: id } = await create(full, { user_id: user });
  expectOk(await full.put(at(id, '/memory/diet'), { value: 'vegan' }), 201);
  expectOk(await full.put(at(id, '/collection'), { vectors: { size: 2 } }), 201);
  expectOk(await full.put(at(id, '/points'), { points: [{ id: 1, vector: [1, 2] }] }));
  expectOk(await full.post(at(id, '/messages'), { role: 'user', content: 'Hello' }), 201);
  return id;
}

test('a merge needs the scopes of what it takes along', async () => {
  const [one, other] = [await filled(), (await create(full, { user_id: user })).session_id];
  const merge = (include?: string[]) => ({ session_ids: [one, other], include, archive_sources: false });
  for (const api of ways('narrow')) {
    for (const include of [undefined, ['memory'], ['vectors'], ['messages', 'vectors']])
      expectRefused(await api.post(`${SESSIONS}/merge`, merge(include)), 403, 'forbidden');
    expectOk(await api.get(at(one)));
  }
  for (const api of ways('points')) {
    expectRefused(await api.post(`${SESSIONS}/merge`, merge(['memory'])), 403, 'forbidden');
    expect((await full.get('/api/v1/jobs?kind=merge')).body.jobs).toEqual([]);
  }
  expectOk(await ways('memory')[0]!.post(`${SESSIONS}/merge`, merge(['messages', 'memory'])), 202);
});

test('a split of points needs those of collections', async () => {
  const id = await filled();
  const split = { parts: [{ title: 'A part', point_ids: [1] }] };
  for (const name of ['narrow', 'memory'])
    for (const api of ways(name)) expectRefused(await api.post(at(id, '/split'), split), 403, 'forbidden');
  expectOk(await ways('points')[1]!.post(at(id, '/split'), split), 202);
});

test('a fork leaves out the memory that the key may not read', async () => {
  const id = await filled();
  for (const [name, facts] of [
    ['narrow', 0],
    ['memory', 1],
  ] as const)
    for (const api of ways(name)) {
      const { session_id: fork } = expectOk(await api.post(at(id, '/fork'), {}), 201);
      expect(expectOk(await full.get(at(fork, '/memory'))).entries).toHaveLength(facts);
    }
});

test('an export leaves out what the key may not read, and refuses it by name', async () => {
  const id = await filled();
  for (const api of ways('narrow')) {
    expect(
      expectOk(await api.get(at(id, '/export'), { headers: { accept: 'application/json' } })).include,
    ).toEqual(expect.not.arrayContaining(['memory', 'points']));
    for (const include of ['memory', 'points', 'messages,points'])
      expectRefused(await api.get(at(id, `/export?include=${include}`)), 403, 'forbidden');
  }
});

test('a job of a kind that needs a scope is neither cancelled nor tried again without it', async () => {
  for (const [verb, state] of [
    ['cancel', 'queued'],
    ['retry', 'failed'],
  ] as const) {
    const id = newId();
    await insertJob(app.database, id, user, state, EFFECTS);
    for (const api of [...ways('narrow'), ...ways('memory')]) {
      expectOk(await api.get(`/api/v1/jobs/${id}`));
      expectRefused(await api.post(`/api/v1/jobs/${id}/${verb}`), 403, 'forbidden');
      expect(expectOk(await full.get(`/api/v1/jobs/${id}`)).state).toBe(state);
    }
    expectOk(await ways('admin')[0]!.post(`/api/v1/jobs/${id}/${verb}`));
  }
});
