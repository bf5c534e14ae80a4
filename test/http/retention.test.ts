import { Sweeps } from '../../src/jobs/sweeps.js';
import type { Api } from '../setup/api.js';
import { startApp } from '../setup/app.js';
import { eventually } from '../setup/eventually.js';
import { api, app, service, useApp, user } from './suite.js';
import {
  at,
  atOnce,
  create,
  eventsOf,
  expectOk,
  expectRefused,
  fresh,
  read,
  runOut,
  silence,
  TIME,
} from './support.js';

useApp();

// biome-ignore lint/suspicious/noExplicitAny: rows of answers of every shape
type Row = any;

const SERVICE = '/api/v1/sessions/retention-policy';
const CLEANUP = '/api/v1/sessions/cleanup';
const OFF = {
  auto_archive_inactive_days: null,
  auto_delete_archived_days: null,
  delete_completed_days: null,
  max_age_days: null,
  purge_deleted_days: null,
  max_sessions_per_user: null,
};
const DEFAULTS = { ...OFF, purge_deleted_days: 30 };
const of = (name: string) => `/api/v1/users/${encodeURIComponent(name)}/retention-policy`;
const set = async (policy: object, name = user) => expectOk(await service.put(of(name), policy));
const session = async (fields: object = {}, by = api): Promise<string> =>
  (await create(by, fields)).session_id;

/** A run to its end. */
async function cleanUp(body: object = {}, by: Api = service): Promise<Row> {
  const job = expectOk(await by.post(CLEANUP, body, { prefer: 'wait=60' }));
  expect(job).toMatchObject({ kind: 'cleanup', state: 'succeeded', error: null, session_ids: [] });
  return job.result;
}
const stepsOf = ({ actions }: Row, ...ids: string[]) =>
  actions
    .filter(({ session_id }: Row) => ids.includes(session_id))
    .map(({ action, rule }: Row) => [action, rule]);
const statusOf = async (id: string) => (await read(service, id, '?include_deleted=true')).status;
const DAY = 86_400;

beforeEach(async () => {
  await app.database.pool.query(`delete from retention_policies where user_id <> ''`);
  expectOk(await service.put(SERVICE, {}));
});

describe('the policy of the service', () => {
  test('is off but for the purge, and is replaced whole', async () => {
    expect(expectOk(await service.get(SERVICE))).toMatchObject({ ...DEFAULTS, effective: DEFAULTS });
    const set = { auto_archive_inactive_days: 90, purge_deleted_days: null };
    expect(expectOk(await service.put(SERVICE, set))).toMatchObject({
      ...OFF,
      ...set,
      effective: { ...OFF, ...set },
    });
    expect(expectOk(await service.put(SERVICE, { max_age_days: 0 }))).toMatchObject({
      ...DEFAULTS,
      max_age_days: 0,
    });
    const shown = await service.get(SERVICE);
    expect(expectOk(shown)).toMatchObject({
      ...DEFAULTS,
      max_age_days: 0,
      updated_at: expect.stringMatching(TIME),
    });
    expect(shown.headers.get('etag')).toBe(`"${shown.body.version}"`);
  });

  test('is guarded by its version', async () => {
    const { version } = expectOk(await service.get(SERVICE));
    const guarded = (tag: string) => service.put(SERVICE, { max_age_days: 5 }, { 'if-match': tag });
    expectRefused(await guarded(`"${version - 1}"`), 412, 'version_mismatch');
    const answers = await atOnce(8, () => guarded(`"${version}"`));
    expect(answers.map(({ status }) => status).sort()).toEqual([200, ...Array(7).fill(412)]);
    expect(answers.find(({ status }) => status === 200)!.headers.get('etag')).toBe(`"${version + 1}"`);
    expectOk(await guarded('*'));
  });

  test('is for services, told before what is wrong', async () => {
    for (const by of [api, service.as(user)]) {
      expectRefused(await by.get(SERVICE), 403, 'forbidden');
      expectRefused(await by.put(SERVICE, { max_age_days: 'x' }), 403, 'forbidden');
      expectRefused(await by.post(CLEANUP, { x: 1 }), 403, 'forbidden');
    }
  });
});

