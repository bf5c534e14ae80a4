import { newId } from '../../src/common/ids.js';
import type { Answer, Api } from '../setup/api.js';
import { api, app, service, useApp, user } from './suite.js';
import {
  at,
  create,
  eventsOf,
  expectOk,
  expectRefused,
  fresh,
  query,
  read,
  runOut,
  share,
  TIME,
  walkByCursor,
} from './support.js';

useApp();

// biome-ignore lint/suspicious/noExplicitAny: rows of answers
type Row = any;

let id: string;
beforeEach(async () => {
  id = (await create(api, { agent_id: 'agent' })).session_id;
});

const ROLES = ['viewer', 'editor', 'manager'] as const;
const shareWith = (users: string[], role: string, by: Api = api, headers = {}) =>
  by.post(at(id, '/share'), { user_ids: users, role }, headers);
const unshare = (name: string, by: Api = api) => by.delete(at(id, `/share/${encodeURIComponent(name)}`));
const list = async (by: Api = api): Promise<Row[]> =>
  expectOk(await by.get(at(id, '/collaborators'))).collaborators;
/** Everybody's role, the owner's left out. */
const roles = async (by: Api = api): Promise<Record<string, string>> =>
  Object.fromEntries((await list(by)).slice(1).map((one) => [one.user_id, one.role]));
const told = async (by: Api = api) =>
  (await eventsOf(by, id)).map(({ event_type, payload }) => [event_type, payload]).slice(1);

