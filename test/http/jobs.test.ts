import { request } from 'node:http';
import { newId } from '../../src/common/ids.js';
import { startApp } from '../setup/app.js';
import { eventually } from '../setup/eventually.js';
import { ask, startJobApp } from '../setup/job-rooms.js';
import { api, app, service, useApp, user } from './suite.js';
import { atOnce, expectOk, expectRefused, insertJob, query, TIME, UUID_V7, walkByCursor } from './support.js';

// biome-ignore lint/suspicious/noExplicitAny: rows of answers of every shape
type Row = any;

useApp();

async function job(state?: string, owner: string | null = user, kind?: string): Promise<string> {
  const id = newId();
  await insertJob(app.database, id, owner, state, kind);
  return id;
}

const set = (id: string, assignments: string) =>
  app.database.pool.query(`update jobs set ${assignments} where job_id = $1`, [id]);

describe('a job', () => {
  test('is shown whole', async () => {
    const id = await job('failed');
    await set(id, `phase = 'copy', done = 3, total = 7, attempts = 5, started_at = now()`);
    expect(id).toMatch(UUID_V7);
    expect(expectOk(await api.get(`/jobs/${id.toUpperCase()}`))).toEqual({
      ...{ job_id: id, kind: 'summarize', state: 'failed', session_ids: ['s-1'], result: null, attempts: 5 },
      progress: { phase: 'copy', done: 3, total: 7 },
      error: { code: 'internal', detail: 'Something broke.' },
      ...{ created_at: expect.stringMatching(TIME), started_at: expect.stringMatching(TIME) },
      finished_at: expect.stringMatching(TIME),
    });
  });

  test.each(['', '/cancel', '/retry', '/events'])('of another, or none, is not found: %s', async (under) => {
    const others = [await job('queued', 'somebody'), await job('failed', null), newId(), 'x', 'x%00', 'null'];
    for (const id of others) {
      const path = `/jobs/${id}${under}`;
      const answer = await (under === '' || under === '/events' ? api.get(path) : api.post(path));
      if (id.includes('%00')) expect([404, 422]).toContain(answer.status);
      else expectRefused(answer, 404, 'job_not_found');
    }
  });

  test('of anybody is seen by a service, and not by one that acts for another', async () => {
    const id = await job();
    expectOk(await service.get(`/jobs/${id}`));
    expectOk(await service.as(user).get(`/jobs/${id}`));
    expectRefused(await service.as('another').get(`/jobs/${id}`), 404, 'job_not_found');
  });
});

describe('the list', () => {
  test('holds the caller’s own, newest first, page by page', async () => {
    const ids: string[] = [];
    for (let i = 0; i < 7; i++) ids.unshift(await job());
    await job('queued', 'somebody');
    const rows = await walkByCursor(api, '/jobs', 'jobs', { limit: 2 }, false);
    expect(rows.map((row) => row.job_id)).toEqual(ids);
    const seen = await walkByCursor(service, '/jobs', 'jobs', { limit: 100 });
    expect(seen.map((row) => row.job_id)).toEqual(expect.arrayContaining(ids));
  });

  test('is filtered by state and kind', async () => {
    const failed = await job('failed');
    const merge = await job('queued', user, 'merge');
    const listed = async (filter: object) =>
      expectOk(await api.get(`/jobs${query({ ...filter })}`)).jobs.map((row: Row) => row.job_id);
    expect(await listed({ state: 'failed' })).toEqual([failed]);
    expect(await listed({ kind: 'merge' })).toEqual([merge]);
    expect(await listed({ kind: 'merge', state: 'failed' })).toEqual([]);
    expectRefused(await api.get('/jobs?state=done'), 422, 'invalid');
  });

  test('takes a cursor for its own filters only', async () => {
    await atOnce(3, () => job());
    const { next_cursor } = expectOk(await api.get('/jobs?limit=1'));
    expectRefused(await api.get(`/jobs?limit=1&state=queued&cursor=${next_cursor}`), 400, 'invalid_cursor');
  });
});

