import { api, app, service, useApp, user } from './suite.js';
import {
  append,
  at,
  atOnce,
  create,
  eventTypes,
  expectOk,
  expectRefused,
  fresh,
  read,
  runOut,
  share,
  TIME,
  UUID_V7,
} from './support.js';

const SESSIONS = '/api/v1/sessions';

useApp();

describe('creating a session', () => {
  it('needs no body at all', async () => {
    const answer = await api.post(SESSIONS);
    expect(answer.status).toBe(201);
    expect(answer.body.user_id).toBe(user);
  });

  it('has these defaults', async () => {
    const answer = await api.post(SESSIONS, {});
    const session = expectOk(answer, 201);
    expect(session).toMatchObject({
      session_id: expect.stringMatching(UUID_V7),
      user_id: user,
      agent_id: null,
      client_id: null,
      title: null,
      description: null,
      session_type: 'conversation',
      status: 'active',
      is_active: true,
      tags: [],
      context: {},
      metadata: {},
      configuration: {},
      conversation_data: {},
      checkpoint: null,
      runtime_backend: 'unknown',
      runtime_metadata: {},
      message_count: 0,
      total_tokens: 0,
      total_cost: 0,
      session_summary: '',
      timeout_minutes: null,
      expires_at: null,
      heartbeat_timeout_seconds: null,
      auto_recover: false,
      legal_hold: false,
      lineage: null,
      version: 1,
      created_at: expect.stringMatching(TIME),
      updated_at: session.created_at,
      last_activity_at: session.created_at,
      archived_at: null,
      deleted_at: null,
      deleted_reason: null,
    });
    expect(answer.headers.get('etag')).toBe('"1"');
    expect(answer.headers.get('location')).toBe(at(session.session_id));
    expect(answer.headers.get('cache-control')).toBe('no-store');
    expect(answer.headers.get('idempotency-replayed')).toBeNull();
    expect(await read(api, session.session_id)).toEqual(session);
  });

  it('keeps every field it is given', async () => {
    const given = {
      session_id: fresh('every.field:1@x+y~z_-'),
      title: 'Ünïcödé 标题 🚀',
      description: 'two\nlines',
      session_type: 'research',
      status: 'paused',
      tags: ['a', 'B', 'ü b'],
      context: { z: 1, a: [null, true, 'x', 1.5, { deep: {} }], '': 0 },
      metadata: { n: -0.25, 'a.b/c~d': 'é' },
      configuration: { model: 'm' },
      conversation_data: { turn: 3 },
      checkpoint: { step: 7, list: [] },
      runtime_backend: 'kubernetes',
      runtime_metadata: { pod: 'p-1' },
      client_id: 'Clïent 1',
      agent_id: 'agent/1',
      timeout_minutes: 90,
    };
    const session = await create(api, given);
    expect(session).toMatchObject(given);
    expect(JSON.stringify(session.context)).toBe(JSON.stringify(given.context));
    expect(session.is_active).toBe(false);
    expect(Date.parse(session.expires_at) - Date.parse(session.created_at)).toBe(90 * 60_000);
    expect(await read(api, given.session_id)).toEqual(session);
  });

  it.each(['active', 'paused', 'completed', 'crashed', 'archived'])('begins as %s', async (status) => {
    const session = await create(api, { status });
    expect(session).toMatchObject({ status, is_active: status === 'active' });
    expect(session.archived_at !== null).toBe(status === 'archived');
    expect(await eventTypes(api, session.session_id)).toEqual(['session.created']);
  });

  it('lets a status that is not open begin without expiry', async () => {
    for (const status of ['completed', 'crashed', 'archived']) {
      expect(await create(api, { status, timeout_minutes: 5 })).toMatchObject({ expires_at: null });
    }
  });

  it('keeps a repeated tag once', async () => {
    expect((await create(api, { tags: ['a', 'b', 'a'] })).tags).toEqual(['a', 'b']);
  });

  it('takes and answers the older names', async () => {
    const id = fresh('older');
    const session = await create(api, { id, name: 'Title', owner_id: user });
    expect(session).toMatchObject({
      session_id: id,
      id,
      title: 'Title',
      name: 'Title',
      user_id: user,
      owner_id: user,
      last_activity: session.last_activity_at,
    });
  });

  it('refuses one member under two names that differ', async () => {
    expectRefused(await api.post(SESSIONS, { title: 'a', name: 'b' }), 422, 'invalid');
    expectOk(await api.post(SESSIONS, { title: 'a', name: 'a' }), 201);
  });

  it.each([
    ['session_id', 1],
    ['title', 5],
    ['title', 'x'.repeat(501)],
    ['description', {}],
    ['session_type', ''],
    ['status', 'deleted'],
    ['status', 'unknown'],
    ['tags', 'a,b'],
    ['tags', Array.from({ length: 51 }, (_, i) => `t${i}`)],
    ['context', []],
    ['context', 'text'],
    ['status', null],
    ['metadata', 1],
    ['configuration', true],
    ['conversation_data', [1]],
    ['checkpoint', 'text'],
    ['runtime_backend', 'docker'],
    ['client_id', ''],
    ['client_id', 'x'.repeat(256)],
    ['agent_id', 'a\tb'],
    ['timeout_minutes', 0],
    ['timeout_minutes', -1],
    ['timeout_minutes', 1.5],
    ['timeout_minutes', '60'],
    ['timeout_minutes', 525_601],
    ['if_exists', 'replace'],
    ['unheard_of', 1],
  ])('refuses the %s %.40j', async (member, value) => {
    const answer = await api.post(SESSIONS, { [member]: value });
    expectRefused(answer, 422, 'invalid');
    const pointers = answer.body.errors.map((error: { pointer: string }) => error.pointer);
    expect([...new Set(pointers)]).toEqual([`/${member}`]);
  });

  it('points to the tag that is too long', async () => {
    const answer = await api.post(SESSIONS, { tags: ['a', 'x'.repeat(101)] });
    expectRefused(answer, 422, 'invalid');
    expect(answer.body.errors[0].pointer).toBe('/tags/1');
  });

  it('names the largest timeout_minutes', async () => {
    const answer = await api.post(SESSIONS, { timeout_minutes: 525_601 });
    expect(answer.body.detail).toContain('525600');
    expect(await create(api, { timeout_minutes: 525_600 })).toMatchObject({ timeout_minutes: 525_600 });
  });

  it.each([
    'is_active',
    'message_count',
    'total_tokens',
    'total_cost',
    'session_summary',
    'collection',
    'expires_at',
    'lineage',
    'version',
    'created_at',
    'updated_at',
    'last_activity_at',
    'last_activity',
    'archived_at',
    'deleted_at',
    'deleted_reason',
  ])('answers read_only for %s', async (member) => {
    expectRefused(await api.post(SESSIONS, { [member]: 1 }), 422, 'read_only');
  });

  it('counts characters, not UTF-16 units, against the 500 of a title', async () => {
    const title = '🚀'.repeat(500);
    expect(await create(api, { title })).toMatchObject({ title });
  });

  it('stores nothing when it refuses', async () => {
    await api.post(SESSIONS, { title: 'fine', timeout_minutes: 0 });
    expect(expectOk(await api.get(SESSIONS)).sessions).toEqual([]);
  });
});

