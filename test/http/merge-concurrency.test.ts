import { Sweeps } from '../../src/jobs/sweeps.js';
import type { Api } from '../setup/api.js';
import { startApp, type TestApp } from '../setup/app.js';
import { eventually } from '../setup/eventually.js';
import {
  history,
  merge,
  point,
  pointsOf,
  put,
  type Row,
  remember,
  resultOf,
  SHAPE,
  said,
  say,
  session,
  split,
} from './histories.js';
import { api, app, useApp, user } from './suite.js';
import { at, atOnce, create, expectOk, fresh, read, share } from './support.js';

useApp();

const sql = async (text: string, values: unknown[] = []): Promise<Row[]> =>
  (await app.database.pool.query(text, values)).rows;

async function spoken(fields: object = {}): Promise<string> {
  const id = await session(api, fields);
  await say(api, id, said('user', id), said('assistant', `${id}!`));
  return id;
}

/** Nobody holds anything, and nothing half made is there. */
async function expectNothingLeft(): Promise<void> {
  await eventually(
    () => sql('select 1 from jobs where due_at is not null'),
    (rows) => rows.length === 0,
  );
  expect(await sql('select id from sessions where busy_job is not null')).toEqual([]);
  await app.app.get(Sweeps).run();
  expect(await sql('select id from sessions where purged_at is not null')).toEqual([]);
}

describe('at the same instant', () => {
  test.each<[string, (id: string) => ReturnType<Api['post']>, number[]]>([
    ['delete', (id) => api.delete(at(id)), [200, 409]],
    ['purge', (id) => api.delete(at(id, '?permanent=true')), [204, 409]],
    ['archive', (id) => api.post(at(id, '/archive')), [200, 409]],
    ['fork', (id) => api.post(at(id, '/fork'), {}), [201]],
    ['append', (id) => api.post(at(id, '/messages'), said('user', 'late')), [201, 409]],
    ['remember', (id) => api.put(at(id, '/memory/late'), { value: 1 }), [201, 409]],
    ['split', (id) => split(api, id, { parts: [{ title: 'P', from_seq: 1 }] }), [200, 409]],
    ['heartbeat', (id) => api.post(at(id, '/heartbeat')), [200, 409]],
  ])('a merge and: %s', async (_, work, allowed) => {
    const outcomes: Record<string, number> = {};
    for (let round = 0; round < 8; round++) {
      const [a, b] = [await spoken(), await spoken()];
      const [first, second] = await Promise.all(
        round % 2
          ? [merge(api, { session_ids: [a, b] }), work(a)]
          : [work(a), merge(api, { session_ids: [a, b] })].reverse(),
      );
      const [merged, other] = [await first!, await second!];
      expect(allowed).toContain(other.status);
      expect([200, 404, 409]).toContain(merged.status);
      const outcome = `merge ${merged.body?.code ?? merged.status}, other ${other.body?.code ?? other.status}`;
      outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
      if (merged.status !== 200) continue;
      const { session_id, messages } = resultOf(merged);
      const extra = other.status === 201 && other.body.role ? 1 : 0;
      expect(messages).toBe(4 + extra);
      expect(await history(api, session_id)).toHaveLength(messages);
    }
    console.log(JSON.stringify(outcomes));
    await expectNothingLeft();
  });

  test('merges and splits over the same sessions in every order, some cancelled: none is stuck', async () => {
    const ids = await Promise.all(Array.from({ length: 6 }, () => spoken()));
    const states: Record<string, number> = {};
    await atOnce(40, async (n) => {
      const rotated = [...ids.slice(n % 6), ...ids.slice(0, n % 6)];
      const session_ids = (n % 2 ? rotated : rotated.reverse()).slice(0, 2 + (n % 5));
      const answer =
        n % 4 === 3
          ? await api.post(at(ids[n % 6]!, '/split'), { parts: [{ title: 'P', from_seq: 1 }] })
          : await api.post('/api/v1/sessions/merge', { session_ids, archive_sources: false });
      expect([202, 409]).toContain(answer.status);
      if (answer.status === 409) expect(answer.body.code).toBe('session_busy');
      else if (n % 3 === 0)
        expect([200, 409]).toContain((await api.post(`/jobs/${answer.body.job_id}/cancel`)).status);
      const name = answer.status === 409 ? 'busy' : 'taken';
      states[name] = (states[name] ?? 0) + 1;
    });
    await expectNothingLeft();
    const rows = await sql('select state, count(*)::int from jobs where user_id = $1 group by 1 order by 1', [
      user,
    ]);
    console.log(JSON.stringify({ ...states, jobs: rows }));
    expect(rows.every(({ state }) => state === 'succeeded' || state === 'cancelled')).toBe(true);
  });
});

test('a hundred sources', async () => {
  const ids = await Promise.all(Array.from({ length: 100 }, () => spoken({ configuration: SHAPE })));
  for (const [n, id] of ids.entries()) {
    await remember(api, id, `k-${n}`, n);
    if (n % 4 === 0) await put(api, id, point(n, [n, 1]), point(1, [1, 1]));
  }
  const result = resultOf(await merge(api, { session_ids: ids }));
  expect(result).toMatchObject({ messages: 200, memory: 100, points: 26, remapped: 0 });
  const rows = await history(api, result.session_id);
  expect(new Set(rows.map(({ origin }) => origin.session_id)).size).toBe(100);
  const job = await sql(`select finished_at - started_at as took from jobs where $1 = any(session_ids)`, [
    ids[0],
  ]);
  console.log(`100 sources: ${JSON.stringify(job[0].took)}`);
});

