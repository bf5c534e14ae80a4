import type { Answer } from '../setup/api.js';
import { startApp, type TestApp } from '../setup/app.js';
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
} from './support.js';

const SESSIONS = '/api/v1/sessions';

useApp();

const OPEN = ['active', 'paused', 'completed', 'crashed'] as const;
const STATUSES = [...OPEN, 'archived'] as const;
type Status = (typeof STATUSES)[number];

/** The table of the contract. */
const ALLOWED: Record<Status, readonly string[]> = {
  active: ['paused', 'completed', 'crashed', 'archived', 'deleted'],
  paused: ['active', 'completed', 'crashed', 'archived', 'deleted'],
  completed: ['active', 'archived', 'deleted'],
  crashed: ['active', 'completed', 'archived', 'deleted'],
  archived: ['active', 'deleted'],
};
const ROUTES: Record<Status, string> = {
  active: 'resume',
  paused: 'pause',
  completed: 'complete',
  crashed: 'crash',
  archived: 'archive',
};

const CELLS = STATUSES.flatMap((from) => STATUSES.map((to) => ({ from, to })));

const WAYS: Record<string, (id: string, to: Status) => Promise<Answer>> = {
  'PATCH status': (id, to) => api.patch(at(id), { status: to }),
  'PUT status': (id, to) => api.put(at(id), { status: to }),
  'the named route': (id, to) => api.post(at(id, `/${ROUTES[to]}`)),
};

describe.each(Object.keys(WAYS))('a transition by %s', (way) => {
  const move = WAYS[way]!;

  it.each(CELLS)('from $from to $to', async ({ from, to }) => {
    const before = await create(api, { status: from });
    const answer = await move(before.session_id, to);
    if (from === to) {
      expect(expectOk(answer)).toEqual(before);
    } else if (ALLOWED[from].includes(to)) {
      expect(expectOk(answer)).toMatchObject({
        status: to,
        is_active: to === 'active',
        version: 2,
        archived_at: to === 'archived' ? expect.stringMatching(TIME) : null,
      });
      expect(answer.headers.get('etag')).toBe('"2"');
    } else {
      expectRefused(answer, 409, 'invalid_transition');
      expect(answer.body.allowed).toEqual(ALLOWED[from]);
      for (const allowed of ALLOWED[from]) expect(answer.body.detail).toContain(allowed);
      expect(await read(api, before.session_id)).toEqual(before);
    }
  });

  it.each(STATUSES)('from deleted to %s', async (to) => {
    const { session_id } = await create(api);
    await api.delete(at(session_id));
    expectRefused(await move(session_id, to), 404, 'session_deleted');
    expect((await read(api, session_id, '?include_deleted=true')).version).toBe(2);
  });

  it('of what is not there, or not his', async () => {
    const { session_id } = await create(app.api.as(fresh()));
    for (const to of STATUSES) {
      expectRefused(await move(session_id, to), 404, 'session_not_found');
      expectRefused(await move('no-such-session', to), 404, 'session_not_found');
    }
  });
});

describe('deletion as a status', () => {
  it.each(['PATCH', 'PUT'])('is not for %s', async (method) => {
    const { session_id } = await create(api);
    const answer = await api.call(method, at(session_id), { body: { status: 'deleted' } });
    expectRefused(answer, 422, 'invalid');
  });

  it.each(STATUSES)('is reached by DELETE from %s', async (from) => {
    const { session_id } = await create(api, { status: from });
    const answer = await api.delete(at(session_id));
    expect(expectOk(answer)).toMatchObject({
      status: 'deleted',
      is_active: false,
      deleted_at: expect.stringMatching(TIME),
      deleted_reason: 'requested',
      version: 2,
    });
    expect(answer.headers.get('etag')).toBe('"2"');
    const restored = expectOk(await api.post(at(session_id, '/restore')));
    expect(restored).toMatchObject({ status: from, deleted_at: null, deleted_reason: null, version: 3 });
    expect(restored.archived_at !== null).toBe(from === 'archived');
  });
});

