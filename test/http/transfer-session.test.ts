import { Derivations } from '../../src/derived/derivations.js';
import type { Api } from '../setup/api.js';
import { api, app, service, useApp, user } from './suite.js';
import {
  append,
  at,
  create,
  deriveAll,
  eventsOf,
  expectOk,
  expectRefused,
  fresh,
  read,
  share,
} from './support.js';

useApp();

// biome-ignore lint/suspicious/noExplicitAny: rows of answers
type Row = any;

let id: string;
let heir: string;
let heirs: Api;
beforeEach(async () => {
  id = (await create(api, { client_id: 'web', agent_id: 'agent' })).session_id;
  heir = fresh('heir');
  heirs = app.api.as(heir);
});

const transfer = async (to: string, by: Api = api): Promise<Row> =>
  expectOk(await by.post(at(id, '/transfer'), { user_id: to }));
const collaborators = async (by: Api): Promise<Row[]> =>
  expectOk(await by.get(at(id, '/collaborators'))).collaborators.map(({ user_id, role, added_by }: Row) => [
    ...[user_id, role, added_by],
  ]);

it.each(['viewer', 'editor', 'manager', 'nobody'])(
  'from a %s he becomes the owner, who it was a manager',
  async (role) => {
    if (role !== 'nobody') await share(app, id, heir, role);
    const before = await read(api, id);
    const answer = await api.post(at(id, '/transfer'), { user_id: heir });
    expect(expectOk(answer)).toMatchObject({ user_id: heir, owner_id: heir, version: before.version + 1 });
    expect(answer.headers.get('etag')).toBe(`"${before.version + 1}"`);
    expect(answer.body.updated_at > before.updated_at).toBe(true);
    expect(await collaborators(heirs)).toEqual([
      [heir, 'owner', null],
      [user, 'manager', user],
    ]);
    const events = (await eventsOf(heirs, id))
      .slice(-2)
      .map(({ event_type, payload }) => [event_type, payload]);
    expect(events).toEqual([
      ['session.updated', { agent_id: 'agent', status: 'active', updates: ['user_id'] }],
      ['session.transferred', { user_id: heir, previous_user_id: user, transferred_by: user, up_to_seq: 0 }],
    ]);
    expectRefused(await api.delete(at(id)), 403, 'forbidden');
    expectOk(await heirs.delete(at(id)));
  },
);

it('to the owner himself changes nothing', async () => {
  const [before, events] = [await read(api, id), await eventsOf(api, id)];
  expect(await transfer(user)).toEqual(before);
  expect(await eventsOf(api, id)).toEqual(events);
  expect(await collaborators(api)).toEqual([[user, 'owner', null]]);
});

it('there and back again leaves the other a manager', async () => {
  await transfer(heir);
  await transfer(user, heirs);
  expect(await collaborators(api)).toEqual([
    [user, 'owner', null],
    [heir, 'manager', heir],
  ]);
});

it('of a session without a user leaves nobody behind', async () => {
  id = expectOk(await service.post('/api/v1/sessions', { agent_id: 'a' }), 201).session_id;
  await share(app, id, 'friend', 'editor');
  expect(await transfer(heir, service)).toMatchObject({ user_id: heir, agent_id: 'a' });
  expect(await collaborators(heirs)).toEqual([
    [heir, 'owner', null],
    ['friend', 'editor', null],
  ]);
});

it.each([
  {},
  { user_id: null },
  { user_id: '' },
  { user_id: 'a\u0000' },
  { user_id: 'x'.repeat(256) },
  { user_id: 'x', role: 'y' },
])('is not asked by %j', async (body) => {
  expectRefused(await api.post(at(id, '/transfer'), body), 422, 'invalid');
});

it('takes along lists, totals and what can be resumed', async () => {
  await append(api, id, { role: 'user', content: 'Hello', tokens_used: 7 });
  const sessions = async (by: Api, more = '') =>
    expectOk(await by.get(`/api/v1/sessions?include_total=true${more}`)).sessions.map(
      (one: Row) => one.session_id,
    );
  const ORDERS = ['last_activity_at', '-created_at', 'updated_at', 'title'];
  const stats = async (by: Api) => expectOk(await by.get('/api/v1/sessions/stats'));
  await transfer(heir);
  for (const order of ORDERS) {
    expect(await sessions(heirs, `&order=${order}`)).toEqual([id]);
    expect(await sessions(api, `&order=${order}`)).toEqual([]);
    expect(await sessions(api, `&order=${order}&shared_with_me=true`)).toEqual([id]);
    expect(await sessions(heirs, `&order=${order}&shared_with_me=true`)).toEqual([]);
  }
  expect(expectOk(await heirs.get(`/api/v1/users/${heir}/sessions`)).sessions).toHaveLength(1);
  expect(await stats(heirs)).toMatchObject({ total_sessions: 1, total_messages: 1, total_tokens: 7 });
  expect(await stats(api)).toMatchObject({ total_sessions: 0, total_messages: 0 });
  const resume = (by: Api) => by.post('/api/v1/sessions/resume', { client_id: 'web' });
  expectRefused(await resume(api), 404, 'session_not_found');
  // who gave it reads it still: it is not taken for one of the heir's own until he says what the other is there
  expectRefused(await resume(heirs), 404, 'session_not_found');
  expectOk(await heirs.delete(at(id, `/share/${user}`)), 204);
  expect(expectOk(await resume(heirs)).session_id).toBe(id);
});