describe('ids', () => {
  it.each(['a', '0', '-', '_', 'A.b_c:d@e+f~g-h', '...', 'Stats', 'x'.repeat(255)])(
    'takes %.40s',
    async (session_id) => {
      const session = await create(api, { session_id });
      expect(session.session_id).toBe(session_id);
      expect((await read(api, session_id)).session_id).toBe(session_id);
    },
  );

  it.each(['', 'a b', 'a/b', 'ä', 'a%20b', 'a?b', 'a#b', 'a\\b', 'x'.repeat(256), ' a'])(
    'refuses %j',
    async (session_id) => {
      expectRefused(await api.post(SESSIONS, { session_id }), 422, 'invalid');
    },
  );

  it.each(['.', '..', 'stats', 'compare', 'merge', 'resume', 'import', 'cleanup', 'retention-policy'])(
    'keeps %s for itself',
    async (session_id) => {
      const answer = await api.post(SESSIONS, { session_id });
      expectRefused(answer, 422, 'reserved_id');
      expect(answer.body.errors[0].pointer).toBe('/session_id');
    },
  );

  it('lower-cases a canonical UUID, in bodies and in paths', async () => {
    const upper = 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11';
    const session = await create(api, { session_id: upper });
    expect(session.session_id).toBe(upper.toLowerCase());
    expect(await read(api, upper)).toEqual(session);
    expect(await read(api, upper.toLowerCase())).toEqual(session);
    expectRefused(await api.post(SESSIONS, { session_id: upper }), 409, 'session_id_taken');
    await api.patch(at(upper), { title: 'T' });
    await append(api, upper, { role: 'user', content: 'x' });
    expectOk(await api.post(at(upper, '/pause')));
    expect(await read(api, upper)).toMatchObject({ title: 'T', message_count: 1, status: 'paused' });
  });

  it('keeps the case of every other id', async () => {
    const lower = await create(api, { session_id: 'case-sensitive' });
    const upper = await create(api, { session_id: 'CASE-SENSITIVE' });
    const braced = await create(api, { session_id: 'A0EEBC999C0B4EF8BB6D6BB9BD380A12' });
    expect(lower.session_id).not.toBe(upper.session_id);
    expect(braced.session_id).toBe('A0EEBC999C0B4EF8BB6D6BB9BD380A12');
    expectRefused(await api.get(at('Case-Sensitive')), 404, 'session_not_found');
  });

  it('makes ids that sort by time', async () => {
    const ids: string[] = [];
    for (let i = 0; i < 5; i++) ids.push((await create(api)).session_id);
    expect([...ids].sort()).toEqual(ids);
    expect(new Set(ids).size).toBe(5);
  });
});