describe('sharing', () => {
  it('makes users members, and lists them behind the owner', async () => {
    const made = await read(api, id);
    const answer = expectOk(await shareWith(['carol', 'bob'], 'editor'));
    const member = (user_id: string) => ({
      ...{ user_id, role: 'editor', added_by: user, added_at: expect.stringMatching(TIME) },
    });
    const owner = { user_id: user, role: 'owner', added_by: null, added_at: made.created_at };
    expect(answer).toEqual({
      collaborators: [owner, member('bob'), member('carol')],
      ...{ limit: 200, next_cursor: null, has_more: false },
    });
    expect(await list()).toEqual(answer.collaborators);
    expect(await told()).toEqual([
      ['session.shared', { user_ids: ['carol', 'bob'], role: 'editor', added_by: user }],
    ]);
  });

  it('is an edit of the session: its version rises, its times are renewed', async () => {
    const before = await read(api, id);
    expectOk(await shareWith(['bob'], 'viewer'));
    const after = await read(api, id);
    expect(after.version).toBe(before.version + 1);
    expect(after.updated_at > before.updated_at).toBe(true);
    expect((await unshare('bob')).status).toBe(204);
    expect((await read(api, id)).version).toBe(before.version + 2);
  });

  it('again changes the role, and keeps who added whom when', async () => {
    const first = expectOk(await shareWith(['bob', 'carol'], 'viewer')).collaborators;
    expectOk(await shareWith(['bob'], 'manager', service));
    const [, bob, carol] = await list();
    expect(bob).toEqual({ ...first[1], role: 'manager' });
    expect(carol).toEqual(first[2]);
    expect((await told()).at(-1)).toEqual([
      'session.shared',
      { user_ids: ['bob'], role: 'manager', added_by: null },
    ]);
  });

  it('tells of those only whom it changes, and of nothing when it changes nothing', async () => {
    expectOk(await shareWith(['bob'], 'editor'));
    expectOk(await shareWith(['bob', 'carol', 'carol'], 'editor'));
    expect((await told()).at(-1)).toEqual([
      'session.shared',
      { user_ids: ['carol'], role: 'editor', added_by: user },
    ]);
    const [before, events] = [await read(api, id), await told()];
    expectOk(await shareWith(['carol', 'bob'], 'editor'));
    expect([await read(api, id), await told()]).toEqual([before, events]);
  });

  it('with the owner is refused, whoever else is named', async () => {
    const answer = await shareWith(['bob', user], 'viewer');
    expectRefused(answer, 422, 'is_owner');
    expect(answer.body.errors).toEqual([{ pointer: '/user_ids/1', detail: expect.any(String) }]);
    expect(await list()).toHaveLength(1);
  });

  it.each(['paused', 'completed', 'crashed', 'archived'])(
    'goes on in a session that is %s',
    async (status) => {
      expectOk(await api.patch(at(id), { status }));
      expectOk(await shareWith(['bob'], 'viewer'));
      expect((await unshare('bob')).status).toBe(204);
      expect(expectOk(await api.post(at(id, '/transfer'), { user_id: 'bob' })).status).toBe(status);
    },
  );

  it('goes on under legal hold', async () => {
    expectOk(await service.patch(at(id), { legal_hold: true }));
    expectOk(await shareWith(['bob'], 'viewer'));
    expect((await unshare('bob')).status).toBe(204);
    expectOk(await api.post(at(id, '/transfer'), { user_id: 'bob' }));
  });

  it.each([
    ['deleted', async () => void (await api.delete(at(id)))],
    ['expired', () => runOut(app.database, id)],
  ])('ends with the session, when it is %s', async (_, end) => {
    expectOk(await api.patch(at(id), { timeout_minutes: 5 }));
    expectOk(await shareWith(['bob'], 'manager'));
    await end();
    const bob = app.api.as('bob');
    for (const by of [api, bob, service]) {
      expectRefused(await by.get(at(id, '/collaborators')), 404, 'session_deleted');
      expectRefused(await unshare('bob', by), 404, 'session_deleted');
    }
    for (const by of [api, service]) {
      expectRefused(await shareWith(['x'], 'viewer', by), 404, 'session_deleted');
      expectRefused(await by.post(at(id, '/transfer'), { user_id: 'x' }), 404, 'session_deleted');
    }
    expectOk(await api.post(at(id, '/restore')));
    expect(await roles(bob)).toEqual({ bob: 'manager' });
  });

  it.each([
    {},
    { user_ids: ['bob'] },
    { role: 'viewer' },
    { user_ids: [], role: 'viewer' },
    { user_ids: 'bob', role: 'viewer' },
    { user_ids: ['bob'], role: 'owner' },
    { user_ids: ['bob'], role: 'VIEWER' },
    { user_ids: ['bob', ''], role: 'viewer' },
    { user_ids: [' bob'], role: 'viewer' },
    { user_ids: ['x'.repeat(256)], role: 'viewer' },
    { user_ids: ['a\nb'], role: 'viewer' },
    { user_ids: [null], role: 'viewer' },
    { user_ids: Array.from({ length: 101 }, (_, n) => `u${n}`), role: 'viewer' },
    { user_ids: ['bob'], role: 'viewer', notify: true },
    [],
  ])('is not asked by %j', async (body) => {
    expectRefused(await api.post(at(id, '/share'), body), 422, 'invalid');
    expect(await told()).toEqual([]);
  });

  it('tells those what is wrong who may share, and nobody else', async () => {
    await share(app, id, 'v', 'viewer');
    expectRefused(await app.api.as('v').post(at(id, '/share'), {}), 403, 'forbidden');
    expectRefused(await app.api.as('v').post(at(id, '/transfer'), {}), 403, 'forbidden');
    expectRefused(await app.api.as('x').post(at(id, '/share'), {}), 404, 'session_not_found');
    expectRefused(await app.api.as('x').post(at(id, '/transfer'), {}), 404, 'session_not_found');
    expectRefused(await unshare('x'.repeat(300), app.api.as('x')), 404, 'session_not_found');
    expectRefused(await app.api.as('x').get(at(id, '/collaborators?limit=x')), 404, 'session_not_found');
  });

  it.each([
    '__proto__',
    'constructor',
    'toString',
    "o'brien; drop table members",
    '%',
    '名前 🙂',
    'a/b?c#d',
    '..',
    'x'.repeat(255),
    '🙂'.repeat(255),
    'NULL',
    '{}',
    '"',
  ])('is with whoever is called %s', async (name) => {
    expectOk(await shareWith([name, 'zoe'], 'viewer'));
    expectOk(await shareWith([name], 'editor'));
    expect(await roles()).toEqual(
      Object.fromEntries([
        [name, 'editor'],
        ['zoe', 'viewer'],
      ]),
    );
    if (!name.startsWith('.')) {
      expect((await unshare(name)).status).toBe(204);
      expect(await roles()).toEqual({ zoe: 'viewer' });
    }
    expectOk(await api.post(at(id, '/transfer'), { user_id: name }));
    expect((await list())[0]).toMatchObject({ user_id: name, role: 'owner' });
  });
});