test('sources that are archived are merged, and stay archived', async () => {
  const ids = [await spoken(), await spoken()];
  expectOk(await api.post(at(ids[0]!, '/archive')));
  const { session_id } = resultOf(await merge(api, { session_ids: ids }));
  expect((await read(api, session_id)).status).toBe('active');
  for (const id of ids) expect((await read(api, id)).status).toBe('archived');
});

test('points that were given another id once are known again, in every order', async () => {
  const [a, b] = [await session(api), await session(api)];
  for (const [id, x] of [
    [a, 1],
    [b, 2],
  ] as const) {
    expectOk(await api.put(at(id, '/collection'), SHAPE), 201);
    await put(api, id, point(5, [x, x], { of: x }), point(6, [0, 0]));
  }
  const body = { on_point_conflict: 'remap', archive_sources: false };
  const first = resultOf(await merge(api, { ...body, session_ids: [a, b] }));
  expect(first).toMatchObject({ points: 3, remapped: 1 });
  const held = await pointsOf(api, first.session_id);
  for (const session_ids of [
    [a, b, first.session_id],
    [first.session_id, a, b],
    [a, first.session_id, b],
    [first.session_id, b],
  ]) {
    const again = resultOf(await merge(api, { ...body, session_ids }));
    expect(again.points).toBe(3);
    expect(await pointsOf(api, again.session_id)).toEqual(held);
  }
  // what stands under the id it would be given is another point: it gets one more
  const [moved] = held.filter(({ payload }) => payload._origin);
  await put(api, first.session_id, { ...moved, vector: [9, 9] });
  const more = resultOf(await merge(api, { ...body, session_ids: [first.session_id, b] }));
  expect(more).toMatchObject({ points: 4, remapped: 1 });
  const all = await pointsOf(api, more.session_id);
  const of = all.filter(({ payload }) => payload._origin?.id === 5).map(({ vector }) => vector);
  expect(of.sort()).toEqual([
    [2, 2],
    [9, 9],
  ]);
});

describe('before a worker has it', () => {
  let idle: TestApp;
  beforeAll(async () => {
    idle = await startApp({ ROLE: 'api' });
  });
  afterAll(() => idle.close());

  async function done(job: string): Promise<Row> {
    const worker = await startApp({ ROLE: 'worker' }, idle);
    try {
      return await eventually(
        async () => expectOk(await idle.api.as(user).get(`/jobs/${job}`)),
        ({ state }) => state !== 'queued' && state !== 'running',
      );
    } finally {
      await worker.close();
    }
  }

  test('somebody takes the id that the target was to have: it fails, and frees its sources', async () => {
    const by = idle.api.as(user);
    const session_ids = [await session(by), await session(by)];
    const id = fresh('target');
    const { job_id } = expectOk(
      await by.post('/api/v1/sessions/merge', { session_ids, session_id: id }),
      202,
    );
    await create(idle.api.as(fresh()), { session_id: id });
    expect(await done(job_id)).toMatchObject({ state: 'failed', error: { code: 'session_id_taken' } });
    for (const source of session_ids) await say(by, source, said('user', 'free'));
  });

  test('a source that was to get a collection of another shape gets it afterwards', async () => {
    const by = idle.api.as(user);
    const a = await session(by, { configuration: { vectors: { size: 3, distance: 'euclid' } } });
    const b = await session(by, { configuration: SHAPE });
    await put(by, b, point(1, [1, 2]));
    const body = { session_ids: [a, b], archive_sources: false };
    const { job_id } = expectOk(await by.post('/api/v1/sessions/merge', body), 202);
    await idle.app.get(Sweeps).run();
    expect((await read(by, a)).collection).toBeNull();
    const job = await done(job_id);
    expect(job).toMatchObject({ state: 'succeeded', result: { points: 1 } });
    expect(await pointsOf(by, job.result.session_id)).toEqual([point(1, [1, 2])]);
    await idle.app.get(Sweeps).run();
    expect((await read(by, a)).collection).toMatchObject({ vectors: { size: 3 } });
  });

  test('who may not read a source any more gets nothing of it', async () => {
    const owner = idle.api.as(fresh());
    const by = idle.api.as(user);
    const theirs = await session(owner);
    await say(owner, theirs, said('user', 'secret'));
    await share(idle, theirs, user, 'viewer');
    const mine = await session(by);
    const body = { session_ids: [mine, theirs], archive_sources: false };
    const { job_id } = expectOk(await by.post('/api/v1/sessions/merge', body), 202);
    await idle.database.pool.query('delete from members where user_id = $1', [user]);
    const job = await done(job_id);
    expect(job).toMatchObject({ state: 'failed', error: { code: 'session_not_found' }, result: null });
    await say(owner, theirs, said('user', 'free'));
  });
});