describe('archiving', () => {
  it.each(OPEN)('of %s is restored to what it was', async (from) => {
    const { session_id } = await create(api, { status: from });
    expectOk(await api.post(at(session_id, '/archive')));
    expect(expectOk(await api.post(at(session_id, '/restore')))).toMatchObject({
      status: from,
      archived_at: null,
      version: 3,
    });
  });

  it.each(OPEN)('of %s ends with status: active too', async (from) => {
    const { session_id } = await create(api, { status: from });
    await api.patch(at(session_id), { status: 'archived' });
    const active = expectOk(await api.patch(at(session_id), { status: 'active' }));
    expect(active).toMatchObject({ status: 'active', archived_at: null });
  });

  it('survives deletion: it is restored step by step', async () => {
    const { session_id } = await create(api, { status: 'paused' });
    const { archived_at } = expectOk(await api.post(at(session_id, '/archive')));
    await api.delete(at(session_id));
    const once = expectOk(await api.post(at(session_id, '/restore')));
    expect(once).toMatchObject({ status: 'archived', archived_at });
    const twice = expectOk(await api.post(at(session_id, '/restore')));
    expect(twice).toMatchObject({ status: 'paused', archived_at: null });
  });

  it('lets fields be edited, messages not be added', async () => {
    const { session_id } = await create(api, { status: 'archived' });
    expect(expectOk(await api.patch(at(session_id), { title: 'x' }))).toMatchObject({
      title: 'x',
      status: 'archived',
    });
    const answer = await api.post(at(session_id, '/messages'), { role: 'user', content: 'x' });
    expectRefused(answer, 409, 'session_not_open');
  });

  it.each(OPEN)('has nothing to restore in %s', async (status) => {
    const before = await create(api, { status });
    expect(expectOk(await api.post(at(before.session_id, '/restore')))).toEqual(before);
  });
});