describe('who may change whom', () => {
  const ACTORS = ['viewer', 'editor', 'manager', 'owner', 'service'] as const;
  const MANAGES = new Set(['manager', 'owner', 'service']);
  const OWNS = new Set(['owner', 'service']);
  const CHANGES = ACTORS.flatMap((actor) =>
    ['nobody', ...ROLES].flatMap((before) =>
      ['nobody', ...ROLES]
        .filter((after) => before !== 'nobody' || after !== 'nobody')
        .map((after) => ({ actor, before, after })),
    ),
  );

  it.each(CHANGES)('$actor: $before → $after', async ({ actor, before, after }) => {
    const [name, doer] = [fresh('target'), fresh(actor)];
    if (before !== 'nobody') await share(app, id, name, before);
    if (actor !== 'owner' && actor !== 'service') await share(app, id, doer, actor);
    const by = actor === 'owner' ? api : actor === 'service' ? service : app.api.as(doer);
    const [session, events] = [await read(api, id), await told()];
    const isManagers = before === 'manager' || after === 'manager';
    const answer = after === 'nobody' ? await unshare(name, by) : await shareWith([name], after, by);
    if ((isManagers ? OWNS : MANAGES).has(actor)) {
      expect(answer.status).toBe(after === 'nobody' ? 204 : 200);
      expect((await roles())[name]).toBe(after === 'nobody' ? undefined : after);
    } else {
      expectRefused(answer, 403, 'forbidden');
      expect((await roles())[name]).toBe(before === 'nobody' ? undefined : before);
      expect([await read(api, id), await told()]).toEqual([session, events]);
    }
  });

  it('is decided for all who are named together', async () => {
    await share(app, id, 'm', 'manager');
    await share(app, id, 'other', 'manager');
    expectRefused(await shareWith(['new', 'other'], 'editor', app.api.as('m')), 403, 'forbidden');
    expect(await roles()).toEqual({ m: 'manager', other: 'manager' });
  });

  it.each(ROLES)('a %s may leave, and that is all he needs', async (role) => {
    await share(app, id, 'bob', role);
    await share(app, id, 'carol', 'viewer');
    const bob = app.api.as('bob');
    expect((await unshare('bob', bob)).status).toBe(204);
    expectRefused(await bob.get(at(id)), 404, 'session_not_found');
    expectRefused(await unshare('bob', bob), 404, 'session_not_found');
    expectRefused(await unshare('bob'), 404, 'not_a_collaborator');
    expect((await told()).at(-1)).toEqual(['session.unshared', { user_ids: ['bob'], removed_by: 'bob' }]);
    expect(await roles()).toEqual({ carol: 'viewer' });
  });

  it('a manager does not make himself less: he may leave', async () => {
    await share(app, id, 'm', 'manager');
    expectRefused(await shareWith(['m'], 'viewer', app.api.as('m')), 403, 'forbidden');
    expect((await unshare('m', app.api.as('m'))).status).toBe(204);
  });

  it('nobody removes the owner, he himself neither', async () => {
    await share(app, id, 'm', 'manager');
    for (const by of [api, service, app.api.as('m')])
      expectRefused(await unshare(user, by), 404, 'not_a_collaborator');
    expectRefused(await unshare('nobody'), 404, 'not_a_collaborator');
    expect((await list())[0].user_id).toBe(user);
  });

  it('a service that names a user is that user', async () => {
    await share(app, id, 'v', 'viewer');
    expectRefused(await shareWith(['x'], 'viewer', service.as('v')), 403, 'forbidden');
    expect((await unshare('v', service.as('v'))).status).toBe(204);
    expectRefused(await unshare('v', service.as('x')), 404, 'session_not_found');
  });
});

