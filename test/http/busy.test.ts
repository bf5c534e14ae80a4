import { Sweeps } from '../../src/jobs/sweeps.js';
import type { Answer } from '../setup/api.js';
import { startApp } from '../setup/app.js';
import { contract } from '../setup/contract.js';
import { eventually } from '../setup/eventually.js';
import {
  history,
  merge,
  point,
  pointsOf,
  put,
  type Row,
  remember,
  SHAPE,
  said,
  say,
  session,
  split,
} from './histories.js';
import { api, app, service, useApp, user } from './suite.js';
import { at, eventsOf, expectOk, expectRefused, fresh, read, runOut, silence } from './support.js';

/** Nobody does jobs here, so whatever one has taken it keeps. */

useApp({ ROLE: 'api' });

const sql = async (text: string, values: unknown[] = []): Promise<Row[]> =>
  (await app.database.pool.query(text, values)).rows;

const PART = { parts: [{ title: 'P', from_seq: 1 }] };
const CLOCKS = { timeout_minutes: 5, heartbeat_timeout_seconds: 30, auto_recover: false };

/** A session with something of everything. */
async function full(fields: object = {}): Promise<string> {
  const id = await session(api, { ...CLOCKS, configuration: SHAPE, checkpoint: { step: 1 }, ...fields });
  await say(api, id, said('user', 'x', { message_id: 'm' }));
  await remember(api, id, 'k', 1);
  await put(api, id, point(1, [1, 2]));
  expectOk(await api.post(at(id, '/share'), { user_ids: ['member'], role: 'viewer' }));
  return id;
}

/** …that a job holds; answers both. */
async function held(
  fields: object = {},
  kind: 'merge' | 'split' = 'split',
): Promise<[id: string, job: string]> {
  const id = await full(fields);
  const answer =
    kind === 'split'
      ? await api.post(at(id, '/split'), PART)
      : await api.post('/api/v1/sessions/merge', { session_ids: [await session(api), id] });
  return [id, expectOk(answer, 202).job_id];
}

/** All there is of a session. */
const rowsOf = async (id: string) => [
  await sql(
    'select to_json(s) as s, to_json(d) as d from sessions s join session_details d using (key) where id = $1',
    [id],
  ),
  ...(await Promise.all(
    ['messages', 'checkpoints', 'members'].map((table) =>
      sql(
        `select to_jsonb(t) - 'token_count' as row from ${table} t join sessions s on s.key = t.session_key where s.id = $1 order by 1`,
        [id],
      ),
    ),
  )),
  await sql(
    'select e.* from memory_entries e join sessions s on s.key = e.space_key where s.id = $1 order by e.key',
    [id],
  ),
  await sql('select c.* from collections c join sessions s on s.key = c.session_key where s.id = $1', [id]),
  await pointsOf(api, id),
  await eventsOf(api, id),
];