describe('DELETE', () => {
  it('twice answers the same', async () => {
    const { session_id } = await create(api);
    const first = expectOk(await api.delete(at(session_id)));
    expect(expectOk(await api.delete(at(session_id)))).toEqual(first);
    expect(await eventTypes(api, session_id)).toEqual([
      'session.created',
      'session.updated',
      'session.deleted',
    ]);
  });

  it('hides the session everywhere but where it can be undone', async () => {
    const { session_id } = await create(api, { title: 'T' });
    await append(api, session_id, { role: 'user', content: 'x', message_id: 'm' });
    await api.delete(at(session_id));
    const calls = [
      api.get(at(session_id)),
      api.patch(at(session_id), { title: 'x' }),
      api.put(at(session_id), { title: 'x' }),
      api.get(at(session_id, '/messages')),
      api.get(at(session_id, '/messages/m')),
      api.get(at(session_id, '/messages/none')),
      api.post(at(session_id, '/messages'), { role: 'user', content: 'x' }),
      api.post(at(session_id, '/messages'), { role: 'user', content: 'x', message_id: 'm' }),
    ];
    for (const answer of await Promise.all(calls)) expectRefused(answer, 404, 'session_deleted');
    expect(expectOk(await api.get(SESSIONS)).sessions).toEqual([]);
    expectOk(await api.get(at(session_id, '/events')));
    expectOk(await api.post(at(session_id, '/restore')));
    expect(expectOk(await api.get(at(session_id, '/messages'))).messages).toHaveLength(1);
  });

  it('for good leaves nothing', async () => {
    for (const isDeletedBefore of [false, true]) {
      const session_id = fresh('for-good');
      await create(api, { session_id, title: 'old' });
      await append(api, session_id, { role: 'user', content: 'x', message_id: 'm' });
      if (isDeletedBefore) await api.delete(at(session_id));
      const answer = await api.delete(at(session_id, '?permanent=true'));
      expect([answer.status, answer.text]).toEqual([204, '']);
      const calls = [
        api.get(at(session_id)),
        api.get(at(session_id, '?include_deleted=true')),
        api.patch(at(session_id), { title: 'x' }),
        api.get(at(session_id, '/messages')),
        api.get(at(session_id, '/messages/m')),
        api.get(at(session_id, '/events')),
        api.post(at(session_id, '/messages'), { role: 'user', content: 'x', message_id: 'm' }),
        api.post(at(session_id, '/restore')),
        api.delete(at(session_id)),
        api.delete(at(session_id, '?permanent=true')),
        service.get(at(session_id, '?include_deleted=true')),
      ];
      for (const refused of await Promise.all(calls)) expectRefused(refused, 404, 'session_not_found');
      for (const query of ['', '?include_deleted=true', '?status=deleted']) {
        expect(expectOk(await api.get(SESSIONS + query)).sessions).toEqual([]);
      }
    }
  });

  it('for good frees the id at once, for anybody', async () => {
    const session_id = fresh('free-again');
    await create(api, { session_id, title: 'old', metadata: { old: true } });
    await append(api, session_id, { role: 'user', content: 'old', message_id: 'm' });
    await share(app, session_id, 'old-friend', 'manager');
    await api.delete(at(session_id, '?permanent=true'));
    const stranger = app.api.as(fresh());
    const made = await create(stranger, { session_id });
    expect(made).toMatchObject({ title: null, metadata: {}, message_count: 0, version: 1 });
    expect(expectOk(await stranger.get(at(session_id, '/messages'))).messages).toEqual([]);
    expect(await eventTypes(stranger, session_id)).toEqual(['session.created']);
    for (const old of [api, app.api.as('old-friend')]) {
      expectRefused(await old.get(at(session_id)), 404, 'session_not_found');
    }
    await append(stranger, session_id, { role: 'user', content: 'new', message_id: 'm' });
  });

  it('for good happens once for 10 at once', async () => {
    const { session_id } = await create(api);
    const answers = await atOnce(10, () => api.delete(at(session_id, '?permanent=true')));
    expect(answers.map((a) => a.status).sort()).toEqual([204, ...Array(9).fill(404)]);
  });
});

describe('roles', () => {
  const VERBS = ['pause', 'resume', 'crash', 'resume', 'complete', 'resume'];
  const matrix: Record<string, { work: number; manage: number; own: number }> = {
    viewer: { work: 403, manage: 403, own: 403 },
    editor: { work: 200, manage: 403, own: 403 },
    manager: { work: 200, manage: 200, own: 403 },
  };

  it.each(Object.keys(matrix))('%s', async (role) => {
    const { work, manage, own } = matrix[role]!;
    const { session_id } = await create(api);
    const name = fresh(role);
    await share(app, session_id, name, role);
    const asMember = app.api.as(name);
    for (const verb of VERBS) expect((await asMember.post(at(session_id, `/${verb}`))).status).toBe(work);
    expect((await asMember.post(at(session_id, '/archive'))).status).toBe(manage);
    await api.post(at(session_id, '/archive'));
    expect((await asMember.post(at(session_id, '/resume'))).status).toBe(manage);
    await api.post(at(session_id, '/archive'));
    expect((await asMember.patch(at(session_id), { status: 'active' })).status).toBe(manage);
    await api.post(at(session_id, '/archive'));
    expect((await asMember.post(at(session_id, '/restore'))).status).toBe(manage);
    expect((await asMember.delete(at(session_id))).status).toBe(own);
    expect((await asMember.delete(at(session_id, '?permanent=true'))).status).toBe(own);
    await api.delete(at(session_id));
    expect((await asMember.post(at(session_id, '/restore'))).status).toBe(own);
  });

  it('a stranger finds nothing to delete or restore', async () => {
    const { session_id } = await create(api);
    const stranger = app.api.as(fresh());
    for (const query of ['', '?permanent=true'])
      expectRefused(await stranger.delete(at(session_id, query)), 404, 'session_not_found');
    await api.delete(at(session_id));
    expectRefused(await stranger.delete(at(session_id)), 404, 'session_not_found');
    expectRefused(await stranger.post(at(session_id, '/restore')), 404, 'session_not_found');
  });

  it('a service does everything', async () => {
    const { session_id } = await create(api);
    for (const verb of [...VERBS, 'archive', 'restore'])
      expectOk(await service.post(at(session_id, `/${verb}`)));
    expectOk(await service.delete(at(session_id)));
    expectOk(await service.post(at(session_id, '/restore')));
    expect((await service.delete(at(session_id, '?permanent=true'))).status).toBe(204);
  });
});