describe('the policy of a user', () => {
  test('has three states: named, off, inherited', async () => {
    expectOk(
      await service.put(SERVICE, {
        max_age_days: 400,
        max_sessions_per_user: 9,
        auto_archive_inactive_days: 7,
      }),
    );
    const inherited = {
      ...DEFAULTS,
      max_age_days: 400,
      max_sessions_per_user: 9,
      auto_archive_inactive_days: 7,
    };
    const none = await api.get(of(user));
    expect(none.headers.get('etag')).toBe('"0"');
    expect(expectOk(none)).toEqual({ user_id: user, effective: inherited, version: 0, updated_at: null });

    const own = { max_age_days: null, max_sessions_per_user: 3 };
    const effective = { ...inherited, ...own };
    expect(await set(own)).toEqual({
      user_id: user,
      ...own,
      effective,
      version: 1,
      updated_at: expect.stringMatching(TIME),
    });
    expect(expectOk(await api.get(of(user)))).toMatchObject({ ...own, effective });
    expect(expectOk(await service.get(of(user)))).toMatchObject({ ...own, effective });
    expectOk(await service.put(SERVICE, { purge_deleted_days: 1 }));
    expect(expectOk(await api.get(of(user))).effective).toEqual({ ...OFF, ...own, purge_deleted_days: 1 });
    expect(await set({ max_age_days: 2 })).toMatchObject({
      effective: { ...OFF, max_age_days: 2, purge_deleted_days: 1 },
    });
  });

  test('is taken away, and never has a version twice', async () => {
    expect((await service.delete(of(user))).status).toBe(204);
    await set({ max_age_days: 2 });
    expectRefused(await service.delete(of(user), { 'if-match': '"2"' }), 412, 'version_mismatch');
    expect((await service.delete(of(user), { 'if-match': '"1"' })).status).toBe(204);
    expect(expectOk(await api.get(of(user)))).toMatchObject({ effective: DEFAULTS, version: 2 });
    expectRefused(await service.put(of(user), {}, { 'if-match': '"1"' }), 412, 'version_mismatch');
    expect(await set({ max_age_days: 2 })).toMatchObject({ version: 3 });
  });

  test('that is made by several at once under its version is made by one', async () => {
    const answers = await atOnce(8, (n) => service.put(of(user), { max_age_days: n }, { 'if-match': '"0"' }));
    expect(answers.map(({ status }) => status).sort()).toEqual([200, ...Array(7).fill(412)]);
  });

  test('is read by himself and written by services only', async () => {
    const other = app.api.as(fresh());
    expectRefused(await other.get(of(user)), 403, 'forbidden');
    for (const by of [api, other, service.as(user)]) {
      expectRefused(await by.put(of(user), { x: 1 }), 403, 'forbidden');
      expectRefused(await by.delete(of(user)), 403, 'forbidden');
    }
  });

  test.each([
    [{ max_age_days: -1 }, '/max_age_days'],
    [{ max_age_days: 1.5 }, '/max_age_days'],
    [{ max_age_days: '3' }, '/max_age_days'],
    [{ purge_deleted_days: 2_147_483_648 }, '/purge_deleted_days'],
    [{ max_sessions_per_user: Number.MAX_SAFE_INTEGER }, '/max_sessions_per_user'],
    [{ keep: 1 }, '/keep'],
    [{ effective: {} }, '/effective'],
  ])('refuses %j', async (policy, pointer) => {
    for (const path of [of(user), SERVICE]) {
      const answer = await service.put(path, policy);
      expectRefused(answer, 422, 'invalid');
      expect(answer.body.errors[0].pointer).toBe(pointer);
    }
  });
});

