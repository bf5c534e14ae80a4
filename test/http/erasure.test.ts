import type { Api } from '../setup/api.js';
import {
  call,
  history,
  merge,
  put,
  type Row,
  remember,
  result,
  resultOf,
  SHAPE,
  said,
  say,
  session,
} from './histories.js';
import { api, app, service, useApp, user } from './suite.js';
import {
  at,
  deriveAll,
  eventsOf,
  expectOk,
  expectRefused,
  fresh,
  insertJob,
  read,
  share,
} from './support.js';

useApp();

const WAIT = { prefer: 'wait=60' };
const erase = async (who: string, by: Api = service): Promise<Row> => {
  const job = expectOk(await by.delete(`/users/${encodeURIComponent(who)}/data`, WAIT));
  expect(job).toMatchObject({ kind: 'erasure', state: 'succeeded', error: null, session_ids: [] });
  return job;
};
const keyOf = async (id: string): Promise<number> =>
  (await app.database.pool.query('select key::int from sessions where id = $1', [id])).rows[0].key;

describe('an erasure', () => {
  it('answers where its job is, and the receipt of somebody who has nothing', async () => {
    const answer = await api.delete(`/users/${user}/data`);
    const job = expectOk(answer, 202);
    expect(answer.headers.get('location')).toBe(`/api/v1/jobs/${job.job_id}`);
    const { result } = await erase(fresh());
    expect(result).toEqual({
      deleted: { sessions: 0, messages: 0, memory: 0, memberships: 0, jobs: 0, policies: 0 },
      redacted: { messages: 0 },
      replaced: 0,
      held: { session_ids: [], is_more: false },
      passes: 2,
      remaining: 0,
    });
  });

  it('removes what he owns, in whatever state it is', async () => {
    const own = await session(api, { title: 'T' });
    await say(api, own, said('user', 'one'), said('assistant', 'two'));
    const deleted = await session(api);
    expectOk(await api.delete(at(deleted)));
    const archived = await session(api);
    expectOk(await api.post(at(archived, '/archive')));
    await remember(api, own, 'k', 1);
    expectOk(await api.put(`/users/${user}/memory/k`, { value: 1 }), 201);
    const { result } = await erase(user);
    expect(result).toMatchObject({ deleted: { sessions: 3, messages: 2, memory: 1 }, remaining: 0 });
    for (const id of [own, deleted, archived])
      expectRefused(await service.get(at(id, '?include_deleted=true')), 404, 'session_not_found');
    expect(expectOk(await api.get('/sessions?include_deleted=true')).sessions).toEqual([]);
    expect(expectOk(await api.get(`/users/${user}/memory`)).entries).toEqual([]);
    expect(expectOk(await api.get('/events')).events).toEqual([]);
  });

  it('lets him come back to nothing', async () => {
    const id = await session(api, { session_id: fresh('chosen') });
    expectOk(await api.put(`/users/${user}/memory/k`, { value: 1 }), 201);
    await erase(user, api);
    expect(await session(api, { session_id: id })).toBe(id);
    expect(await read(api, id)).toMatchObject({ message_count: 0, version: 1 });
    expect(expectOk(await api.put(`/users/${user}/memory/k`, { value: 2 }), 201).version).toBe(1);
  });

  it('gives him the receipt by its id, and shows it to nobody else but services', async () => {
    const job = await erase(user, api);
    expect(expectOk(await api.get(`/jobs/${job.job_id}`))).toEqual(job);
    expect(expectOk(await service.get(`/jobs/${job.job_id}`))).toEqual(job);
    expectRefused(await app.api.as(fresh()).get(`/jobs/${job.job_id}`), 404, 'job_not_found');
    expect(expectOk(await api.get('/jobs')).jobs).toEqual([]);
    const { rows } = await app.database.pool.query('select * from jobs where job_id = $1', [job.job_id]);
    expect(JSON.stringify(rows)).not.toContain(`"${user}`);
    expect(rows[0]).toMatchObject({ input: {}, dedup_key: null });
  });

  it('is one at a time, and may be run again', async () => {
    const jobs = await Promise.all(
      Array.from({ length: 5 }, (_, n) => (n % 2 ? api : service).delete(`/users/${user}/data`)),
    );
    const ids = new Set(jobs.map((answer) => expectOk(answer, 202).job_id));
    expect(ids.size).toBeLessThanOrEqual(5);
    const first = await erase(user);
    const second = await erase(user);
    expect(second.job_id).not.toBe(first.job_id);
  });

  it('is refused to others', async () => {
    expectRefused(await app.api.as(fresh()).delete(`/users/${user}/data`), 403, 'forbidden');
  });

  it('redacts what he wrote in sessions of others, and names him no more', async () => {
    const bob = app.api.as(fresh('bob'));
    const id = await session(bob);
    await share(app, id, user, 'editor');
    await say(
      api,
      id,
      said('user', 'Canary sings. Nicely.', { name: 'canary', metadata: { canary: true }, tokens_used: 5 }),
      call('c-1'),
    );
    await say(bob, id, result('c-1', 'what bob says'), said('user', 'more of bob'));
    await deriveAll(app);
    expect((await read(bob, id)).title).toBe('Canary sings.');
    expect(expectOk(await bob.post('/search/messages', { query: 'canary' })).hits).toHaveLength(1);
    const { result: receipt } = await erase(user);
    expect(receipt).toMatchObject({ redacted: { messages: 2 }, deleted: { memberships: 1 }, remaining: 0 });
    const [first, second, third, fourth] = await history(bob, id);
    expect(first).toMatchObject({ seq: 1, content: null, name: null, metadata: {}, tokens_used: 5 });
    expect(first.user_id).toMatch(/^erased-[0-9a-f-]{36}$/);
    expect(second).toMatchObject({ tool_calls: [{ id: 'c-1' }], user_id: first.user_id });
    expect([third.content, fourth.content]).toEqual(['what bob says', 'more of bob']);
    expect(await read(bob, id)).toMatchObject({ title: null, message_count: 4, total_tokens: 5 });
    expect(expectOk(await bob.post('/search/messages', { query: 'canary' })).hits).toEqual([]);
    const events = await eventsOf(bob, id);
    expect(events.map(({ event_type, payload }) => [event_type, payload.seq ?? payload.user_ids])).toEqual(
      expect.arrayContaining([
        ['message.redacted', 1],
        ['message.redacted', 2],
        ['session.unshared', [first.user_id]],
      ]),
    );
    expect(JSON.stringify(events)).not.toContain(`"${user}"`);
    expectRefused(await api.get(at(id)), 404, 'session_not_found');
  });

  it('finds copies in forks and merges of others', async () => {
    const bob = app.api.as(fresh('bob'));
    const id = await session(bob);
    await share(app, id, user, 'editor');
    await say(api, id, said('user', 'canary'));
    await remember(api, id, 'mine', 'canary');
    await say(bob, id, said('user', 'bob'));
    await remember(bob, id, 'bobs', 'bob');
    const fork = expectOk(await bob.post(at(id, '/fork'), {}), 201).session_id;
    const merged = resultOf(await merge(bob, { session_ids: [id, fork], archive_sources: false })).session_id;
    const { result: receipt } = await erase(user);
    expect(receipt).toMatchObject({ redacted: { messages: 4 }, deleted: { memory: 3 }, remaining: 0 });
    for (const one of [id, fork, merged]) {
      const text = JSON.stringify([await history(bob, one), expectOk(await bob.get(at(one, '/memory')))]);
      expect(text).not.toMatch(/canary|"mine"/);
      expect(text).toMatch(/"bob"/);
    }
  });

  it('leaves what is under legal hold, and names it', async () => {
    const own = await session(api);
    await say(api, own, said('user', 'kept'));
    const bob = app.api.as(fresh('bob'));
    const shared = await session(bob);
    await share(app, shared, user, 'editor');
    await say(api, shared, said('user', 'kept too'));
    const free = await session(api);
    for (const id of [own, shared]) expectOk(await service.patch(at(id), { legal_hold: true }));
    const before = [await read(service, own), await read(service, shared)];
    const { result: receipt } = await erase(user);
    expect(receipt.deleted.sessions).toBe(1);
    expect([...receipt.held.session_ids].sort()).toEqual([own, shared].sort());
    expect([await read(service, own), await read(service, shared)]).toEqual(before);
    expect((await history(service, shared))[0]).toMatchObject({ content: 'kept too', user_id: user });
    expectRefused(await service.get(at(free)), 404, 'session_not_found');
    for (const id of [own, shared]) expectOk(await service.patch(at(id), { legal_hold: false }));
    const { result: second } = await erase(user);
    expect(second).toMatchObject({
      deleted: { sessions: 1 },
      redacted: { messages: 1 },
      held: { session_ids: [] },
    });
  });

  it('removes his jobs, and his name from those of others', async () => {
    const bobs = fresh('bob');
    const [his, others] = ['11111111-1111-4111-8111-111111111111', '22222222-2222-4222-8222-222222222222'];
    await insertJob(app.database, his, user, 'failed');
    await insertJob(app.database, others, bobs, 'failed');
    await app.database.pool.query(
      `update jobs set session_ids = array[$2, 's-1'], result = jsonb_build_object('user_id', $3::text), error_detail = 'about ' || $3 where job_id = $1`,
      [others, `${user}-gone`, user],
    );
    const { result: receipt } = await erase(user);
    expect(receipt).toMatchObject({ deleted: { jobs: 1 }, replaced: 1 });
    expectRefused(await service.get(`/jobs/${his}`), 404, 'job_not_found');
    const left = expectOk(await service.get(`/jobs/${others}`));
    expect(JSON.stringify(left)).not.toContain(user);
    expect(left).toMatchObject({
      session_ids: [expect.stringMatching(/^[0-9a-f-]{36}$/), 's-1'],
      error: { code: 'internal' },
    });
  });

  it('sees to what one that failed had begun', async () => {
    const [failed, place] = ['55555555-5555-4555-8555-555555555555', await keyOf(await session(api))];
    await insertJob(app.database, failed, user, 'failed', 'erasure');
    await app.database.pool.query('insert into erasure_places values ($1, $2)', [failed, place]);
    await app.database.pool.query(
      `insert into text_vectors (kind, place_key, item, part, owner, version, state) values ('message', $1, 1, 0, 1, 1, 'gone')`,
      [place],
    );
    await erase(user);
    for (const table of ['erasure_places', 'text_vectors'])
      expect((await app.database.pool.query(`select from ${table}`)).rowCount).toBe(0);
  });

  it('drops his collections, and waits for what a job is at', async () => {
    const id = await session(api, { configuration: SHAPE });
    await put(api, id, { id: 1, vector: [1, 2], payload: { canary: true } });
    const key = await keyOf(id);
    await app.database.pool.query('update sessions set busy_job = gen_random_uuid() where key = $1', [key]);
    const { job_id } = expectOk(await api.delete(`/users/${user}/data`), 202);
    const waits = expectOk(await api.delete(`/users/${user}/data`, { prefer: 'wait=2' }), 202);
    expect(waits).toMatchObject({ job_id, result: null, finished_at: null });
    expectRefused(await api.post(`/jobs/${job_id}/cancel`), 409, 'job_finished');
    await app.database.pool.query('update sessions set busy_job = null where key = $1', [key]);
    const { result: receipt, ...job } = await erase(user);
    expect(job.job_id).toBe(job_id);
    expect(receipt).toMatchObject({ deleted: { sessions: 1 }, remaining: 0 });
    const { rows } = await app.database.pool.query(
      'select from collections where session_key = $1 union all select from vector_points where payload::text like $2',
      [key, '%canary%'],
    );
    expect(rows).toEqual([]);
  });
});