describe('legal hold', () => {
  const held = (body = {}) => create(service, { user_id: user, legal_hold: true, ...body });

  it.each(['', '?permanent=true'])('is not deleted by DELETE%s', async (query) => {
    const before = await held();
    for (const caller of [api, service]) {
      expectRefused(await caller.delete(at(before.session_id, query)), 409, 'legal_hold');
    }
    expect(await read(api, before.session_id)).toEqual(before);
    expectOk(await service.patch(at(before.session_id), { legal_hold: false }));
    expect((await api.delete(at(before.session_id, query))).status).toBe(query ? 204 : 200);
    expectRefused(await api.get(at(before.session_id)), 404, query ? 'session_not_found' : 'session_deleted');
  });

  it('can be archived, edited and appended to', async () => {
    const { session_id } = await held();
    expectOk(await api.patch(at(session_id), { title: 'x' }));
    await append(api, session_id, { role: 'user', content: 'x' });
    expect(expectOk(await api.post(at(session_id, '/archive'))).legal_hold).toBe(true);
    expectRefused(await api.delete(at(session_id)), 409, 'legal_hold');
  });

  it('does not expire', async () => {
    const { session_id } = await held({ timeout_minutes: 5 });
    await runOut(app.database, session_id);
    expect((await read(api, session_id)).status).toBe('active');
    expect(expectOk(await api.get(SESSIONS)).sessions).toHaveLength(1);
    await append(api, session_id, { role: 'user', content: 'x' });
  });

  it('is told to nobody who may not see the session', async () => {
    const { session_id } = await held();
    expectRefused(await app.api.as(fresh()).delete(at(session_id)), 404, 'session_not_found');
  });
});