describe('a cleanup', () => {
  test('lays a session aside step by step, one a run, and tells of each once', async () => {
    await set({ auto_archive_inactive_days: 3, auto_delete_archived_days: 0, purge_deleted_days: 0 });
    const id = await session({ agent_id: 'bot', client_id: 'c' });
    const other = await session();
    await silence(app.database, id, 3 * DAY);
    const before = await read(api, id);

    const first = await cleanUp();
    expect(stepsOf(first, id, other)).toEqual([['archive', 'auto_archive_inactive_days']]);
    const [step] = first.actions.filter((one: Row) => one.session_id === id);
    expect(Date.parse(step.due_since)).toBe(Date.parse(before.last_activity_at) + 3 * DAY * 1000);
    expect(first).toMatchObject({ dry_run: false, as_of: expect.stringMatching(TIME) });
    const archived = await read(api, id);
    expect(archived).toMatchObject({
      status: 'archived',
      version: 2,
      last_activity_at: before.last_activity_at,
    });
    expect(Date.parse(archived.archived_at)).toBeGreaterThan(Date.parse(first.as_of) - 1);

    expect(stepsOf(await cleanUp(), id, other)).toEqual([['delete', 'auto_delete_archived_days']]);
    expectRefused(await api.get(at(id)), 404, 'session_deleted');
    const deleted = await read(api, id, '?include_deleted=true');
    expect(deleted).toMatchObject({
      status: 'deleted',
      deleted_reason: 'retention',
      version: 3,
      archived_at: archived.archived_at,
    });
    const told = await eventsOf(api, id);
    expect(told.slice(1).map(({ event_type, seq, payload }: Row) => [seq, event_type, payload])).toEqual([
      [2, 'session.updated', { agent_id: 'bot', status: 'archived', updates: ['status'] }],
      [3, 'session.archived', { agent_id: 'bot', status: 'archived' }],
      [4, 'session.updated', { agent_id: 'bot', status: 'deleted', updates: ['status'] }],
      [5, 'session.deleted', { agent_id: 'bot', status: 'deleted' }],
    ]);

    expect(stepsOf(await cleanUp(), id, other)).toEqual([['purge', 'purge_deleted_days']]);
    expectRefused(await api.get(at(id, '?include_deleted=true')), 404, 'session_not_found');
    expect((await create(api, { session_id: id })).version).toBe(1);
    await app.app.get(Sweeps).run();
    const { rows } = await app.database.pool.query('select id from sessions where user_id = $1', [user]);
    expect(rows.map((row) => row.id).sort()).toEqual([id, other].sort());
    expect(await statusOf(other)).toBe('active');
  });

  test('leaves alone what is restored, held by law, or renewed', async () => {
    await set({ auto_archive_inactive_days: 3, max_age_days: 30, purge_deleted_days: 3 });
    const [held, renewed, restored, old] = [
      await session(),
      await session(),
      await session(),
      await session(),
    ];
    for (const id of [held, renewed]) await silence(app.database, id, 29 * DAY);
    await silence(app.database, old, 30 * DAY);
    expectOk(await service.patch(at(held), { legal_hold: true }));
    await silence(app.database, held, 29 * DAY);
    expectOk(await api.post(at(renewed, '/heartbeat')));
    expectOk(await api.delete(at(restored)));
    await app.database.pool.query(
      `update sessions set deleted_at = deleted_at - interval '4 days' where id = $1`,
      [restored],
    );
    expectOk(await api.post(at(restored, '/restore')));
    expect(stepsOf(await cleanUp(), held, renewed, restored, old)).toEqual([['delete', 'max_age_days']]);
    expect(await statusOf(old)).toBe('deleted');
    for (const id of [held, renewed, restored]) expect(await statusOf(id)).toBe('active');
  });

  test('of a deleted session that is restored lets its time begin anew', async () => {
    await set({ auto_archive_inactive_days: 1 });
    const id = await session();
    await silence(app.database, id, DAY);
    await cleanUp();
    expect(expectOk(await api.post(at(id, '/restore')))).toMatchObject({ status: 'active' });
    expect(stepsOf(await cleanUp(), id)).toEqual([]);
  });

  test('counts from the completion, not from what came after it', async () => {
    await set({ delete_completed_days: 2 });
    const [id, again] = [await session(), await session({ status: 'completed' })];
    expectOk(await api.post(at(id, '/complete')));
    const completeSince = (session: string, days: number) =>
      app.database.pool.query(
        `update sessions set completed_at = completed_at - make_interval(hours => 24 * $2) where id = $1 and completed_at is not null`,
        [session, days],
      );
    expect([(await completeSince(id, 2)).rowCount, (await completeSince(again, 2)).rowCount]).toEqual([1, 1]);
    expectOk(await api.patch(at(id), { title: 'Edited later' }));
    expectOk(await api.post(at(again, '/resume')));
    expectOk(await api.post(at(again, '/complete')));
    expect(stepsOf(await cleanUp(), id, again)).toEqual([['delete', 'delete_completed_days']]);
    expect(await statusOf(again)).toBe('completed');
  });

  test('purges what expired, from that instant, though nobody has written it down', async () => {
    await set({ purge_deleted_days: 1 });
    const [expired, older] = [await session({ timeout_minutes: 5 }), await session({ timeout_minutes: 5 })];
    for (const id of [expired, older]) await runOut(app.database, id);
    await app.database.pool.query(
      `update sessions set expires_at = expires_at - interval '24 hours' where id = $1`,
      [older],
    );
    expect(stepsOf(await cleanUp(), expired, older)).toEqual([['purge', 'purge_deleted_days']]);
    expectRefused(await api.get(at(older)), 404, 'session_not_found');
    expectRefused(await api.get(at(expired)), 404, 'session_deleted');
  });

  test('writes down a crash by silence before it archives; what recovers by itself is active', async () => {
    await set({ auto_archive_inactive_days: 1 });
    const [silent, recovers] = [
      await session({ heartbeat_timeout_seconds: 60 }),
      await session({ heartbeat_timeout_seconds: 60, auto_recover: true }),
    ];
    for (const id of [silent, recovers]) await silence(app.database, id, 2 * DAY);
    expect(stepsOf(await cleanUp(), silent, recovers)).toEqual([['archive', 'auto_archive_inactive_days']]);
    expect((await eventsOf(api, silent)).map((one: Row) => one.event_type)).toEqual([
      ...['session.created', 'session.updated', 'session.crashed'],
      ...['session.updated', 'session.archived'],
    ]);
    expect(expectOk(await api.post(at(silent, '/restore')))).toMatchObject({ status: 'crashed' });
    expect(await statusOf(recovers)).toBe('crashed');
  });

  test('archives the least active beyond what a user may have, and never refuses one more', async () => {
    await set({ max_sessions_per_user: 2 });
    const ids: string[] = [];
    for (let n = 0; n < 6; n++) ids.push(await session({}, api));
    // the fourth is deleted, the third archived: neither counts
    expectOk(await api.post(at(ids[2]!, '/archive')));
    expectOk(await api.delete(at(ids[3]!)));
    for (const [n, id] of ids.entries()) await silence(app.database, id, n === 5 ? 1000 : 100 - n);
    const dry = await cleanUp({ dry_run: true });
    const real = await cleanUp();
    expect(stepsOf(real, ...ids)).toEqual(Array(2).fill(['archive', 'max_sessions_per_user']));
    expect(real.actions.filter((one: Row) => ids.includes(one.session_id))).toEqual(
      dry.actions.filter((one: Row) => ids.includes(one.session_id)),
    );
    expect(await Promise.all(ids.map(statusOf))).toEqual([
      'archived',
      'active',
      'archived',
      'deleted',
      'active',
      'archived',
    ]);
    expect(stepsOf(await cleanUp(), ...ids)).toEqual([]);
    await session();
    await set({ max_sessions_per_user: 0 });
    expect(stepsOf(await cleanUp(), ...ids)).toHaveLength(2);
    expect(expectOk(await api.get('/api/v1/sessions?status=active')).sessions).toEqual([]);
  });

  test('passes over what a job reads until the next run', async () => {
    await set({ max_age_days: 0 });
    const id = await session();
    await app.database.pool.query(`update sessions set busy_job = gen_random_uuid() where id = $1`, [id]);
    expect(stepsOf(await cleanUp(), id)).toEqual([]);
    await app.database.pool.query('update sessions set busy_job = null where id = $1', [id]);
    expect(stepsOf(await cleanUp(), id)).toEqual([['delete', 'max_age_days']]);
  });

  test('waits for what somebody holds for a moment, and passes over what is held for long', async () => {
    await set({ max_age_days: 0 });
    const [moment, long] = [await session(), await session()];
    const [first, second] = await Promise.all([app.database.pool.connect(), app.database.pool.connect()]);
    for (const [client, id] of [
      [first, moment],
      [second, long],
    ] as const)
      await client
        .query('begin')
        .then(() => client.query('select from sessions where id = $1 for update', [id]));
    const running = cleanUp();
    await eventually(
      async () =>
        (
          await app.database.pool.query(
            `select 1 from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()`,
          )
        ).rowCount,
      (waiting) => waiting !== 0,
    );
    await first.query('rollback');
    const result = await running;
    expect(stepsOf(result, long)).toEqual([]);
    await second.query('rollback');
    for (const client of [first, second]) client.release();
    expect(stepsOf(result, moment)).toEqual([['delete', 'max_age_days']]);
    expect(stepsOf(await cleanUp(), long)).toEqual([['delete', 'max_age_days']]);
  });

  test('that is dry changes nothing, and tells what a real one does', async () => {
    await set({
      auto_archive_inactive_days: 1,
      delete_completed_days: 0,
      purge_deleted_days: 0,
      max_sessions_per_user: 1,
    });
    const ids = [await session(), await session(), await session({ status: 'completed' }), await session()];
    await silence(app.database, ids[0]!, DAY);
    expectOk(await api.delete(at(ids[1]!)));
    await session();
    const rows = async () =>
      (
        await app.database.pool.query(
          `select to_jsonb(s) as s, to_jsonb(d) as d, (select json_agg(e order by e.seq) from events e where e.aggregate_key = s.key) as e
         from sessions s join session_details d using (key) where s.user_id = $1 order by s.key`,
          [user],
        )
      ).rows;
    const before = await rows();
    const dry = await cleanUp({ dry_run: true });
    expect(await rows()).toEqual(before);
    const real = await cleanUp();
    expect(dry).toEqual({ ...real, dry_run: true, as_of: dry.as_of });
    expect(stepsOf(real, ...ids)).toEqual([
      ['archive', 'auto_archive_inactive_days'],
      ['purge', 'purge_deleted_days'],
      ['delete', 'delete_completed_days'],
      ['archive', 'max_sessions_per_user'],
    ]);
  });

  test('is there once: whoever asks gets the one that runs, a dry one beside it', async () => {
    const api = await startApp({ ROLE: 'api' });
    const by = api.api.service('test-service-key-0123456789');
    const jobs = await atOnce(8, (n) =>
      by.post(CLEANUP, n % 2 ? { dry_run: true } : n === 0 ? undefined : {}),
    );
    const ids = (dry: number) =>
      new Set(jobs.filter((_, n) => n % 2 === dry).map((one) => expectOk(one, 202).job_id));
    expect([ids(0).size, ids(1).size]).toEqual([1, 1]);
    expect([...ids(0)]).not.toEqual([...ids(1)]);
    expect(jobs[0]!.headers.get('location')).toBe(`/api/v1/jobs/${jobs[0]!.body.job_id}`);
    expect(expectOk(await by.get('/jobs')).jobs).toHaveLength(2);
    await api.close();
  });

  test('with a key is begun once, also when it is over', async () => {
    const key = { 'idempotency-key': fresh('key'), prefer: 'wait=60' };
    const first = expectOk(await service.post(CLEANUP, { dry_run: true }, key));
    const again = await service.post(CLEANUP, { dry_run: true }, key);
    expect(again.headers.get('idempotency-replayed')).toBe('true');
    expect(again.body).toEqual(first);
    expectRefused(await service.post(CLEANUP, { dry_run: false }, key), 422, 'key_reused');
  });

  test('counts all, tells of the first thousand', async () => {
    await set({ max_age_days: 0 });
    await app.database.pool.query(
      `with s as (
         insert into sessions (id, user_id, session_type, runtime_backend, state, legal_hold, version, message_count, total_tokens,
           total_cost, last_call_seq, event_seq, event_tx, auto_recover, created_at, last_activity_at)
         select $1 || '-' || n, $1, 'conversation', 'unknown', 'active', false, 1, 0, 0, 0, 0, 0, 0, false, now(), now()
         from generate_series(1, 2500) n returning *)
       insert into session_details (key, user_id, title, tags, metadata, context, configuration, conversation_data, runtime_metadata,
         session_summary, created_at, updated_at)
       select key, user_id, '', '{}', '{}', '{}', '{}', '{}', '{}', '', created_at, created_at from s`,
      [user],
    );
    const result = await cleanUp();
    expect(result.counts).toEqual({ archive: 0, delete: 2500, purge: 0 });
    expect(result.actions).toHaveLength(1000);
    const { rows } = await app.database.pool.query(
      `select e.event_type, count(*)::int from events e join sessions s on s.key = e.aggregate_key where s.user_id = $1 group by 1 order by 1`,
      [user],
    );
    expect(rows).toEqual([
      { event_type: 'session.deleted', count: 2500 },
      { event_type: 'session.updated', count: 2500 },
    ]);
  });

  test('is a job for services to see', async () => {
    const { job_id } = expectOk(await service.post(CLEANUP, { dry_run: true }, { prefer: 'wait=60' }));
    expectRefused(await api.get(`/jobs/${job_id}`), 404, 'job_not_found');
    expect(expectOk(await api.get('/jobs')).jobs).toEqual([]);
  });
});

