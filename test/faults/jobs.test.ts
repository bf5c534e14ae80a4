import pg from 'pg';
import { SERVICE_KEY, type TestApp } from '../setup/app.js';
import { eventually } from '../setup/eventually.js';
import { ask, startJobApp } from '../setup/job-rooms.js';
import { type Service, startService } from '../setup/service.js';

const STEPS = 4;

let app: TestApp;
beforeAll(async () => {
  app = await startJobApp({ ROLE: 'api' });
});
afterAll(() => app.close());

const sql = async (text: string, values: unknown[] = []) =>
  (await app.database.pool.query(text, values)).rows;
const startWorker = () =>
  startService({ DATABASE_URL: app.database.url, ROLE: 'worker' }, 60_000, 'test/setup/job-worker.mjs');
const get = async (id: string) => (await app.api.service(SERVICE_KEY).get(`/jobs/${id}`)).body;

/** Lets the lease of a dead worker end now, until the job is over. */
const overWithoutLease = (id: string) =>
  eventually(
    async () => {
      await sql(`update jobs set due_at = now() where state = 'running' and attempts = 1`);
      return get(id);
    },
    ({ state }) => state !== 'queued' && state !== 'running',
  );

async function effectsOnce(id: string): Promise<number[]> {
  const rows = await sql('select n, attempt from effects where job_id = $1 order by n, attempt', [id]);
  expect(rows.map(({ n }) => n)).toEqual(Array.from({ length: STEPS }, (_, i) => i + 1));
  return rows.map(({ attempt }) => attempt);
}

async function end(worker: Service, signal: NodeJS.Signals): Promise<void> {
  worker.kill(signal);
  await worker.exited;
}

const askToStayAt = (stayAt: string) => ask(app, { steps: STEPS, stayAt } as never);
const reached = (worker: Service, phase: string) =>
  eventually(
    async () => worker.output(),
    (output) => output.includes(`at ${phase}`),
  );

test.each([
  ['claimed', [2, 2, 2, 2]],
  ['mid-step', [1, 2, 2, 2]],
  ['between steps', [1, 1, 2, 2]],
  ['before the finish', [1, 1, 1, 1]],
])('a worker killed when it has a job %s: another goes on from there', async (phase, attempts) => {
  const first = await startWorker();
  const id = await askToStayAt(phase);
  await reached(first, phase);
  await end(first, 'SIGKILL');
  const second = await startWorker();
  expect(await overWithoutLease(id)).toMatchObject({
    state: 'succeeded',
    attempts: 2,
    result: { steps: STEPS },
  });
  expect(await effectsOnce(id)).toEqual(attempts);
  await end(second, 'SIGTERM');
});

test('a worker killed while it writes that a job is done: it is done, once', async () => {
  const first = await startWorker();
  const id = await askToStayAt('before the finish');
  await reached(first, 'before the finish');
  const holder = new pg.Client(app.database.url);
  await holder.connect();
  await holder.query('begin');
  await holder.query('select from jobs where job_id = $1 for update', [id]);
  first.write('go on');
  await eventually(
    () =>
      sql(
        `select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock' and query like '%''succeeded''%'`,
      ),
    (rows) => rows.length === 1,
  );
  await end(first, 'SIGKILL');
  await holder.query('rollback');
  await holder.end();
  const second = await startWorker();
  expect(await overWithoutLease(id)).toMatchObject({ state: 'succeeded', result: { steps: STEPS } });
  expect(await effectsOnce(id)).toEqual([1, 1, 1, 1]);
  await end(second, 'SIGTERM');
});

test('a worker that is stopped lets its job go at its next step, and another has it before the lease ends', async () => {
  const first = await startWorker();
  const id = await askToStayAt('between steps');
  await reached(first, 'between steps');
  first.kill('SIGTERM');
  const second = await startWorker();
  first.write('go on');
  const job = await eventually(
    () => get(id),
    ({ state }) => state === 'succeeded',
  );
  expect(job).toMatchObject({ attempts: 2 });
  expect(await sql('select failures from jobs where job_id = $1', [id])).toEqual([{ failures: 0 }]);
  expect((await effectsOnce(id)).slice(0, 2)).toEqual([1, 1]);
  expect(await first.exited).toBe(0);
  await end(second, 'SIGTERM');
});

test('a process that only works is probed, and asked for nothing else', async () => {
  const worker = await startWorker();
  for (const path of ['/health', '/health/live', '/health/ready', '/metrics'])
    expect((await fetch(worker.url + path)).status).toBe(200);
  for (const path of ['/api/v1/jobs', '/api/v1/sessions', '/openapi.json', '/docs'])
    expect((await fetch(worker.url + path, { headers: { 'x-user-id': 'alice' } })).status).toBe(404);
  expect((await fetch(`${worker.url}/api/v1/sessions`, { method: 'POST' })).status).toBe(404);
  await end(worker, 'SIGTERM');
});