const BUSY = '409 session_busy';
/** Signs of life, and taking a right away: whoever began a merge could else not be shut out. */
const PASSES = ['heartbeat', 'unshareSession'];
/** Every operation on a session that is not a GET, and what it says to one that is busy. */
const TABLE: [operation: string, ask: (id: string) => Promise<Answer>, says: string][] = [
  ['heartbeat', (id) => api.post(at(id, '/heartbeat')), '200'],
  ['makeContext', (id) => api.post(at(id, '/context'), { max_tokens: 100 }), '200'],
  ['queryPoints', (id) => api.post(at(id, '/points/query'), { vector: [1, 2] }), '200'],
  ['scrollPoints', (id) => api.post(at(id, '/points/scroll'), {}), '200'],
  ['forkSession', (id) => api.post(at(id, '/fork'), {}), '201'],
  ['appendMessages', (id) => api.post(at(id, '/messages'), said('user', 'y')), BUSY],
  ['appendMessages', (id) => api.post(at(id, '/messages'), { messages: [said('user', 'y')] }), BUSY],
  [
    'appendMessages',
    (id) => api.post(at(id, '/messages'), said('user', 'y'), { 'idempotency-key': fresh() }),
    BUSY,
  ],
  ['patchMessage', (id) => api.patch(at(id, '/messages/m'), { tokens_used: 1 }), BUSY],
  ['redactMessage', (id) => api.delete(at(id, '/messages/m')), BUSY],
  ['saveCheckpoint', (id) => api.post(at(id, '/checkpoints'), { checkpoint: {} }), BUSY],
  ['patchSession', (id) => api.patch(at(id), { title: 'U' }), BUSY],
  ['patchSession', (id) => api.patch(at(id), { status: 'paused' }), BUSY],
  ['patchSession', (id) => service.patch(at(id), { legal_hold: true }), BUSY],
  ['replaceSessionFields', (id) => api.put(at(id), { title: 'U' }), BUSY],
  ['replaceSessionFields', (id) => api.put(at(id), { checkpoint: { step: 2 } }), BUSY],
  [
    'putCollection',
    (id) => api.put(at(id, '/collection'), { ...SHAPE, payload_indexes: { a: 'keyword' } }),
    BUSY,
  ],
  ['deleteCollection', (id) => api.delete(at(id, '/collection')), BUSY],
  ['putPoints', (id) => api.put(at(id, '/points'), { points: [point(2, [1, 2])] }), BUSY],
  ['deletePoints', (id) => api.post(at(id, '/points/delete'), { ids: [1] }), BUSY],
  ['deletePoints', (id) => api.post(at(id, '/points/delete'), { filter: {} }), BUSY],
  ['addSessionStats', (id) => api.put(at(id, '/stats'), { urls: 1 }), BUSY],
  ['reportModelUsage', (id) => api.put(at(id, '/model-usage'), { model_type: 'llm', model_name: 'm' }), BUSY],
  ['addSessionMemory', (id) => api.post(at(id, '/memory'), { memory_type: 'x', content: 'y' }), BUSY],
  ['saveSessionMemory', (id) => api.put(at(id, '/memory/k'), { value: 2 }), BUSY],
  ['saveSessionMemory', (id) => api.put(at(id, '/memory/new'), { value: 2 }), BUSY],
  ['patchSessionMemory', (id) => api.patch(at(id, '/memory/k'), { value: 2 }), BUSY],
  ['deleteSessionMemory', (id) => api.delete(at(id, '/memory/k')), BUSY],
  ['clearSessionMemory', (id) => api.delete(at(id, '/memory')), BUSY],
  ['archiveSession', (id) => api.post(at(id, '/archive')), BUSY],
  ['restoreSession', (id) => api.post(at(id, '/restore')), BUSY],
  ['pauseSession', (id) => api.post(at(id, '/pause')), BUSY],
  ['resumeSession', (id) => api.post(at(id, '/resume')), BUSY],
  ['completeSession', (id) => api.post(at(id, '/complete')), BUSY],
  ['crashSession', (id) => api.post(at(id, '/crash')), BUSY],
  ['recoverSession', (id) => api.post(at(id, '/recover')), BUSY],
  ['shareSession', (id) => api.post(at(id, '/share'), { user_ids: ['bob'], role: 'viewer' }), BUSY],
  ['shareSession', (id) => api.post(at(id, '/share'), { user_ids: ['member'], role: 'editor' }), BUSY],
  ['unshareSession', (id) => api.delete(at(id, '/share/member')), '204'],
  ['unshareSession', (id) => app.api.as('member').delete(at(id, '/share/member')), '204'],
  ['transferSession', (id) => api.post(at(id, '/transfer'), { user_id: 'bob' }), BUSY],
  ['deleteSession', (id) => api.delete(at(id)), BUSY],
  ['deleteSession', (id) => api.delete(at(id, '?permanent=true')), BUSY],
  ['splitSession', (id) => api.post(at(id, '/split'), PART), BUSY],
  [
    'mergeSessions',
    async (id) => api.post('/api/v1/sessions/merge', { session_ids: [await session(api), id] }),
    BUSY,
  ],
];

test('every operation on a session that is not a GET has a row', () => {
  const operations = Object.entries<Record<string, { operationId: string }>>(contract.paths)
    .filter(([path]) => path.includes('{session_id}') || path.endsWith('/merge'))
    .flatMap(([, item]) => Object.entries(item))
    .filter(([method]) => method !== 'get')
    .map(([, { operationId }]) => operationId);
  expect([...new Set(TABLE.map(([operation]) => operation))].sort()).toEqual(operations.sort());
});