describe('the owner', () => {
  it('is the user who calls, who may also name himself', async () => {
    expect(await create(api, { user_id: user })).toMatchObject({ user_id: user });
    expect(await create(api, { user_id: null })).toMatchObject({ user_id: user });
  });

  it('is never somebody else', async () => {
    expectRefused(await api.post(SESSIONS, { user_id: 'somebody-else' }), 403, 'forbidden');
    expectRefused(await api.post(SESSIONS, { owner_id: 'somebody-else' }), 403, 'forbidden');
  });

  it('is named by a service', async () => {
    const session = await create(service, { user_id: user });
    expect(session.user_id).toBe(user);
    expect(await read(api, session.session_id)).toEqual(session);
  });

  it('is missing when a service names nobody', async () => {
    expectRefused(await service.post(SESSIONS, {}), 422, 'owner_required');
    expectRefused(await service.post(SESSIONS, { user_id: null }), 422, 'owner_required');
    expectRefused(await service.post(SESSIONS, { title: 'x' }), 422, 'owner_required');
  });

  it('is nobody for a session of an agent alone, which only services see', async () => {
    const session = await create(service, { agent_id: 'agent-alone' });
    expect(session).toMatchObject({ user_id: null, owner_id: null, agent_id: 'agent-alone' });
    expect(await read(service, session.session_id)).toEqual(session);
    expectRefused(await api.get(at(session.session_id)), 404, 'session_not_found');
    expectRefused(await app.api.as('agent-alone').get(at(session.session_id)), 404, 'session_not_found');
  });

  it('is the user beside a service key', async () => {
    const both = service.as(user);
    expect(await create(both, {})).toMatchObject({ user_id: user });
    expectRefused(await both.post(SESSIONS, { user_id: 'somebody-else' }), 403, 'forbidden');
  });

  it('has any printable name', async () => {
    for (const name of ['a', 'ünï cödé', 'тест@例え.jp', 'x/y?z=%41#', 'é'.repeat(255)]) {
      const session = await create(app.api.as(name), {});
      expect(session.user_id).toBe(name);
      expect(await read(app.api.as(name), session.session_id)).toEqual(session);
    }
  });

  it('may have a name of 255 characters of four bytes each', async () => {
    const name = '🚀'.repeat(255);
    expect(await create(app.api.as(name), {})).toMatchObject({ user_id: name });
  });

  it('alone sets no legal hold', async () => {
    expectRefused(await api.post(SESSIONS, { legal_hold: true }), 403, 'forbidden');
    expectRefused(await service.as(user).post(SESSIONS, { legal_hold: true }), 403, 'forbidden');
    expect(await create(service, { user_id: user, legal_hold: true })).toMatchObject({ legal_hold: true });
  });
});

