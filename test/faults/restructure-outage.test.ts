import { Sweeps } from '../../src/jobs/sweeps.js';
import {
  history,
  merge,
  point,
  pointsOf,
  put,
  type Row,
  resultOf,
  SHAPE,
  said,
  say,
  session,
  split,
} from '../http/histories.js';
import { at, expectOk, expectRefused, fresh, read } from '../http/support.js';
import type { Api } from '../setup/api.js';
import { startApp, type TestApp } from '../setup/app.js';
import { eventually } from '../setup/eventually.js';
import { FakeQdrant } from '../setup/fake-qdrant/fake-qdrant.js';
import type { How } from '../setup/fake-qdrant/faults.js';
import { allNames, LAYOUTS, storeAt } from '../setup/qdrant.js';

const WRITE = /^PUT \/collections\/[^/]+\/points$|^POST \/collections\/[^/]+\/points\/batch$/;

describe.each(LAYOUTS)('Qdrant, %s, away in the middle', (layout) => {
  const fake = new FakeQdrant();
  let app: TestApp;
  let api: Api;

  beforeAll(async () => {
    await fake.start();
    app = await startApp({ QDRANT_URL: fake.url, QDRANT_LAYOUT: layout });
  });
  afterAll(async () => {
    await app.close();
    await fake.stop();
  });
  beforeEach(() => {
    api = app.api.as(fresh());
  });
  afterEach(() => fake.faults.clear());

  const sql = async (text: string, values: unknown[] = []): Promise<Row[]> =>
    (await app.database.pool.query(text, values)).rows;
  const job = async (id: string) => expectOk(await api.get(`/jobs/${id}`));
  const names = async () => allNames((await storeAt(fake.url, layout)).store, 'ss');
  const sweep = () => app.app.get(Sweeps).run();

  /** With more points than are copied at once. */
  async function sources(): Promise<string[]> {
    const ids = [await session(api, { configuration: SHAPE }), await session(api, { configuration: SHAPE })];
    for (const [n, id] of ids.entries()) {
      await say(api, id, said('user', `${n}`));
      const rows = Array.from({ length: 700 }, (_, i) => point(i + 600 * n, [i, n + 1], { n }));
      await put(api, id, ...rows);
      await put(api, id, ...rows.map((row) => ({ ...row, id: (row.id as number) + 10_000 * (n + 1) })));
    }
    return ids;
  }

  /** The next write goes through, those behind it fail. */
  function breakAfterOne(how: How): void {
    fake.fail({ on: WRITE, times: 1, how: {} });
    fake.fail({ on: WRITE, how });
  }
  const isWaiting = (id: string) =>
    eventually(
      async () => job(id),
      ({ state, error }) => state === 'queued' && error !== null,
    );
  const over = (id: string) =>
    eventually(
      async () => job(id),
      ({ state }) => state !== 'queued' && state !== 'running',
    );

  const ROWS = 2800 - 100;

  test.each<[string, How]>([
    ['answers 503', { status: 503 }],
    ['breaks off before it does anything', { cut: 'before' }],
    ['breaks off when it has done it', { cut: 'after' }],
  ])('a merge waits while it %s, and goes on by itself', async (_, how) => {
    const session_ids = await sources();
    breakAfterOne(how);
    const { job_id } = expectOk(
      await api.post('/api/v1/sessions/merge', { session_ids, on_point_conflict: 'keep_last' }),
      202,
    );
    const waiting = await isWaiting(job_id);
    expect(waiting.error.code).toMatch(/^vectors_/);
    expectRefused(await api.post(at(session_ids[0]!, '/messages'), said('user', 'x')), 409, 'session_busy');
    fake.faults.clear();
    const done = await over(job_id);
    expect(done).toMatchObject({ state: 'succeeded', error: null, result: { points: ROWS, messages: 2 } });
    const points = await pointsOf(api, done.result.session_id);
    expect(points).toHaveLength(ROWS);
    expect(points.filter(({ payload }) => payload.n === 0)).toHaveLength(1300);
    console.log(`${layout}: ${points.length} points after ${done.attempts} attempts`);
  });

  test('a merge goes on when the server was stopped and started again', async () => {
    const session_ids = await sources();
    fake.fail({ on: WRITE, times: 1, how: {} });
    fake.fail({ on: WRITE, times: 1, how: { cut: 'after' } });
    const body = { session_ids, on_point_conflict: 'remap' };
    await fake.stop();
    const { job_id } = expectOk(await api.post('/api/v1/sessions/merge', body), 202);
    await isWaiting(job_id);
    await fake.start();
    const done = await over(job_id);
    expect(done).toMatchObject({ state: 'succeeded', result: { points: 2800, remapped: 100 } });
    expect(await pointsOf(api, done.result.session_id)).toHaveLength(2800);
  });

  test('a merge that is cancelled meanwhile frees its sources, and what it made goes', async () => {
    const session_ids = await sources();
    const before = await names();
    const keys = await sql('select max(key) as last from sessions');
    breakAfterOne({ status: 503 });
    const { job_id } = expectOk(
      await api.post('/api/v1/sessions/merge', { session_ids, on_point_conflict: 'remap' }),
      202,
    );
    await isWaiting(job_id);
    expect((await names()).length).toBe(before.length + 1);
    expectOk(await api.post(`/jobs/${job_id}/cancel`));
    expect((await over(job_id)).state).toBe('cancelled');
    for (const id of session_ids) await say(api, id, said('user', 'free'));
    fake.fail({ on: /^DELETE |\/points\/delete/, how: { status: 503 } });
    await sweep();
    expect((await names()).length).toBe(before.length + 1);
    expect(await sql('select 1 from sessions where key > $1', [keys[0].last])).toEqual([]);
    fake.faults.clear();
    await sql(`update collections set due_at = now() where state = 'dropping'`);
    await sweep();
    expect(await sql(`select 1 from collections where state <> 'ready'`)).toEqual([]);
    expect(await names()).toEqual(before);
    for (const id of session_ids) expect(await pointsOf(api, id)).toHaveLength(1400);
    expectOk(await api.post(`/jobs/${job_id}/retry`));
    expect(await over(job_id)).toMatchObject({ state: 'succeeded', result: { points: 2800, remapped: 100 } });
  });

  test('a split waits while points cannot be removed: its parts are there, the original is not free yet', async () => {
    const [id] = await sources();
    fake.fail({ on: /POST .*\/points\/delete/, how: { status: 503 } });
    const point_ids = Array.from({ length: 450 }, (_, n) => n);
    const answer = await api.post(at(id!, '/split'), { parts: [{ title: 'P', point_ids, from_seq: 1 }] });
    const { job_id } = expectOk(answer, 202);
    expect((await isWaiting(job_id)).progress.phase).toBe('remove');
    expectRefused(await api.post(`/jobs/${job_id}/cancel`), 409, 'job_finished');
    const [part] = (await read(api, id!)).lineage.split_into;
    expect(await pointsOf(api, part)).toHaveLength(450);
    expect(await history(api, part)).toHaveLength(1);
    expectRefused(await api.post(at(id!, '/messages'), said('user', 'x')), 409, 'session_busy');
    fake.faults.clear();
    expect(await over(job_id)).toMatchObject({ state: 'succeeded', result: { removed_points: 450 } });
    expect(await pointsOf(api, id!)).toHaveLength(950);
    await say(api, id!, said('user', 'free'));
  });

  test('a split is refused while nobody can say whether its points are there', async () => {
    const [id] = await sources();
    fake.fail({ how: { status: 503 } });
    const answer = await split(api, id!, { parts: [{ title: 'P', point_ids: [1] }] });
    expect(answer.status).toBe(503);
    fake.faults.clear();
    await say(api, id!, said('user', 'free'));
    resultOf(await merge(api, { session_ids: [id, await session(api)] }));
  });
});