describe.each(['merge', 'split'] as const)('while a %s holds it', (kind) => {
  test.each(TABLE.map((entry, index) => [`${entry[0]} (row ${index + 1})`, entry] as const))(
    '%s',
    async (_, [operation, ask, says]) => {
      const [id, job_id] = await held({}, kind);
      const before = await rowsOf(id);
      const answer = await ask(id);
      expect(`${answer.status}${answer.status < 300 ? '' : ` ${answer.body.code}`}`).toBe(says);
      if (says === BUSY) {
        expect(answer.body.job_id).toBe(job_id);
        expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0);
      }
      if (says === BUSY || !PASSES.includes(operation)) expect(await rowsOf(id)).toEqual(before);
    },
  );

  test('it is read as ever', async () => {
    const [id] = await held({}, kind);
    const paths = Object.entries<Record<string, unknown>>(contract.paths)
      .filter(([path, item]) => path.includes('{session_id}') && item.get)
      .map(([path]) => path.replace('{session_id}', id).replace('{message_id}', 'm').replace('{key}', 'k'))
      .map((path) => path.replace('{n}', '1').replace('{point_id}', '1'));
    for (const path of paths) expect([path, (await api.get(path)).status]).toEqual([path, 200]);
    expect(paths.length).toBeGreaterThan(10);
  });
});

test('heartbeats renew it; it neither expires nor crashes while it is held, whoever looks', async () => {
  const [id, job] = await held();
  const { expires_at } = expectOk(await api.post(at(id, '/heartbeat')));
  expect((await read(api, id)).expires_at).toBe(expires_at);
  for (const lapse of [() => runOut(app.database, id), () => silence(app.database, id, 3600)]) {
    await lapse();
    const before = (await eventsOf(api, id)).length;
    expect((await read(api, id)).status).toBe('active');
    await app.app.get(Sweeps).run();
    expect((await read(api, id)).status).toBe('active');
    expectRefused(await api.post(at(id, '/messages'), said('user', 'y')), 409, 'session_busy');
    expect(await eventsOf(api, id)).toHaveLength(before);
  }
  expectOk(await api.post(`/jobs/${job}/cancel`));
  expectRefused(await api.get(at(id)), 404, 'session_deleted');
  expectRefused(
    await service.post('/api/v1/sessions', { session_id: id, user_id: fresh() }),
    409,
    'session_id_taken',
  );
});

test('its id is not given away when its time runs out', async () => {
  const [id] = await held();
  await runOut(app.database, id);
  expectRefused(await api.post('/api/v1/sessions', { session_id: id }), 409, 'session_id_taken');
  expect(
    expectOk(await api.post('/api/v1/sessions', { session_id: id, if_exists: 'return' })).session_id,
  ).toBe(id);
});

test('resumed by what it is for: an active one is answered as it is, a paused one is busy', async () => {
  const client_id = fresh('client');
  const [id] = await held({ client_id });
  const before = await rowsOf(id);
  const answer = await api.post('/api/v1/sessions/resume', { client_id });
  if (answer.status === 200) expect(answer.body.session_id).toBe(id);
  else expectRefused(answer, 409, 'session_busy');
  expect(await rowsOf(id)).toEqual(before);
});

test('an append that was made before is answered again; another is not taken', async () => {
  const id = await full();
  const key = { 'idempotency-key': fresh('key') };
  const batch = { 'idempotency-key': fresh('key') };
  const one = expectOk(await api.post(at(id, '/messages'), said('user', 'once'), key), 201);
  const both = { messages: [said('user', 'a'), said('user', 'b')] };
  const two = expectOk(await api.post(at(id, '/messages'), both, batch), 201);
  const checkpoint = { 'idempotency-key': fresh('key') };
  const saved = expectOk(
    await api.post(at(id, '/checkpoints'), { checkpoint: { step: 2 } }, checkpoint),
    201,
  );
  expectOk(await api.post(at(id, '/split'), PART), 202);
  const rows = await rowsOf(id);
  expect(expectOk(await api.post(at(id, '/messages'), said('user', 'once'), key))).toEqual(one);
  expect(expectOk(await api.post(at(id, '/messages'), both, batch))).toEqual(two);
  expectRefused(await api.post(at(id, '/messages'), said('user', 'other'), key), 422, 'key_reused');
  expectOk(await api.post(at(id, '/messages'), said('user', 'x', { message_id: 'm' })));
  const again = await api.post(at(id, '/checkpoints'), { checkpoint: { step: 2 } }, checkpoint);
  expect([again.status, again.body]).toEqual([201, saved]);
  expect(await rowsOf(id)).toEqual(rows);
});