test('a session without a user is kept by the policy of the service', async () => {
  const { session_id } = await create(service, { agent_id: fresh('agent') });
  await silence(app.database, session_id, 900 * DAY);
  expectOk(await service.put(SERVICE, { max_age_days: 900, max_sessions_per_user: 0 }));
  expect(stepsOf(await cleanUp({ dry_run: true }), session_id)).toEqual([['delete', 'max_age_days']]);
  expectOk(await service.put(SERVICE, { max_age_days: 901, max_sessions_per_user: 0 }));
  expect(stepsOf(await cleanUp({ dry_run: true }), session_id)).toEqual([]);
});

test('what is due at set times is one job, whose result services see', async () => {
  const own = await startApp();
  const processes = [
    await startApp({ RETENTION_CRON: '17 3 * * *', SWEEP_SECONDS: '1' }, own),
    await startApp({ RETENTION_CRON: '17 3 * * *', SWEEP_SECONDS: '1' }, own),
  ];
  const due = () =>
    own.database.pool.query(
      `update schedules set due_at = now() where name = 'cleanup by retention policies'`,
    );
  await eventually(due, ({ rowCount }) => rowCount === 1);
  const by = own.api.service('test-service-key-0123456789');
  const jobs = await eventually(
    async () => expectOk(await by.get('/jobs?kind=cleanup')).jobs,
    ([job]) => job?.state === 'succeeded',
  );
  expect(jobs).toMatchObject([{ kind: 'cleanup', result: { dry_run: false, counts: { archive: 0 } } }]);
  await eventually(
    () =>
      own.database.pool.query(
        `select from schedules where name = 'cleanup by retention policies' and to_char(due_at at time zone 'UTC', 'HH24:MI') = '03:17'`,
      ),
    ({ rowCount }) => rowCount === 1,
  );
  expect(expectOk(await by.get('/jobs?kind=cleanup')).jobs).toHaveLength(1);
  for (const process of processes) await process.close();
  await own.close();
});
