import { expectOk } from '../http/support.js';
import { SERVICE_KEY, startApp, type TestApp } from '../setup/app.js';
import { eventually } from '../setup/eventually.js';
import { insertKept, kept } from '../setup/retention.js';
import { type Service, startService } from '../setup/service.js';

const DAY = 86_400_000;
const NAME = 'cleanup by retention policies';
/** …of each kind. */
const EACH = 500;

let app: TestApp;
beforeEach(async () => {
  app = await startApp({ ROLE: 'api' });
  const service = app.api.service(SERVICE_KEY);
  // one that takes a step is due for the next at once: a second step in a run would show
  const policy = {
    ...{
      auto_archive_inactive_days: 1,
      auto_delete_archived_days: 0,
      delete_completed_days: 0,
      purge_deleted_days: 0,
    },
    max_sessions_per_user: 50,
  };
  expectOk(await service.put('/api/v1/sessions/retention-policy', policy));
  const now = Date.now();
  const many = (kind: string, rest: object, user = (n: number) => `user-${n % 7}`) =>
    Array.from({ length: EACH }, (_, n) => kept(`${kind}-${n}`, user(n), now - n, rest));
  await insertKept(app.database, [
    ...many('inactive', { activity: now - 2 * DAY }),
    ...many('archived', { archived: now - DAY }),
    ...many('completed', { state: 'completed', completed: now - DAY }),
    ...many('deleted', { deleted: now - DAY }),
    ...many('silent', { activity: now - 2 * DAY, overdue: now - DAY }),
    ...many('crowded', {}, () => 'crowd'),
    ...many('held', { held: true, archived: now - DAY }),
  ]);
}, 120_000);
afterEach(() => app.close());

const sql = async (text: string, values: unknown[] = []) =>
  (await app.database.pool.query(text, values)).rows;
const startWorker = () =>
  startService(
    { DATABASE_URL: app.database.url, ROLE: 'worker', RETENTION_CRON: '17 3 * * *', SWEEP_SECONDS: '1' },
    60_000,
  );
const jobs = () => sql(`select * from jobs where kind = 'cleanup' order by key`);

/** The set time has come: for all processes at once. */
const comes = () =>
  eventually(
    () => sql(`update schedules set due_at = now() where name = $1 returning 1`, [NAME]),
    (rows) => rows.length === 1,
  );

const reaches = (done: number) =>
  eventually(jobs, ([job]) => job !== undefined && (job.done >= done || job.finished_at !== null));

async function isOver(): Promise<void> {
  await eventually(
    async () => {
      // the lease of a dead worker ends now
      await sql(
        `update jobs set due_at = now() where state = 'running' and due_at < now() + interval '24 s'`,
      );
      return jobs();
    },
    ([job]) => job?.finished_at !== null && job !== undefined,
  );
}

const STEPS = ['session.archived', 'session.deleted', 'session.purged'];

/** Each due session has one step and one event of it; the job says so too. */
async function expectEachOnce(): Promise<void> {
  const rows = await sql(
    `select split_part(coalesce(p.payload ->> 'session_id', s.id), '-', 1) as kind,
       (select string_agg(e.event_type, ' ' order by e.seq) from events e
        where e.aggregate_key = s.key and e.event_type = any($1)) as told, count(*)::int as sessions
     from sessions s left join events p on p.aggregate_key = s.key and p.event_type = 'session.purged'
     group by 1, 2 order by 1, 2 desc nulls last`,
    [STEPS],
  );
  const purged = await sql(
    `select count(*)::int as sessions, count(distinct aggregate_key)::int as once from events where event_type = 'session.purged'`,
  );
  expect(purged).toEqual([{ sessions: EACH, once: EACH }]);
  // rows of what was purged may be gone already
  expect(rows.filter(({ kind }) => kind !== 'deleted')).toEqual([
    { kind: 'archived', told: 'session.deleted', sessions: EACH },
    { kind: 'completed', told: 'session.deleted', sessions: EACH },
    { kind: 'crowded', told: 'session.archived', sessions: EACH - 50 },
    { kind: 'crowded', told: null, sessions: 50 },
    { kind: 'held', told: null, sessions: EACH },
    { kind: 'inactive', told: 'session.archived', sessions: EACH },
    { kind: 'silent', told: 'session.archived', sessions: EACH },
  ]);
  const [job, ...others] = await jobs();
  expect(others).toEqual([]);
  expect(job).toMatchObject({
    state: 'succeeded',
    result: { counts: { archive: 3 * EACH - 50, delete: 2 * EACH, purge: EACH } },
  });
  expect(
    await sql(
      `select from sessions s where event_seq <> (select max(seq) from events e where e.aggregate_key = s.key)`,
    ),
  ).toEqual([]);
}

async function end(...workers: Service[]): Promise<void> {
  for (const worker of workers) worker.kill('SIGTERM');
  await Promise.all(workers.map(({ exited }) => exited));
}

test('two schedulers at once: one run, each due session once', async () => {
  const workers = await Promise.all([startWorker(), startWorker()]);
  await comes();
  await isOver();
  await expectEachOnce();
  await end(...workers);
}, 180_000);

test('workers killed again and again in a run: it goes on, and nothing happens twice', async () => {
  let worker = await startWorker();
  await comes();
  let killed = 0;
  for (const done of [0, 450, 1_500, 2_500]) {
    const [job] = await reaches(done);
    if (job.finished_at !== null) break;
    worker.kill('SIGKILL');
    await worker.exited;
    killed++;
    worker = await startWorker();
    await sql(`update jobs set due_at = now() where state = 'running' and attempts = $1`, [job.attempts]);
  }
  await isOver();
  await expectEachOnce();
  await end(worker);
  const [{ attempts }] = (await jobs()) as [{ attempts: number }];
  console.log(`${killed} workers killed, ${attempts} attempts`);
}, 300_000);

test('a worker that was taken for dead comes back: it does nothing more', async () => {
  const first = await startWorker();
  await comes();
  await reaches(250);
  first.kill('SIGSTOP');
  const second = await startWorker();
  await sql(`update jobs set due_at = now() where state = 'running'`);
  await eventually(jobs, ([job]) => job.attempts === 2);
  first.kill('SIGCONT');
  await isOver();
  await expectEachOnce();
  await end(first, second);
}, 180_000);
