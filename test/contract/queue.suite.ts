import { setTimeout as pause } from 'node:timers/promises';
import { Database } from '../../src/database/database.js';
import { JobQueue } from '../../src/jobs/job-queue.js';
import { SERVICE_KEY, type TestApp } from '../setup/app.js';
import { eventually } from '../setup/eventually.js';
import { ask, type Effects, startJobApp } from '../setup/job-rooms.js';

// biome-ignore lint/suspicious/noExplicitAny: rows of answers of every shape
type Row = any;

export interface QueueUnderTest {
  environment(): NodeJS.ProcessEnv;
  /** takes everything away that the queue holds */
  wipe(app: TestApp): Promise<void>;
  /** ends every connection to it, or the whole server, and lets it come back */
  interrupt(app: TestApp): Promise<void>;
  /** how much the queue holds */
  leftovers(app: TestApp): Promise<number>;
}

/** What holds whatever tells workers of jobs: one process that only serves, two that work. */
export function queueSuite({ environment, wipe, interrupt, leftovers }: QueueUnderTest): void {
  let app: TestApp;
  let workers: TestApp[];
  beforeAll(async () => {
    app = await startJobApp({ ...environment(), ROLE: 'api' });
    workers = [
      await startJobApp(environment(), app),
      await startJobApp({ ...environment(), ROLE: 'worker' }, app),
    ];
  });
  afterAll(async () => {
    await Promise.all(workers.map((worker) => worker.close()));
    await app.close();
  });

  const service = () => app.api.service(SERVICE_KEY);
  const get = async (id: string): Promise<Row> => (await service().get(`/jobs/${id}`)).body;
  const sql = async (text: string, values: unknown[] = []) =>
    (await app.database.pool.query(text, values)).rows;
  const isOver = ({ state }: Row) => ['succeeded', 'failed', 'cancelled'].includes(state);
  const over = (id: string) => eventually(() => get(id), isOver);
  const effectsOf = (id: string) => sql('select n, attempt from effects where job_id = $1 order by n', [id]);
  const numbers = (to: number) => Array.from({ length: to }, (_, i) => i + 1);
  /** Lets back-offs and leases end now. */
  const hurry = (id: string, state: string) =>
    sql('update jobs set due_at = now() where job_id = $1 and state = $2', [id, state]);
  const overHurried = (id: string) =>
    eventually(async () => {
      await hurry(id, 'queued');
      return get(id);
    }, isOver);
  const askMany = async (count: number, input: Effects) => {
    const ids: string[] = [];
    // no more at once than the database lets in
    while (ids.length < count) ids.push(...(await Promise.all(numbers(10).map(() => ask(app, input)))));
    return ids;
  };
  const allOver = (count: number) =>
    eventually(
      () => sql(`select count(*)::int as left from jobs where due_at is not null`),
      ([{ left }]) => left === 0,
    ).then(async () => {
      const wrong = await sql(`select job_id, state, error_code from jobs where state <> 'succeeded'`);
      expect(wrong).toEqual([]);
      expect(await sql('select count(*)::int as count from jobs')).toEqual([{ count }]);
    });
  const effectsOnce = async (jobs: number, steps: number) =>
    expect(
      await sql('select count(*)::int as written, count(distinct (job_id, n))::int as distinct from effects'),
    ).toEqual([{ written: jobs * steps, distinct: jobs * steps }]);

  beforeEach(() => sql('truncate jobs, effects'));

  test('a job runs its steps in order, tells how far it is, and what came of it', async () => {
    const id = await ask(app, { steps: 5 });
    expect(await over(id)).toMatchObject({
      ...{ job_id: id, kind: 'effects', state: 'succeeded', attempts: 1, error: null, result: { steps: 5 } },
      progress: { phase: 'effects', done: 5, total: 5 },
    });
    expect(await effectsOf(id)).toEqual(numbers(5).map((n) => ({ n, attempt: 1 })));
  });

  test('what the queue has told of leaves next to nothing behind in it', async () => {
    await askMany(300, { steps: 1 });
    await allOver(300);
    await eventually(
      () => leftovers(app),
      (count) => count < 500,
    );
  });

  test('one that breaks is tried again after a back-off, and goes on where it stood', async () => {
    const id = await ask(app, { steps: 4, failing: { at: 3, times: 2 } });
    const failed = await eventually(
      () => get(id),
      ({ error }) => error !== null,
    );
    expect(failed.error.code).toBe('internal');
    expect(await overHurried(id)).toMatchObject({ state: 'succeeded', attempts: 3, error: null });
    expect(await effectsOf(id)).toEqual([1, 2, 3, 4].map((n) => ({ n, attempt: n < 3 ? 1 : 3 })));
  });

  test('one that breaks again and again is dead, kept and listed; tried again by hand it goes on', async () => {
    const id = await ask(app, { steps: 3, failing: { at: 2, times: 5 } });
    expect(await overHurried(id)).toMatchObject({
      ...{ state: 'failed', attempts: 5, progress: { phase: 'effects', done: 1, total: 3 } },
      error: { code: 'internal' },
    });
    expect((await service().get('/jobs?state=failed')).body.jobs).toMatchObject([{ job_id: id }]);
    expect((await service().post(`/jobs/${id}/retry`)).body.state).toBe('queued');
    expect(await over(id)).toMatchObject({ state: 'succeeded', attempts: 6, error: null });
    expect((await effectsOf(id)).map(({ n }) => n)).toEqual([1, 2, 3]);
  });

  test('a refusal is final at once', async () => {
    const id = await ask(app, { steps: 1, refused: 'point_conflict' });
    expect(await over(id)).toMatchObject({
      ...{ state: 'failed', attempts: 1 },
      error: { code: 'point_conflict', detail: 'It cannot be.' },
    });
  });

  test('one that is queued is cancelled at once', async () => {
    const database = app.app.get(Database, { strict: false });
    const id = await database.run(async () => {
      const made = await ask(app, { steps: 1 });
      await database.query({ text: `update jobs set due_at = now() + interval '1 hour' where job_id = $1` }, [
        made,
      ]);
      return made;
    });
    expect((await service().post(`/jobs/${id}/cancel`)).body).toMatchObject({
      state: 'cancelled',
      attempts: 0,
    });
    expect((await service().post(`/jobs/${id}/cancel`)).body.code).toBe('job_finished');
    expect(await effectsOf(id)).toEqual([]);
  });

  test('one that runs is cancelled at its next step, or where it waits', async () => {
    const ids = [
      await ask(app, { steps: 1_000_000, pauseMs: 20 }),
      await ask(app, { steps: 1, waiting: true }),
    ];
    for (const id of ids) {
      await eventually(
        () => get(id),
        ({ state }) => state === 'running',
      );
      await service().post(`/jobs/${id}/cancel`);
    }
    for (const id of ids)
      expect(await over(id)).toMatchObject({ state: 'cancelled', attempts: 1, error: null });
    const written = await effectsOf(ids[0]!);
    await pause(100);
    expect(await effectsOf(ids[0]!)).toEqual(written);
  });

  test('of those with the same key there is one at a time', async () => {
    const ids = await Promise.all(
      numbers(10).map(() => ask(app, { steps: 3, pauseMs: 50 }, { dedupKey: 'one' })),
    );
    expect(new Set(ids).size).toBe(1);
    await over(ids[0]!);
    const later = await ask(app, { steps: 3 }, { dedupKey: 'one' });
    expect(ids).not.toContain(later);
    await over(later);
    await effectsOnce(2, 3);
  });

  test('what is rolled back was never asked for', async () => {
    const database = app.app.get(Database, { strict: false });
    const asked = database.run(async () => {
      await ask(app, { steps: 1 });
      throw new Error('no');
    });
    await expect(asked).rejects.toThrow('no');
    expect(await sql('select * from jobs')).toEqual([]);
  });

  test('one that is told of twenty times is done once', async () => {
    const queues = [app, ...workers].map((one) => one.app.get(JobQueue, { strict: false }));
    const ids = await askMany(10, { steps: 5, pauseMs: 5 });
    for (let round = 0; round < 20; round++)
      await Promise.all(ids.map((id) => queues[round % queues.length]!.tell(id)));
    await allOver(10);
    await effectsOnce(10, 5);
  });

  test('two workers on one job: the one taken for dead writes nothing more', async () => {
    const id = await ask(app, { steps: 2, pauseMs: 4_000 });
    await eventually(
      () =>
        sql(`update jobs set due_at = now() where job_id = $1 and attempts = 1 returning 1`, [id]).then(() =>
          get(id),
        ),
      ({ attempts }) => attempts === 2,
    );
    expect(await over(id)).toMatchObject({ state: 'succeeded', attempts: 2 });
    await effectsOnce(1, 2);
  });

  test.each([
    ['had everything taken out of it', wipe, 0],
    ['been stopped and started', interrupt, 300],
  ] as const)(
    'the queue has %s again and again: every job ends, every effect is there once',
    async (what, disturb, every) => {
      let isDone = false;
      let times = 0;
      const disturbing = (async () => {
        for (; !isDone; times++) {
          await disturb(app);
          await pause(every);
        }
      })();
      for (let round = 0; round < 10; round++) {
        await askMany(20, { steps: 5, pauseMs: 1 });
        await pause(50);
      }
      await allOver(200).finally(() => {
        isDone = true;
      });
      await disturbing;
      await effectsOnce(200, 5);
      console.log(`200 jobs ended; the queue has ${what} ${times} times`);
    },
    120_000,
  );
}