describe('cancel', () => {
  test('ends one that is queued, and asks one that runs', async () => {
    const [queued, running] = [await job(), await job('running')];
    expect(expectOk(await api.post(`/jobs/${queued}/cancel`))).toMatchObject({
      state: 'cancelled',
      finished_at: expect.stringMatching(TIME),
    });
    expect(expectOk(await api.post(`/jobs/${running}/cancel`))).toMatchObject({
      state: 'running',
      finished_at: null,
    });
  });

  test.each(['succeeded', 'failed', 'cancelled'])('of one that has %s is refused', async (state) => {
    expectRefused(await api.post(`/jobs/${await job(state)}/cancel`), 409, 'job_finished');
  });

  test('with a key has its effect once', async () => {
    const id = await job();
    const answers = await atOnce(5, () =>
      api.post(`/jobs/${id}/cancel`, undefined, { 'idempotency-key': 'k' }),
    );
    for (const answer of answers) expect(expectOk(answer).state).toBe('cancelled');
    expect(answers.filter(({ headers }) => headers.get('idempotency-replayed') === 'true')).toHaveLength(4);
  });
});

describe('retry', () => {
  test.each(['failed', 'cancelled'])('of one that has %s queues it again', async (state) => {
    const id = await job(state);
    expect(expectOk(await api.post(`/jobs/${id}/retry`))).toMatchObject({
      state: 'queued',
      finished_at: null,
    });
    expectRefused(await api.post(`/jobs/${id}/retry`), 409, 'job_not_ended');
  });

  test.each(['queued', 'running', 'succeeded'])('of one that is %s is refused', async (state) => {
    expectRefused(await api.post(`/jobs/${await job(state)}/retry`), 409, 'job_not_ended');
  });

  test('is refused while another is at the same work', async () => {
    const [failed, queued] = [await job('failed'), await job()];
    await set(failed, `dedup_key = 'same'`);
    await set(queued, `dedup_key = 'same'`);
    expectRefused(await api.post(`/jobs/${failed}/retry`), 409, 'job_exists');
  });
});

describe('the stream', () => {
  test('tells of each change until the job is over', async () => {
    const worker = await startJobApp();
    const id = await ask(worker, { steps: 4, pauseMs: 700 }, { userId: user });
    const answer = await worker.api.as(user).get(`/jobs/${id}/events`);
    const events = answer.text.trim().split('\n\n');
    expect(events.every((event) => /^event: job\ndata: \{.*\}$/.test(event))).toBe(true);
    const views: Row[] = events.map((event) => JSON.parse(event.split('\ndata: ')[1]!));
    expect(views.length).toBeGreaterThan(2);
    expect(views.at(-1)).toEqual(expectOk(await worker.api.as(user).get(`/jobs/${id}`)));
    expect(views.at(-1)).toMatchObject({ state: 'succeeded', progress: { done: 4 } });
    const done = views.map(({ progress }) => progress.done);
    expect(done).toEqual([...done].sort((a, b) => a - b));
    await worker.close();
  });

  test('of one that is over is one event', async () => {
    const { text, headers } = await api.get(`/jobs/${await job('succeeded')}/events`);
    expect(headers.get('content-type')).toMatch(/^text\/event-stream/);
    expect(text.match(/event: job/g)).toHaveLength(1);
  });

  test('ends when its process stops, and is no longer followed when its reader has gone', async () => {
    const own = await startApp({}, app);
    const id = await job();
    const open = () =>
      new Promise<{ gone: Promise<void>; leave(): void }>((resolve, reject) => {
        const sent = request(`${own.url}/jobs/${id}/events`, { headers: { 'x-user-id': user } }, (answer) => {
          const gone = new Promise<void>((done) => answer.once('close', () => done()));
          answer.once('data', () => resolve({ gone, leave: () => sent.destroy() }));
          answer.on('error', () => undefined);
        });
        sent.on('error', reject);
        sent.end();
      });
    const [left, stays] = [await open(), await open()];
    left.leave();
    await left.gone;
    await own.close();
    await stays.gone;
  });
});

test('what is asked for shows as it goes', async () => {
  const worker = await startJobApp();
  const mine = worker.api.as(user);
  const id = await ask(worker, { steps: 2 }, { userId: user });
  const over = await eventually(
    () => mine.get(`/jobs/${id}`),
    ({ body }) => body.state === 'succeeded',
  );
  expect(over.body).toMatchObject({ result: { steps: 2 }, attempts: 1 });
  await worker.close();
});