describe('an id that is taken', () => {
  it('is refused by default, and answered with if_exists: return', async () => {
    const session_id = fresh('taken');
    const first = await create(api, { session_id, title: 'first' });
    expectRefused(await api.post(SESSIONS, { session_id, title: 'second' }), 409, 'session_id_taken');
    expectRefused(await api.post(SESSIONS, { session_id, if_exists: 'error' }), 409, 'session_id_taken');
    const again = await api.post(SESSIONS, { session_id, title: 'second', if_exists: 'return' });
    expect(expectOk(again, 200)).toEqual(first);
    expect(again.headers.get('etag')).toBe('"1"');
    expect(again.headers.get('idempotency-replayed')).toBeNull();
  });

  it('is answered in whatever state it is', async () => {
    const { session_id } = await create(api, { session_id: fresh('taken'), status: 'archived' });
    const again = await api.post(SESSIONS, { session_id, if_exists: 'return' });
    expect(expectOk(again)).toMatchObject({ session_id, status: 'archived' });
  });

  it('is made by if_exists: return when it is free', async () => {
    const answer = await api.post(SESSIONS, { session_id: fresh('free'), if_exists: 'return' });
    expect(answer.status).toBe(201);
  });

  it.each(['error', 'return'])('tells nothing of another’s session (if_exists: %s)', async (if_exists) => {
    const { session_id } = await create(api, {
      session_id: fresh('taken'),
      title: 'SECRET',
      agent_id: 'SECRET',
    });
    const stranger = app.api.as(fresh());
    const answer = await stranger.post(SESSIONS, { session_id, if_exists });
    expectRefused(answer, 409, 'session_id_taken');
    expect(Object.keys(answer.body).sort()).toEqual(
      ['code', 'detail', 'instance', 'request_id', 'status', 'title', 'type'].sort(),
    );
    expect(answer.text).not.toContain('SECRET');
    expect(answer.text).not.toContain(user);
    expect(answer.headers.get('etag')).toBeNull();
  });

  it('is the same to a stranger whether the session is there, deleted or expired', async () => {
    const stranger = app.api.as(fresh());
    const answers: string[] = [];
    for (const end of [async () => undefined, deleteIt, expireIt]) {
      const { session_id } = await create(api, { session_id: fresh('taken'), timeout_minutes: 5 });
      await end(session_id);
      const { body, status } = await stranger.post(SESSIONS, { session_id, if_exists: 'return' });
      answers.push(JSON.stringify({ ...body, status, request_id: '' }));
    }
    expect(new Set(answers).size).toBe(1);
    expect(answers[0]).toContain('session_id_taken');
  });

  it('is not the service’s to return under another owner', async () => {
    const { session_id } = await create(api, { session_id: fresh('taken') });
    const asUser = { session_id, user_id: user, if_exists: 'return' };
    expect(expectOk(await service.post(SESSIONS, asUser)).session_id).toBe(session_id);
    const asOther = { session_id, user_id: fresh(), if_exists: 'return' };
    expectRefused(await service.post(SESSIONS, asOther), 409, 'session_id_taken');
  });

  it('is not a collaborator’s to return', async () => {
    const { session_id } = await create(api, { session_id: fresh('taken') });
    const editor = fresh('editor');
    await share(app, session_id, editor, 'editor');
    const answer = await app.api.as(editor).post(SESSIONS, { session_id, if_exists: 'return' });
    expectRefused(answer, 409, 'session_id_taken');
  });

  it('is returned to the agent it belongs to', async () => {
    const session_id = fresh('agents-own');
    await create(service, { session_id, agent_id: 'a1' });
    const again = await service.post(SESSIONS, { session_id, agent_id: 'a1', if_exists: 'return' });
    expect(again.status).toBe(200);
    const other = await service.post(SESSIONS, { session_id, agent_id: 'a2', if_exists: 'return' });
    expectRefused(other, 409, 'session_id_taken');
  });

  it('makes one session of 20 requests at once', async () => {
    const session_id = fresh('at-once');
    const answers = await atOnce(20, () => api.post(SESSIONS, { session_id, if_exists: 'return' }));
    expect(answers.filter((a) => a.status === 201)).toHaveLength(1);
    expect(answers.filter((a) => a.status === 200)).toHaveLength(19);
    expect(new Set(answers.map((a) => a.body.created_at)).size).toBe(1);
  });
});

const deleteIt = (id: string) => api.delete(at(id));
const expireIt = (id: string) => runOut(app.database, id);

