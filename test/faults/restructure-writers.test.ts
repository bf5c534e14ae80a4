import { setTimeout as pause } from 'node:timers/promises';
import { history, type Row, said, session } from '../http/histories.js';
import { at, expectOk, fresh } from '../http/support.js';
import type { Api } from '../setup/api.js';
import { startApp, type TestApp } from '../setup/app.js';
import { eventually } from '../setup/eventually.js';
import { type Service, startService } from '../setup/service.js';

const WRITERS = 16;
const MERGES = Number(process.env.RESTRUCTURE_MERGES ?? 8);
const SEED = Number(process.env.RESTRUCTURE_SEED ?? Date.now() % 1_000_000);

let app: TestApp;
let api: Api;
let worker: Service;
beforeAll(async () => {
  app = await startApp({ ROLE: 'api' });
  api = app.api.as(fresh());
  worker = await startWorker();
}, 180_000);
afterAll(async () => {
  worker.kill('SIGTERM');
  await worker.exited;
  await app.close();
});

const startWorker = () => startService({ DATABASE_URL: app.database.url, ROLE: 'worker' }, 120_000);
const sql = async (text: string, values: unknown[] = []): Promise<Row[]> =>
  (await app.database.pool.query(text, values)).rows;

let state = SEED;
const random = (end: number) => {
  state = (state * 48_271 + 11) % 2_147_483_647;
  return state % end;
};

/** Sessions that may be written to; one that was merged away is not among them. */
const open: string[] = [];
const counts = { acknowledged: 0, replayed: 0, busy: 0, closed: 0, kills: 0, attempts: 0 };

/** Says it until somebody has acknowledged it; whoever waits for a merge may find that the session is closed then. */
async function write(tag: string): Promise<boolean> {
  const id = open[random(open.length)]!;
  for (;;) {
    const answer = await api.post(at(id, '/messages'), said('user', tag), { 'idempotency-key': tag });
    if (answer.status === 200 || answer.status === 201) {
      // the answer is lost, as it were: the same again must not be another message
      if (random(10) === 0) {
        const again = await api.post(at(id, '/messages'), said('user', tag), { 'idempotency-key': tag });
        expect([200, 201]).toContain(again.status);
        expect(again.body.message_id).toBe(answer.body.message_id);
        counts.replayed++;
      }
      counts.acknowledged++;
      return true;
    }
    expect(answer.status).toBe(409);
    if (answer.body.code === 'session_not_open') {
      counts.closed++;
      return false;
    }
    expect(answer.body.code).toBe('session_busy');
    counts.busy++;
    await pause(20);
  }
}

/** Merges two of the sessions, while the workers that do it are killed at any moment. */
async function mergeTwo(kills: number): Promise<void> {
  const [a] = open.splice(random(open.length), 1);
  const [b] = open.splice(random(open.length), 1);
  const answer = await api.post('/api/v1/sessions/merge', { session_ids: [a, b] });
  const { job_id } = expectOk(answer, 202);
  for (let n = 0; n < kills; n++) {
    await pause(random(60));
    worker.kill('SIGKILL');
    await worker.exited;
    counts.kills++;
    worker = await startWorker();
    await sql(`update jobs set due_at = now() where state = 'running' and job_id = $1`, [job_id]);
  }
  const job = await eventually(
    async () => expectOk(await api.get(`/jobs/${job_id}`)),
    ({ state }) => state !== 'queued' && state !== 'running',
  );
  expect(job).toMatchObject({ state: 'succeeded', error: null });
  counts.attempts += job.attempts;
  open.push(job.result.session_id);
}

test('what sixteen writers were told is kept is there once, however often the workers that merge die', async () => {
  console.log(`RESTRUCTURE_SEED=${SEED}, RESTRUCTURE_MERGES=${MERGES}`);
  for (let n = 0; n < 6; n++) open.push(await session(api));
  const told: string[] = [];
  let isOver = false;
  const writers = Array.from({ length: WRITERS }, async (_, writer) => {
    for (let n = 0; !isOver; n++) if (await write(`${writer}-${n}`)) told.push(`${writer}-${n}`);
  });
  const merges = (async () => {
    for (let n = 0; n < MERGES; n++) {
      await mergeTwo(n % 3);
      while (open.length < 4) open.push(await session(api));
    }
  })();
  await Promise.all([merges.finally(() => (isOver = true)), ...writers]);

  const live = (await sql(`select id from sessions where archived_at is null and purged_at is null`)).map(
    ({ id }) => id,
  );
  const found = new Map<string, number>();
  for (const id of live)
    for (const { content } of await history(api, id)) found.set(content, (found.get(content) ?? 0) + 1);
  const missing = told.filter((tag) => !found.has(tag));
  const twice = [...found].filter(([, times]) => times > 1);
  console.log(
    `${JSON.stringify(counts)}; ${live.length} sessions are open and have ${[...found.values()].reduce((sum, times) => sum + times, 0)} messages; ` +
      `${missing.length} missing, ${twice.length} twice`,
  );
  expect({ missing, twice }).toEqual({ missing: [], twice: [] });
  expect(new Set(told).size).toBe(told.length);
  expect(await sql('select 1 from sessions where purged_at is not null or busy_job is not null')).toEqual([]);
}, 600_000);
