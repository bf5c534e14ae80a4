import { newId } from '../../src/common/ids.js';
import { Sweeps } from '../../src/jobs/sweeps.js';
import { insertJob } from '../http/support.js';
import { SERVICE_KEY, startApp, type TestApp } from '../setup/app.js';

const EACH = 300;

let first: TestApp;
let second: TestApp;
beforeAll(async () => {
  first = await startApp();
  second = await startApp({}, first);
});
afterAll(async () => {
  await second.close();
  await first.close();
});

/** Sessions that are due, each with one event of its making. */
async function due(kind: string, fields: object): Promise<void> {
  const service = first.api.service(SERVICE_KEY);
  for (let i = 0; i < EACH; i += 10) {
    const made = await Promise.all(
      Array.from({ length: 10 }, (_, j) =>
        service.post('/api/v1/sessions', { session_id: `${kind}-${i + j}`, user_id: kind, ...fields }),
      ),
    );
    expect(made.map(({ status }) => status)).toEqual(Array(10).fill(201));
  }
}

test('two processes with two sweeps each at once handle every due session once', async () => {
  await due('expired', { timeout_minutes: 5 });
  await due('silent', { heartbeat_timeout_seconds: 3600 });
  await due('recovering', { heartbeat_timeout_seconds: 3600, auto_recover: true });
  await due('well', {});
  await first.database.pool.query(
    `update sessions set expires_at = now() - interval '1 s' where expires_at is not null`,
  );
  await first.database.pool.query(
    `update sessions set overdue_at = now() - interval '1 s' where overdue_at is not null`,
  );
  const sweeps = [first, second].map(({ app }) => app.get(Sweeps));
  await Promise.all([...sweeps, ...sweeps].map((sweep) => sweep.run()));
  const { rows } = await first.database.pool.query(
    `select user_id, types, count(*)::int from (
       select s.user_id, (select string_agg(e.event_type, ' ' order by e.seq) from events e where e.aggregate_key = s.key) as types
       from sessions s) told
     group by 1, 2 order by 1`,
  );
  expect(rows).toEqual([
    { user_id: 'expired', types: 'session.created session.updated session.expired', count: EACH },
    {
      user_id: 'recovering',
      types: 'session.created session.updated session.crashed session.updated session.recovered',
      count: EACH,
    },
    { user_id: 'silent', types: 'session.created session.updated session.crashed', count: EACH },
    { user_id: 'well', types: 'session.created', count: EACH },
  ]);
});

test('jobs that ended a month ago are forgotten, but not those that failed', async () => {
  const { pool } = first.database;
  for (const state of ['succeeded', 'cancelled', 'failed', 'queued'])
    await insertJob(first.database, newId(), `old-${state}`, state);
  await pool.query(
    `update jobs set created_at = now() - interval '31 days', finished_at = finished_at - interval '31 days'`,
  );
  await insertJob(first.database, newId(), 'new-succeeded', 'succeeded');
  await first.app.get(Sweeps).run();
  const { rows } = await pool.query('select user_id from jobs order by 1');
  expect(rows.map(({ user_id }) => user_id)).toEqual(['new-succeeded', 'old-failed', 'old-queued']);
});

test('a process that only serves sweeps nothing by itself, and what it is told to it does', async () => {
  const api = await startApp({ ROLE: 'api', SWEEP_SECONDS: '1' }, first);
  await insertJob(first.database, newId(), 'later', 'succeeded');
  await first.database.pool.query(
    `update jobs set finished_at = now() - interval '31 days' where user_id = 'later'`,
  );
  await new Promise((resolve) => setTimeout(resolve, 2_500));
  const left = async () =>
    (await first.database.pool.query(`select 1 from jobs where user_id = 'later'`)).rows.length;
  expect(await left()).toBe(1);
  await api.app.get(Sweeps).run();
  expect(await left()).toBe(0);
  await api.close();
});