describe.each([
  ['deleted', deleteIt, 'requested'],
  ['expired', expireIt, 'expired'],
])('the id of a session that is %s', (_, end, deleted_reason) => {
  let session_id: string;

  beforeEach(async () => {
    session_id = fresh('again');
    await create(api, { session_id, title: 'old', timeout_minutes: 5, tags: ['old'], metadata: { old: 1 } });
    await append(api, session_id, { role: 'user', content: 'old message', message_id: 'm1' });
    await end(session_id);
  });

  it('goes to a new, empty session of the owner', async () => {
    for (const if_exists of ['error', 'return']) {
      const made = await create(api, { session_id, if_exists });
      expect(made).toMatchObject({
        session_id,
        title: null,
        tags: [],
        metadata: {},
        message_count: 0,
        version: 1,
        status: 'active',
        timeout_minutes: null,
      });
      expect(expectOk(await api.get(at(session_id, '/messages'))).messages).toEqual([]);
      expect(await eventTypes(api, session_id)).toEqual(['session.created']);
      await api.delete(at(session_id));
    }
  });

  it('leaves the old one under a made id, listed with include_deleted and restorable', async () => {
    await create(api, { session_id });
    const { sessions } = expectOk(await api.get(`${SESSIONS}?include_deleted=true`));
    expect(sessions).toHaveLength(2);
    const old = sessions.find((s: { title: string }) => s.title === 'old');
    expect(old).toMatchObject({
      session_id: expect.stringMatching(UUID_V7),
      status: 'deleted',
      deleted_reason,
      deleted_at: expect.stringMatching(TIME),
    });
    const restored = expectOk(await api.post(at(old.session_id, '/restore')));
    expect(restored).toMatchObject({
      session_id: old.session_id,
      title: 'old',
      status: 'active',
      message_count: 1,
      tags: ['old'],
    });
    const { messages } = expectOk(await api.get(at(old.session_id, '/messages')));
    expect(messages).toMatchObject([{ content: 'old message', session_id: old.session_id }]);
    expect((await read(api, session_id)).message_count).toBe(0);
    await append(api, session_id, { role: 'user', content: 'new', message_id: 'm1' });
  });

  it('goes to one of 10 who ask at once', async () => {
    const answers = await atOnce(10, () => api.post(SESSIONS, { session_id }));
    expect(answers.map((a) => a.status).sort()).toEqual([201, ...Array(9).fill(409)]);
    const { sessions } = expectOk(await api.get(`${SESSIONS}?include_deleted=true`));
    expect(sessions).toHaveLength(2);
  });

  it('goes to nobody else', async () => {
    const stranger = app.api.as(fresh());
    expectRefused(await stranger.post(SESSIONS, { session_id }), 409, 'session_id_taken');
    const manager = fresh();
    await api.post(at(session_id, '/restore'));
    await share(app, session_id, manager, 'manager');
    await end(session_id);
    expectRefused(await app.api.as(manager).post(SESSIONS, { session_id }), 409, 'session_id_taken');
    expect(expectOk(await api.post(at(session_id, '/restore')))).toMatchObject({ title: 'old' });
  });
});

describe('reading a session', () => {
  it('answers its version as ETag', async () => {
    const { session_id } = await create(api);
    expect((await api.get(at(session_id))).headers.get('etag')).toBe('"1"');
    await api.patch(at(session_id), { title: 'x' });
    const answer = await api.get(at(session_id));
    expect([answer.headers.get('etag'), answer.body.version]).toEqual(['"2"', 2]);
  });

  it('finds nothing that is not there, or not his', async () => {
    const { session_id } = await create(api);
    expectRefused(await api.get(at('no-such-session')), 404, 'session_not_found');
    expectRefused(await api.get(at('x'.repeat(3000))), 404, 'session_not_found');
    expectRefused(await app.api.as(fresh()).get(at(session_id)), 404, 'session_not_found');
    expect((await read(service, session_id)).user_id).toBe(user);
    expectRefused(await service.as(fresh()).get(at(session_id)), 404, 'session_not_found');
  });

  it('answers the same to everybody who may see it', async () => {
    const { session_id } = await create(api, { tags: ['x'] });
    for (const role of ['viewer', 'editor', 'manager']) {
      const member = fresh(role);
      await share(app, session_id, member, role);
      expect(await read(app.api.as(member), session_id)).toEqual(await read(api, session_id));
    }
  });

  it.each([
    ['deleted', deleteIt],
    ['expired', expireIt],
  ])('shows what is %s only when asked for', async (_, end) => {
    const { session_id } = await create(api, { timeout_minutes: 5 });
    await end(session_id);
    expectRefused(await api.get(at(session_id)), 404, 'session_deleted');
    expectRefused(await api.get(at(session_id, '?include_deleted=false')), 404, 'session_deleted');
    const answer = await api.get(at(session_id, '?include_deleted=true'));
    expect(expectOk(answer)).toMatchObject({ session_id, status: 'deleted', is_active: false });
    expect(answer.headers.get('etag')).toBe(`"${answer.body.version}"`);
    const stranger = app.api.as(fresh());
    expectRefused(await stranger.get(at(session_id, '?include_deleted=true')), 404, 'session_not_found');
  });

  it('refuses a query it does not know', async () => {
    const { session_id } = await create(api);
    expectRefused(await api.get(at(session_id, '?include_deleted=maybe')), 422, 'invalid');
    const answer = await api.get(at(session_id, '?unheard_of=1'));
    expectRefused(answer, 422, 'invalid');
    expect(answer.body.errors[0].pointer).toBe('?unheard_of');
  });
});