it('plants nothing: what is asked for without being named is one’s own', async () => {
  const own = (await create(heirs, { client_id: 'web' })).session_id;
  await transfer(heir);
  expect(expectOk(await heirs.post('/api/v1/sessions/resume', { client_id: 'web' })).session_id).toBe(own);
  const named = { session_id: id, if_exists: 'return' };
  expectRefused(await heirs.post('/api/v1/sessions', named), 409, 'session_id_taken');
  await share(app, id, user, 'viewer');
  expect(expectOk(await heirs.post('/api/v1/sessions', named)).session_id).toBe(id);
});

it('takes along the id: who had it cannot make it anew, who has it can', async () => {
  await transfer(heir);
  await heirs.delete(at(id));
  expectRefused(await api.post('/api/v1/sessions', { session_id: id }), 409, 'session_id_taken');
  expect((await create(heirs, { session_id: id })).user_id).toBe(heir);
});

it('moves no memory of users: each reads his own beside the session’s', async () => {
  const keep = async (by: Api, whose: string, value: string) =>
    expectOk(await by.put(`/api/v1/users/${whose}/memory/name`, { value }), 201);
  await keep(api, user, 'mine');
  await keep(heirs, heir, 'theirs');
  expectOk(await api.put(at(id, '/memory/topic'), { value: 'invoices' }), 201);
  await transfer(heir);
  const map = async (by: Api) => expectOk(await by.get(at(id, '/memory?include=user&view=map'))).memories;
  expect(await map(heirs)).toEqual({ name: 'theirs', topic: 'invoices' });
  expect(await map(api)).toEqual({ name: 'mine', topic: 'invoices' });
  expect(await map(service)).toEqual({ name: 'theirs', topic: 'invoices' });
  const cleared = expectOk(await api.delete(`/api/v1/users/${user}/memory?include_sessions=true`));
  expect(cleared).toEqual({ deleted: 1 });
  expect(await map(heirs)).toEqual({ name: 'theirs', topic: 'invoices' });
});

describe('search', () => {
  const find = async (query: string, by: Api): Promise<Row[]> =>
    expectOk(await by.post('/api/v1/search/messages', { query, mode: 'lexical' })).hits.map(
      ({ message }: Row) => message.seq,
    );
  const recall = async (query: string, by: Api): Promise<Row[]> =>
    expectOk(await by.post('/api/v1/memory/search', { query, mode: 'lexical' })).hits.map(
      ({ entry }: Row) => entry.key,
    );
  const owners = async () =>
    (
      await app.database.pool.query(
        `select distinct owner from (
           select place_key, owner from message_texts union all select place_key, owner from memory_texts) t
           join sessions s on s.key = t.place_key where s.id = $1`,
        [id],
      )
    ).rows;

  beforeEach(async () => {
    await append(api, id, {
      messages: ['zebra one', 'two', 'zebra three'].map((content) => ({ role: 'user', content })),
    });
    expectOk(await api.put(at(id, '/memory/animal'), { value: 'a zebra' }), 201);
    await deriveAll(app);
  });

  it('finds the session’s words in the scope of who has it now, and for the old owner as long as he is a member', async () => {
    expect(await find('zebra', api)).toHaveLength(2);
    await transfer(heir);
    await append(heirs, id, { role: 'user', content: 'zebra four' });
    await deriveAll(app);
    expect(await owners()).toHaveLength(1);
    for (const by of [heirs, api]) {
      expect((await find('zebra', by)).sort()).toEqual([1, 3, 4]);
      expect(await recall('zebra', by)).toEqual(['animal']);
    }
    expect((await heirs.delete(at(id, `/share/${user}`))).status).toBe(204);
    expect([await find('zebra', api), await recall('zebra', api)]).toEqual([[], []]);
    expect(await find('zebra', heirs)).toHaveLength(3);
  });

  it('finds nothing of what was redacted before or after', async () => {
    const [first, , third] = expectOk(await api.get(at(id, '/messages'))).messages;
    expectOk(await api.delete(at(id, `/messages/${first.message_id}`)));
    await transfer(heir);
    expectOk(await heirs.delete(at(id, `/messages/${third.message_id}`)));
    await deriveAll(app);
    expect([await find('zebra', heirs), await find('zebra', api)]).toEqual([[], []]);
    expect(await find('two', heirs)).toEqual([2]);
  });

  it('follows through several hands, whenever it is read', async () => {
    const last = fresh('last');
    await transfer(heir);
    await transfer(last, heirs);
    await app.app.get(Derivations).step();
    await transfer(user, app.api.as(last));
    await transfer(last, api);
    await deriveAll(app);
    for (const by of [app.api.as(last), heirs, api]) expect(await find('zebra', by)).toHaveLength(2);
    expect((await heirs.delete(at(id, `/share/${heir}`))).status).toBe(204);
    expect(await find('zebra', heirs)).toEqual([]);
  });
});