describe('the list', () => {
  it('walks over all, the owner first, then by name', async () => {
    const names = Array.from(
      { length: 250 },
      (_, n) => `member-${String((n * 7919) % 250).padStart(3, '0')}`,
    );
    for (let from = 0; from < names.length; from += 100)
      expectOk(await shareWith(names.slice(from, from + 100), 'viewer'));
    const expected = [user, ...names.sort()];
    for (const limit of [1, 7, 200])
      expect(
        (await walkByCursor(api, at(id, '/collaborators'), 'collaborators', { limit })).map(
          (one) => one.user_id,
        ),
      ).toEqual(expected);
    const answer = expectOk(await shareWith(['zoe'], 'viewer'));
    expect(answer).toMatchObject({ has_more: true, limit: 200 });
    const rest = expectOk(
      await api.get(at(id, `/collaborators${query({ cursor: answer.next_cursor, limit: 200 })}`)),
    );
    expect(rest.collaborators.at(-1).user_id).toBe('zoe');
    expect(answer.collaborators.length + rest.collaborators.length).toBe(252);
  });

  it('takes cursors of its own only', async () => {
    await shareWith(['a', 'b'], 'viewer');
    const { next_cursor: cursor } = expectOk(await api.get(at(id, '/collaborators?limit=1')));
    const other = (await create(api)).session_id;
    expectRefused(await api.get(at(other, `/collaborators${query({ cursor })}`)), 400, 'invalid_cursor');
    expectRefused(await api.get(at(id, '/collaborators?cursor=x')), 400, 'invalid_cursor');
    await api.delete(at(id, '?permanent=true'));
    await create(api, { session_id: id });
    expectRefused(await api.get(at(id, `/collaborators${query({ cursor })}`)), 400, 'invalid_cursor');
  });

  it('of a session without a user has no owner', async () => {
    const made = expectOk(await service.post('/api/v1/sessions', { agent_id: 'a' }), 201);
    id = made.session_id;
    expect(await list(service)).toEqual([]);
    expectOk(await shareWith(['bob'], 'viewer', service));
    expect(await list(app.api.as('bob'))).toMatchObject([{ user_id: 'bob', role: 'viewer', added_by: null }]);
  });

  it('ends at 1,000 members; those who are there may still be changed', async () => {
    await app.database.pool.query(
      `insert into members (session_key, user_id, role, added_at)
       select key, 'm-' || n, 'viewer', now() from sessions, generate_series(1, 999) n where id = $1`,
      [id],
    );
    expectRefused(await shareWith(['m-1', 'x', 'y'], 'editor'), 409, 'too_many_collaborators');
    expectOk(await shareWith(['m-1', 'x'], 'editor'));
    expectRefused(await shareWith(['y'], 'viewer'), 409, 'too_many_collaborators');
    expectOk(await shareWith(['m-1', 'm-2', 'x'], 'manager'));
    expect((await unshare('m-3')).status).toBe(204);
    expectOk(await shareWith(['y'], 'viewer'));
  });
});

describe('Idempotency-Key', () => {
  let key: Record<string, string>;
  beforeEach(() => {
    key = { 'idempotency-key': newId() };
  });
  const isReplay = ({ headers }: Answer) => headers.get('idempotency-replayed') === 'true';

  it('shares once, and answers the list as it is now', async () => {
    expectOk(await shareWith(['bob'], 'viewer', api, key));
    expect((await unshare('bob')).status).toBe(204);
    expectOk(await shareWith(['carol'], 'viewer'));
    const again = await shareWith(['bob'], 'viewer', api, key);
    expect([again.status, isReplay(again)]).toEqual([200, true]);
    expect(again.body.collaborators).toEqual(await list());
    expect(await roles()).toEqual({ carol: 'viewer' });
    expectRefused(await shareWith(['bob'], 'editor', api, key), 422, 'key_reused');
  });

  it('is free after a refusal, another’s is another, and access comes first', async () => {
    expectRefused(await shareWith([user], 'viewer', api, key), 422, 'is_owner');
    expectOk(await shareWith(['m'], 'manager', api, key));
    const m = app.api.as('m');
    expectOk(await shareWith(['bob'], 'viewer', m, key));
    await share(app, id, 'm', 'editor');
    expectRefused(await shareWith(['bob'], 'viewer', m, key), 403, 'forbidden');
    expect((await unshare('m')).status).toBe(204);
    expectRefused(await shareWith(['bob'], 'viewer', m, key), 404, 'session_not_found');
  });

  it('transfers once: who gave the session away is answered again, as long as he sees it', async () => {
    const transfer = () => api.post(at(id, '/transfer'), { user_id: 'bob' }, key);
    const first = await transfer();
    expect([first.status, isReplay(first), first.body.user_id]).toEqual([200, false, 'bob']);
    const again = await transfer();
    expect([again.status, isReplay(again)]).toEqual([200, true]);
    expect(again.body).toEqual(first.body);
    expect(again.headers.get('etag')).toBe(`"${first.body.version}"`);
    expectRefused(await api.post(at(id, '/transfer'), { user_id: 'carol' }, key), 403, 'forbidden');
    expect((await unshare(user, app.api.as('bob'))).status).toBe(204);
    expectRefused(await transfer(), 404, 'session_not_found');
  });
});