describe('expiry', () => {
  /** Makes it look as if it had lain untouched for 59 of its 60 minutes. */
  async function nearlyExpired(id: string): Promise<void> {
    await app.database.pool.query(
      `update sessions set last_activity_at = now() - interval '59 min', expires_at = now() + interval '1 min'
       where id = $1`,
      [id],
    );
  }

  /** Minutes left, by the service's own clock of the answer; far from any boundary. */
  const minutesLeft = (expires_at: string) => (Date.parse(expires_at) - Date.now()) / 60_000;

  const RENEWING: Record<string, (id: string) => Promise<Answer>> = {
    'an append': (id) => api.post(at(id, '/messages'), { role: 'user', content: 'x' }),
    'a batch': (id) => api.post(at(id, '/messages'), { messages: [{ role: 'user', content: 'x' }] }),
    PATCH: (id) => api.patch(at(id), { metadata: { a: 1 } }),
    PUT: (id) => api.put(at(id), { title: 'x' }),
    pause: (id) => api.post(at(id, '/pause')),
    'a new time-out': (id) => api.patch(at(id), { timeout_minutes: 61 }),
  };

  it.each(Object.keys(RENEWING))('is put off by %s', async (name) => {
    const { session_id } = await create(api, { timeout_minutes: 60 });
    await nearlyExpired(session_id);
    expect((await RENEWING[name]!(session_id)).status).toBeLessThan(300);
    const after = await read(api, session_id);
    expect(minutesLeft(after.expires_at)).toBeGreaterThan(30);
    expect(minutesLeft(after.last_activity_at)).toBeGreaterThan(-30);
  });

  const READING: Record<string, (id: string) => Promise<Answer>> = {
    GET: (id) => api.get(at(id)),
    'a list': () => api.get(SESSIONS),
    'its messages': (id) => api.get(at(id, '/messages')),
    'one message': (id) => api.get(at(id, '/messages/m')),
    'its events': (id) => api.get(at(id, '/events')),
    'an edit that changes nothing': (id) => api.patch(at(id), { status: 'active' }),
    'a refused append': (id) =>
      api.post(at(id, '/messages'), { role: 'user', content: 'x', expected_seq: 9 }),
    'a replayed append': (id) =>
      api.post(at(id, '/messages'), { role: 'user', content: 'x', message_id: 'm' }),
  };

  it.each(Object.keys(READING))('is not put off by %s', async (name) => {
    const { session_id } = await create(api, { timeout_minutes: 60 });
    await append(api, session_id, { role: 'user', content: 'x', message_id: 'm' });
    await nearlyExpired(session_id);
    const before = await read(api, session_id);
    await READING[name]!(session_id);
    expect(await read(api, session_id)).toEqual(before);
  });

  it.each([
    ['complete', 'resume'],
    ['crash', 'resume'],
    ['archive', 'restore'],
  ])('waits while the session is not open: %s, %s', async (away, back) => {
    const { session_id } = await create(api, { timeout_minutes: 60 });
    expect(expectOk(await api.post(at(session_id, `/${away}`)))).toMatchObject({
      timeout_minutes: 60,
      expires_at: null,
    });
    expect(expectOk(await api.patch(at(session_id), { title: away })).expires_at).toBeNull();
    const again = expectOk(await api.post(at(session_id, `/${back}`)));
    expect(minutesLeft(again.expires_at)).toBeGreaterThan(30);
  });

  it('is set and taken away by timeout_minutes', async () => {
    const { session_id } = await create(api);
    const set = expectOk(await api.patch(at(session_id), { timeout_minutes: 60 }));
    expect(minutesLeft(set.expires_at)).toBeGreaterThan(30);
    const taken = expectOk(await api.patch(at(session_id), { timeout_minutes: null }));
    expect(taken).toMatchObject({ timeout_minutes: null, expires_at: null });
  });

  it.each(['active', 'paused'])('deletes what is %s for everybody at once', async (status) => {
    const { session_id } = await create(api, { timeout_minutes: 60, status, title: 'T', tags: ['x'] });
    const message = { role: 'user', content: 'x', message_id: 'm' };
    await append(api, session_id, message);
    await runOut(app.database, session_id);
    const calls = [
      api.get(at(session_id)),
      service.get(at(session_id)),
      api.patch(at(session_id), { title: 'x' }),
      api.put(at(session_id), { title: 'x' }),
      ...['pause', 'resume', 'complete', 'crash', 'archive'].map((verb) =>
        api.post(at(session_id, `/${verb}`)),
      ),
      api.get(at(session_id, '/messages')),
      api.get(at(session_id, '/messages/m')),
      api.post(at(session_id, '/messages'), { role: 'user', content: 'new' }),
      api.post(at(session_id, '/messages'), message),
    ];
    for (const answer of await Promise.all(calls)) expectRefused(answer, 404, 'session_deleted');
    expectRefused(await api.post(`${SESSIONS}/resume`, {}), 404, 'session_not_found');
    for (const query of ['', `?status=${status}`, '?q=T', '?tags=x']) {
      expect(expectOk(await api.get(SESSIONS + query)).sessions).toEqual([]);
      expect(expectOk(await service.get(`/api/v1/users/${user}/sessions${query}`)).sessions).toEqual([]);
    }
    const { sessions } = expectOk(await api.get(`${SESSIONS}?status=deleted`));
    const shown = await read(api, session_id, '?include_deleted=true');
    expect(sessions).toEqual([shown]);
    expect(shown).toMatchObject({ status: 'deleted', is_active: false, deleted_reason: 'expired' });
    expect(shown.deleted_at).toBe(shown.expires_at);
    expectOk(await api.get(at(session_id, '/events')));
  });

  it.each(['active', 'paused'])('is undone by restore, and the time starts anew (%s)', async (status) => {
    const { session_id } = await create(api, { timeout_minutes: 60, status });
    await append(api, session_id, { role: 'user', content: 'kept' });
    await runOut(app.database, session_id);
    const restored = expectOk(await api.post(at(session_id, '/restore')));
    expect(restored).toMatchObject({ status, deleted_at: null, deleted_reason: null, timeout_minutes: 60 });
    expect(minutesLeft(restored.expires_at)).toBeGreaterThan(30);
    expect(await read(api, session_id)).toEqual(restored);
    expect(expectOk(await api.get(at(session_id, '/messages'))).messages).toMatchObject([
      { content: 'kept' },
    ]);
    expect((await eventTypes(api, session_id)).slice(-4)).toEqual([
      'session.updated',
      'session.expired',
      'session.updated',
      'session.restored',
    ]);
  });

  it('can be followed by DELETE, of both kinds', async () => {
    const { session_id } = await create(api, { timeout_minutes: 60 });
    await runOut(app.database, session_id);
    expect(expectOk(await api.delete(at(session_id))).status).toBe('deleted');
    expect((await api.delete(at(session_id, '?permanent=true'))).status).toBe(204);
  });

  it('leaves what was deleted before as it was', async () => {
    const { session_id } = await create(api, { timeout_minutes: 60 });
    const deleted = expectOk(await api.delete(at(session_id)));
    await app.database.pool.query(
      `update sessions set expires_at = now() - interval '1 s' where id = $1 and expires_at is not null`,
      [session_id],
    );
    expect(await read(api, session_id, '?include_deleted=true')).toMatchObject({
      deleted_reason: 'requested',
      deleted_at: deleted.deleted_at,
    });
  });
});