test('who clears his memory in all his sessions does not clear what a job reads', async () => {
  const [id, job] = await held();
  const all = `/api/v1/users/${user}/memory?include_sessions=true`;
  expectRefused(await api.delete(all), 409, 'session_busy');
  expect(expectOk(await api.get(at(id, '/memory'))).entries).toHaveLength(1);
  expectOk(await api.post(`/jobs/${job}/cancel`));
  expectOk(await api.delete(all));
  expect(expectOk(await api.get(at(id, '/memory'))).entries).toEqual([]);
});

describe('a job that is queued', () => {
  const targets = () => sql('select id from sessions where user_id = $1 order by key', [user]);

  test.each(['merge', 'split'] as const)(
    'is cancelled: a %s frees what it had, and leaves nothing',
    async (kind) => {
      const [id, job] = await held({}, kind);
      const before = await targets();
      const cancelled = expectOk(await api.post(`/jobs/${job}/cancel`));
      expect(cancelled).toMatchObject({ state: 'cancelled', result: null, finished_at: expect.any(String) });
      expect(await targets()).toEqual(before);
      expect(await sql('select 1 from sessions where busy_job = $1', [job])).toEqual([]);
      expect((await say(api, id, said('user', 'again'))).messages[0].seq).toBe(2);
      expectOk(await api.post(`/jobs/${job}/cancel`), 409);
    },
  );

  test.each(['merge', 'split'] as const)('cancelled and tried again: a %s goes through', async (kind) => {
    const [id, job] = await held({}, kind);
    expectOk(await api.post(`/jobs/${job}/cancel`));
    await say(api, id, said('user', 'meanwhile'));
    expectRefused(await app.api.as(fresh()).post(`/jobs/${job}/retry`), 404, 'job_not_found');
    expect(expectOk(await api.post(`/jobs/${job}/retry`)).state).toBe('queued');
    const worker = await startApp({ ROLE: 'worker' }, app);
    const done = await eventually(
      async () => expectOk(await api.get(`/jobs/${job}`)),
      ({ state }) => state !== 'queued' && state !== 'running',
    );
    await worker.close();
    expect(done).toMatchObject({ state: 'succeeded', error: null });
    const made = kind === 'merge' ? done.result : done.result.sessions[0];
    const contents = (await history(api, made.session_id)).map(({ content }) => content);
    // a split’s range was settled when it was asked for
    expect(contents).toEqual(kind === 'merge' ? ['x', 'meanwhile'] : ['x']);
  });
});

test('a job is cancelled and seen by whoever asked for it, and services only', async () => {
  const [id, job] = await held();
  const manager = app.api.as(fresh());
  expectRefused(await manager.get(`/jobs/${job}`), 404, 'job_not_found');
  expectRefused(await manager.post(`/jobs/${job}/cancel`), 404, 'job_not_found');
  expect(expectOk(await service.get(`/jobs/${job}`)).session_ids).toEqual([id]);
  expectOk(await service.post(`/jobs/${job}/cancel`));
});

test('what waits for a job that nobody does is answered when it has waited', async () => {
  const id = await full();
  const answer = await split(api, id, PART, { prefer: 'wait=1' });
  expect(expectOk(answer, 202)).toMatchObject({ state: 'queued', result: null });
  expect(answer.headers.get('preference-applied')).toBe('wait=1');
  expectRefused(await merge(api, { session_ids: [id, await session(api)] }), 409, 'session_busy');
});
