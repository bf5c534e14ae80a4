import { history, type Row, said, say, session } from './histories.js';
import { api, app, service, useApp, user } from './suite.js';
import { at, eventsOf, expectOk, fresh, insertJob, read, share } from './support.js';

useApp();

const erase = async (who: string): Promise<Row> => {
  const answer = await service.delete(`/users/${encodeURIComponent(who)}/data`, { prefer: 'wait=60' });
  const job = expectOk(answer);
  expect(job).toMatchObject({ state: 'succeeded', error: null });
  return job.result;
};
const query = async (text: string, values: unknown[] = []): Promise<Row[]> =>
  (await app.database.pool.query(text, values)).rows;
const purgedIds = async (): Promise<string[]> =>
  (await query(`select payload ->> 'session_id' as id from events where event_type = 'session.purged'`)).map(
    ({ id }) => id,
  );

describe('a name that stands in what is not his', () => {
  it.each(['-', 'a', '1', 'al', 'user', 'session'])('changes nothing: %s', async (who) => {
    const bob = app.api.as(fresh('bob'));
    const sources = [
      await session(bob),
      await session(bob, { session_id: fresh('signal') }),
      await session(bob, { session_id: `${fresh('room1')}2` }),
    ];
    const forks: string[] = [];
    for (const id of sources) {
      await say(bob, id, said('user', 'of bob'));
      forks.push(expectOk(await bob.post(at(id, '/fork'), {}), 201).session_id);
      expectOk(await bob.delete(at(id, '?permanent=true')), 204);
    }
    const jobs = await seenOfJobs();
    const seen = async () =>
      Promise.all(
        forks.map(async (id) => [await read(bob, id), await history(bob, id), await eventsOf(bob, id)]),
      );
    const before = await seen();
    const receipt = await erase(who);
    expect(receipt).toMatchObject({ replaced: 0, passes: 2, remaining: 0 });
    expect(await seen()).toEqual(before);
    expect(await purgedIds()).toEqual(expect.arrayContaining(sources));
    expect(await seenOfJobs()).toEqual(jobs);
  });

  /** Two of somebody else: what one said when it failed, and another that runs all the time. */
  async function seenOfJobs(): Promise<Row[]> {
    const [failed, running] = [
      '33333333-3333-4333-8333-333333333333',
      '44444444-4444-4444-8444-444444444444',
    ];
    if ((await query('select from jobs where job_id = $1', [failed])).length === 0) {
      await insertJob(app.database, failed, 'bob', 'failed');
      await insertJob(app.database, running, 'bob', 'running');
      await query(`update jobs set session_ids = '{}', input = '{"user": "a-1-al"}' where user_id = 'bob'`);
    }
    return query(
      'select job_id, session_ids, input, result, cursor, error_detail from jobs where job_id = any($1) order by 1',
      [[failed, running]],
    );
  }
});

it('takes the name out of ids that begin or end with it, or have it between', async () => {
  const who = `${user}x`;
  const reader = fresh('bob');
  const bob = app.api.as(reader);
  const alice = app.api.as(who);
  const ids = [who, `${who}-chat`, `chat.${who}`, `${who}chat2`, `a:${who}:b`];
  const forks: string[] = [];
  for (const id of ids) {
    await session(alice, { session_id: id });
    await say(alice, id, said('user', 'word'));
    await share(app, id, reader, 'viewer');
    forks.push(expectOk(await bob.post(at(id, '/fork'), {}), 201).session_id);
  }
  await erase(who);
  for (const id of forks) {
    const text = JSON.stringify([await read(bob, id), await history(bob, id), await eventsOf(bob, id)]);
    expect(text).not.toContain(who);
  }
  expect((await purgedIds()).filter((id) => id.includes(who))).toEqual([]);
});

it('knows a user from one whose name goes on with more digits', async () => {
  const bob = app.api.as(fresh('bob'));
  const id = await session(bob, { session_id: `${user}0-chat` });
  const fork = expectOk(await bob.post(at(id, '/fork'), {}), 201).session_id;
  expectOk(await bob.delete(at(id, '?permanent=true')), 204);
  await erase(user);
  expect((await read(bob, fork)).lineage.session_id).toBe(id);
});

it('takes ids of his messages out of events that told of them before', async () => {
  const bob = app.api.as(fresh('bob'));
  const id = await session(bob);
  await share(app, id, user, 'editor');
  const [his, bobs] = [`${user}:his`, `about-${user}`];
  await say(api, id, { ...said('user', 'word'), message_id: his });
  await say(bob, id, { ...said('user', 'word'), message_id: bobs });
  for (const message of [his, bobs]) expectOk(await bob.delete(at(id, `/messages/${message}`)));
  await erase(user);
  const [first] = await history(bob, id);
  const told = (await eventsOf(bob, id)).filter(({ event_type }) => event_type === 'message.redacted');
  expect(told.map(({ payload }) => payload.message_id)).toEqual([first.message_id, bobs]);
  expect(first.message_id).not.toContain(user);
});

it('takes the name out of how far a cleanup has come', async () => {
  const who = `zz-${user}`;
  await session(app.api.as(who));
  expectOk(await service.put('/sessions/retention-policy', { max_sessions_per_user: 1000 }));
  expectOk(await service.post('/sessions/cleanup', {}, { prefer: 'wait=60' }));
  expectOk(await service.put('/sessions/retention-policy', {}));
  await erase(who);
  const rows = await query('select cursor, result from jobs where kind = $1', ['cleanup']);
  expect(rows).not.toEqual([]);
  expect(JSON.stringify(rows)).not.toContain(who);
});