describe('with SESSION_TTL_MINUTES=30 and MAX_SESSION_TTL_MINUTES=60', () => {
  let limited: TestApp;
  beforeAll(async () => {
    limited = await startApp({ SESSION_TTL_MINUTES: '30', MAX_SESSION_TTL_MINUTES: '60' });
  });
  afterAll(() => limited.close());

  it('a session gets 30 minutes, at most 60', async () => {
    const mine = limited.api.as(user);
    const { session_id, ...made } = await create(mine);
    expect(made.timeout_minutes).toBe(30);
    expect(Date.parse(made.expires_at) - Date.parse(made.created_at)).toBe(30 * 60_000);
    expect(await create(mine, { timeout_minutes: 60 })).toMatchObject({ timeout_minutes: 60 });
    expect(await create(mine, { timeout_minutes: null })).toMatchObject({ timeout_minutes: 30 });
    for (const answer of [
      await mine.post(SESSIONS, { timeout_minutes: 61 }),
      await mine.patch(at(session_id), { timeout_minutes: 61 }),
      await mine.put(at(session_id), { timeout_minutes: 61 }),
    ]) {
      expectRefused(answer, 422, 'invalid');
      expect(answer.body.detail).toContain('60');
      expect(answer.body.errors[0].pointer).toBe('/timeout_minutes');
    }
    expect(expectOk(await mine.patch(at(session_id), { timeout_minutes: 45 })).timeout_minutes).toBe(45);
    expect(expectOk(await mine.patch(at(session_id), { timeout_minutes: null })).timeout_minutes).toBe(30);
    expect(
      expectOk(await mine.post(`${SESSIONS}/resume`, { client_id: 'new', create: true }), 201)
        .timeout_minutes,
    ).toBe(30);
  });
});
