import type { Answer, Api } from '../setup/api.js';
import { SERVICE_KEY, startApp, type TestApp } from '../setup/app.js';
import {
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
  silence,
} from './support.js';

const SESSIONS = '/api/v1/sessions';
const RESUME = `${SESSIONS}/resume`;

let app: TestApp;
let user: string;
let api: Api;
let service: Api;
let key: { 'idempotency-key': string };

beforeAll(async () => {
  app = await startApp({ SERVICE_API_KEYS: `tests:${SERVICE_KEY},other:${SERVICE_KEY}-2` });
  service = app.api.service(SERVICE_KEY);
});
afterAll(() => app.close());
beforeEach(() => {
  user = fresh();
  api = app.api.as(user);
  key = { 'idempotency-key': fresh('key') };
});

const isReplay = (answer: Answer) => answer.headers.get('idempotency-replayed') === 'true';

function expectReplay(answer: Answer, status: number): Answer['body'] {
  expect(isReplay(answer)).toBe(true);
  return expectOk(answer, status);
}

const countSessions = async () => expectOk(await api.get(`${SESSIONS}?include_deleted=true`)).sessions.length;

describe('create with Idempotency-Key', () => {
  it('has its effect once', async () => {
    const first = await api.post(SESSIONS, { title: 'x' }, key);
    expect(isReplay(first)).toBe(false);
    const session = expectOk(first, 201);
    for (let i = 0; i < 3; i++) {
      const again = await api.post(SESSIONS, { title: 'x' }, key);
      expect(expectReplay(again, 201)).toEqual(session);
      expect(again.headers.get('etag')).toBe('"1"');
      expect(again.headers.get('location')).toBe(at(session.session_id));
    }
    expect(await countSessions()).toBe(1);
    expect(await eventTypes(api, session.session_id)).toEqual(['session.created']);
  });

  it('answers 200 again for a session that was there', async () => {
    const { session_id } = await create(api, { session_id: fresh('there') });
    const body = { session_id, if_exists: 'return' };
    const first = await api.post(SESSIONS, body, key);
    expect([first.status, isReplay(first)]).toEqual([200, false]);
    expectReplay(await api.post(SESSIONS, body, key), 200);
  });

  it('is not disturbed by the order of members', async () => {
    expectOk(await api.post(SESSIONS, { title: 'x', metadata: { a: 1, b: 2 } }, key), 201);
    expectReplay(await api.post(SESSIONS, { metadata: { b: 2, a: 1 }, title: 'x' }, key), 201);
  });

  it.each([[{ title: 'y' }], [{}], [{ title: 'x', tags: ['a'] }], [{ title: 'x', description: null }]])(
    'refuses the key with the other body %j',
    async (body) => {
      const session = expectOk(await api.post(SESSIONS, { title: 'x' }, key), 201);
      expectRefused(await api.post(SESSIONS, body, key), 422, 'key_reused');
      expect(await countSessions()).toBe(1);
      expect(await read(api, session.session_id)).toEqual(session);
    },
  );

  it('renders the session as it now is', async () => {
    const { session_id } = expectOk(await api.post(SESSIONS, { title: 'x' }, key), 201);
    await api.patch(at(session_id), { title: 'edited' });
    const edited = expectReplay(await api.post(SESSIONS, { title: 'x' }, key), 201);
    expect(edited).toMatchObject({ session_id, title: 'edited', version: 2 });
    await api.post(at(session_id, '/archive'));
    const archived = expectReplay(await api.post(SESSIONS, { title: 'x' }, key), 201);
    expect(archived).toMatchObject({ session_id, status: 'archived' });
  });

  it('makes nothing new when what it made is deleted', async () => {
    const { session_id } = expectOk(await api.post(SESSIONS, {}, key), 201);
    await api.delete(at(session_id));
    expectRefused(await api.post(SESSIONS, {}, key), 404, 'session_deleted');
    expect(await countSessions()).toBe(1);
    await api.post(at(session_id, '/restore'));
    expect(expectReplay(await api.post(SESSIONS, {}, key), 201).session_id).toBe(session_id);
  });

  it('makes nothing new when what it made is gone for good', async () => {
    const { session_id } = expectOk(await api.post(SESSIONS, {}, key), 201);
    await api.delete(at(session_id, '?permanent=true'));
    expectRefused(await api.post(SESSIONS, {}, key), 404, 'session_not_found');
    expect(await countSessions()).toBe(0);
  });

  it('follows the session it made to its new id', async () => {
    const body = { session_id: fresh('passed-on'), title: 'first' };
    expectOk(await api.post(SESSIONS, body, key), 201);
    await api.delete(at(body.session_id));
    await create(api, { session_id: body.session_id, title: 'second' });
    expectRefused(await api.post(SESSIONS, body, key), 404, 'session_deleted');
  });

  it('belongs to its caller', async () => {
    const others = [app.api.as(fresh()), service.as(user), app.api.service(`${SERVICE_KEY}-2`).as(user)];
    const mine = expectOk(await api.post(SESSIONS, {}, key), 201);
    for (const other of others) {
      const answer = await other.post(SESSIONS, { title: 'other' }, key);
      expect(isReplay(answer)).toBe(false);
      expect(expectOk(answer, 201).session_id).not.toBe(mine.session_id);
    }
  });

  it('belongs to its path', async () => {
    const made = expectOk(await api.post(SESSIONS, {}, key), 201);
    const resumed = await api.post(RESUME, {}, key);
    expect(isReplay(resumed)).toBe(false);
    expect(expectOk(resumed).session_id).toBe(made.session_id);
    for (const verb of ['pause', 'resume', 'archive', 'restore']) {
      const answer = await api.post(at(made.session_id, `/${verb}`), undefined, key);
      expect([answer.status, isReplay(answer)]).toEqual([200, false]);
    }
    const other = await create(api);
    const answer = await api.post(at(other.session_id, '/pause'), undefined, key);
    expect([answer.body.status, isReplay(answer)]).toEqual(['paused', false]);
  });

  it('is the same path with and without the prefix, and with a slash', async () => {
    const session = expectOk(await api.post(SESSIONS, {}, key), 201);
    for (const path of ['/sessions', '/sessions/', '/api/v1/sessions/']) {
      expect(expectReplay(await api.post(path, {}, key), 201)).toEqual(session);
    }
  });

  it('stays free when the request fails', async () => {
    const { session_id } = await create(api, { session_id: fresh('taken') });
    expectRefused(await api.post(SESSIONS, { session_id }, key), 409, 'session_id_taken');
    expectRefused(await api.post(SESSIONS, { timeout_minutes: 525_601 }, key), 422, 'invalid');
    expectRefused(await api.post(SESSIONS, { unheard_of: 1 }, key), 422, 'invalid');
    expectRefused(await api.post(SESSIONS, { user_id: 'else' }, key), 403, 'forbidden');
    const large = { context: { x: 'x'.repeat(256 * 1024) } };
    expectRefused(await api.post(SESSIONS, large, key), 413, 'too_large');
    expect(isReplay(expectOkAnswer(await api.post(SESSIONS, {}, key), 201))).toBe(false);
  });

  it.each([2, 20])('makes one session of %i twins at once', async (twins) => {
    const answers = await atOnce(twins, () => api.post(SESSIONS, { title: 'x' }, key));
    expect(answers.map((a) => a.status)).toEqual(Array(twins).fill(201));
    expect(new Set(answers.map((a) => a.body.session_id)).size).toBe(1);
    expect(answers.filter((a) => !isReplay(a))).toHaveLength(1);
    expect(await countSessions()).toBe(1);
  });

  it('takes one of two different bodies at once', async () => {
    for (let round = 0; round < 10; round++) {
      const own = { 'idempotency-key': fresh('key') };
      const answers = await atOnce(2, (i) => api.post(SESSIONS, { title: `body ${i}` }, own));
      expect(answers.map((a) => a.status).sort()).toEqual([201, 422]);
    }
  });

  it.each(['', 'ä', 'x'.repeat(256), 'a\tb'])('refuses the key %.20j', async (bad) => {
    const header = Buffer.from(bad, 'utf8').toString('latin1');
    expectRefused(await api.post(SESSIONS, {}, { 'idempotency-key': header }), 422, 'invalid');
  });

  it.each(['x', 'x'.repeat(255), 'a b"c\\d,e;f', '00000000-0000-0000-0000-000000000000'])(
    'takes the key %.20s',
    async (text) => {
      const header = { 'idempotency-key': text };
      const { session_id } = expectOk(await api.post(SESSIONS, {}, header), 201);
      expect(expectReplay(await api.post(SESSIONS, {}, header), 201).session_id).toBe(session_id);
    },
  );

  it('keeps no content beside the key', async () => {
    expectOk(await api.post(SESSIONS, { title: 'CONFIDENTIAL' }, key), 201);
    const { rows } = await app.database.pool.query('select to_jsonb(k)::text as row from idempotency_keys k');
    for (const { row } of rows) expect(row).not.toMatch(/CONFIDENTIAL/);
  });
});

function expectOkAnswer(answer: Answer, status: number): Answer {
  expectOk(answer, status);
  return answer;
}

it('a cursor through a session is not one through the next that has its id', async () => {
  const { session_id } = await create(api, { session_id: fresh('passed-on') });
  const fill = async () => {
    for (let n = 0; n < 3; n++) {
      await api.post(at(session_id, '/messages'), { role: 'assistant', content: `${n}` });
      await api.post(at(session_id, '/checkpoints'), { checkpoint: { n } });
    }
  };
  await fill();
  const lists = ['/messages', '/checkpoints', '/events'].map((list) => at(session_id, `${list}?limit=1`));
  const cursors = [];
  for (const list of lists) cursors.push(expectOk(await api.get(list)).next_cursor);
  for (const [i, list] of lists.entries()) expectOk(await api.get(`${list}&cursor=${cursors[i]}`));
  await api.delete(at(session_id));
  await create(api, { session_id });
  await fill();
  for (const [i, list] of lists.entries())
    expectRefused(await api.get(`${list}&cursor=${cursors[i]}`), 400, 'invalid_cursor');
});

describe('a transition with Idempotency-Key', () => {
  const CASES = [
    { verb: 'pause', from: 'active', to: 'paused', next: 'resume', after: 'active' },
    { verb: 'resume', from: 'paused', to: 'active', next: 'complete', after: 'completed' },
    { verb: 'complete', from: 'active', to: 'completed', next: 'resume', after: 'active' },
    { verb: 'crash', from: 'active', to: 'crashed', next: 'archive', after: 'archived' },
    { verb: 'archive', from: 'active', to: 'archived', next: 'restore', after: 'active' },
    { verb: 'restore', from: 'archived', to: 'active', next: 'archive', after: 'archived' },
  ];

  it.each(CASES)(
    '$verb has its effect once, whatever came since',
    async ({ verb, from, to, next, after }) => {
      const { session_id } = await create(api, { status: from });
      const first = await api.post(at(session_id, `/${verb}`), undefined, key);
      expect([first.status, first.body.status, isReplay(first)]).toEqual([200, to, false]);
      expectOk(await api.post(at(session_id, `/${next}`)));
      const events = await eventTypes(api, session_id);
      const again = await api.post(at(session_id, `/${verb}`), undefined, key);
      expect(expectReplay(again, 200)).toEqual(await read(api, session_id));
      expect(again.body.status).toBe(after);
      expect(again.headers.get('etag')).toBe(`"${again.body.version}"`);
      expect(await eventTypes(api, session_id)).toEqual(events);
    },
  );

  it('checks access before the replay', async () => {
    const { session_id } = await create(api);
    const editor = fresh('editor');
    await share(app, session_id, editor, 'editor');
    const asEditor = app.api.as(editor);
    expectOk(await asEditor.post(at(session_id, '/pause'), undefined, key));
    await share(app, session_id, editor, 'viewer');
    expectRefused(await asEditor.post(at(session_id, '/pause'), undefined, key), 403, 'forbidden');
    await api.delete(at(session_id, `/share/${editor}`));
    expectRefused(await asEditor.post(at(session_id, '/pause'), undefined, key), 404, 'session_not_found');
  });

  it('leaves the key free when it is refused', async () => {
    const { session_id } = await create(api, { status: 'completed' });
    expectRefused(await api.post(at(session_id, '/pause'), undefined, key), 409, 'invalid_transition');
    expectOk(await api.post(at(session_id, '/resume')));
    const answer = await api.post(at(session_id, '/pause'), undefined, key);
    expect([answer.body.status, isReplay(answer)]).toEqual(['paused', false]);
  });

  it('brings a deleted session back once', async () => {
    const { session_id } = await create(api);
    await api.delete(at(session_id));
    expectOk(await api.post(at(session_id, '/restore'), undefined, key));
    await api.delete(at(session_id));
    const again = await api.post(at(session_id, '/restore'), undefined, key);
    expect(expectReplay(again, 200).status).toBe('deleted');
  });

  it('is told apart from one on the next session with that id', async () => {
    const { session_id } = await create(api, { session_id: fresh('passed-on') });
    expectOk(await api.post(at(session_id, '/pause'), undefined, key));
    await api.delete(at(session_id));
    await create(api, { session_id });
    const answer = await api.post(at(session_id, '/pause'), undefined, key);
    expect([answer.body.status, isReplay(answer)]).toEqual(['paused', false]);
  });

  it('waits for its running twins', async () => {
    const { session_id } = await create(api);
    const answers = await atOnce(20, () => api.post(at(session_id, '/pause'), undefined, key));
    expect(answers.map((a) => [a.status, a.body.version])).toEqual(Array(20).fill([200, 2]));
    expect(answers.filter((a) => !isReplay(a))).toHaveLength(1);
    expect(await eventTypes(api, session_id)).toEqual([
      'session.created',
      'session.updated',
      'session.paused',
    ]);
  });
});

describe('going on with the most recent session', () => {
  it('finds none, or makes one', async () => {
    expectRefused(await api.post(RESUME, {}), 404, 'session_not_found');
    expectRefused(await api.post(RESUME, { create: false }), 404, 'session_not_found');
    const body = { client_id: 'web', agent_id: 'a', session_type: 'research', create: true };
    const made = await api.post(RESUME, body);
    expect(expectOk(made, 201)).toMatchObject({
      client_id: 'web',
      agent_id: 'a',
      session_type: 'research',
      user_id: user,
      status: 'active',
      version: 1,
    });
    expect(made.headers.get('etag')).toBe('"1"');
    await silence(app.database, made.body.session_id, 60);
    const found = expectOk(await api.post(RESUME, body));
    const { last_activity, last_activity_at, expires_at, created_at } = found;
    expect(found).toEqual({ ...made.body, last_activity, last_activity_at, expires_at, created_at });
    expect(Date.parse(last_activity) - Date.parse(created_at)).toBeGreaterThan(59_000);
  });

  it('takes the one that was active last', async () => {
    const a = await create(api);
    const b = await create(api);
    expect(expectOk(await api.post(RESUME, {})).session_id).toBe(b.session_id);
    await app.database.pool.query(
      `update sessions set last_activity_at = now() + interval '1 s' where id = $1`,
      [a.session_id],
    );
    expect(expectOk(await api.post(RESUME, {})).session_id).toBe(a.session_id);
  });

  it('matches every member it is given', async () => {
    const made: Record<string, string> = {};
    for (const client_id of ['web', 'app'])
      for (const agent_id of ['a', 'b'])
        for (const session_type of ['chat', 'job']) {
          const { session_id } = await create(api, { client_id, agent_id, session_type });
          made[`${client_id} ${agent_id} ${session_type}`] = session_id;
        }
    for (const [names, session_id] of Object.entries(made)) {
      const [client_id, agent_id, session_type] = names.split(' ');
      expect(expectOk(await api.post(RESUME, { client_id, agent_id, session_type })).session_id).toBe(
        session_id,
      );
    }
    const expected: [object, string][] = [
      [{}, 'app b job'],
      [{ client_id: 'web' }, 'web b job'],
      [{ agent_id: 'a' }, 'app a job'],
      [{ session_type: 'chat' }, 'app b chat'],
      [{ client_id: 'web', session_type: 'chat' }, 'web b chat'],
      [{ client_id: 'web', agent_id: 'a' }, 'web a job'],
    ];
    for (const [body, names] of expected) {
      expect(expectOk(await api.post(RESUME, body)).session_id).toBe(made[names]);
    }
    for (const body of [{ client_id: 'WEB' }, { agent_id: 'c' }, { session_type: 'conversation' }]) {
      expectRefused(await api.post(RESUME, body), 404, 'session_not_found');
    }
  });

  it('makes a paused one active, and tells so', async () => {
    const { session_id } = await create(api, { status: 'paused', timeout_minutes: 5 });
    const answer = await api.post(RESUME, {});
    expect(expectOk(answer)).toMatchObject({ session_id, status: 'active', version: 2 });
    expect(answer.headers.get('etag')).toBe('"2"');
    expect(await eventTypes(api, session_id)).toEqual([
      'session.created',
      'session.updated',
      'session.resumed',
    ]);
  });

  it.each(['completed', 'crashed', 'archived'])('passes over one that is %s', async (status) => {
    await create(api, { status });
    expectRefused(await api.post(RESUME, {}), 404, 'session_not_found');
  });

  it('passes over deleted, expired, others’ and shared ones', async () => {
    const deleted = await create(api);
    await api.delete(at(deleted.session_id));
    const expired = await create(api, { timeout_minutes: 1 });
    await runOut(app.database, expired.session_id);
    const others = await create(app.api.as(fresh()));
    await share(app, others.session_id, user, 'manager');
    expectRefused(await api.post(RESUME, {}), 404, 'session_not_found');
  });

  it('does so for the user a service names', async () => {
    const { session_id } = await create(api);
    expect(expectOk(await service.post(RESUME, { user_id: user })).session_id).toBe(session_id);
    const made = expectOk(await service.post(RESUME, { user_id: fresh(), create: true }), 201);
    expect(made.session_id).not.toBe(session_id);
    const agent_id = fresh('agent');
    const agents = expectOk(await service.post(RESUME, { agent_id, create: true }), 201);
    expect(agents).toMatchObject({ agent_id, user_id: null });
    expect(expectOk(await service.post(RESUME, { agent_id })).session_id).toBe(agents.session_id);
  });

  it('refuses to act for others, or for nobody', async () => {
    expectRefused(await api.post(RESUME, { user_id: 'else' }), 403, 'forbidden');
    expectRefused(await service.post(RESUME, { create: true }), 422, 'owner_required');
  });

  it.each([
    ['client_id', ''],
    ['agent_id', 5],
    ['session_type', ''],
    ['create', 'yes'],
    ['title', 'x'],
  ])('refuses the %s %j', async (member, value) => {
    expectRefused(await api.post(RESUME, { [member]: value }), 422, 'invalid');
  });

  it('makes one session of 20 who ask at once', async () => {
    const answers = await atOnce(20, () => api.post(RESUME, { client_id: 'web', create: true }));
    expect(answers.map((a) => a.status).sort()).toEqual([...Array(19).fill(200), 201]);
    expect(new Set(answers.map((a) => a.body.session_id)).size).toBe(1);
    expect(await countSessions()).toBe(1);
  });

  it('makes one of those who ask for less and for more at once', async () => {
    for (let round = 0; round < 10; round++) {
      const own = app.api.as(fresh());
      await Promise.all([
        own.post(RESUME, { agent_id: 'a', create: true }),
        own.post(RESUME, { agent_id: 'a', client_id: 'web', create: true }),
        own.post(RESUME, { agent_id: 'a', create: true }),
      ]);
      const { sessions } = expectOk(await own.get(SESSIONS));
      // whoever asks for more may need one of its own; those who ask for less never make a second one
      expect(sessions.length).toBeLessThanOrEqual(2);
      expect(sessions.filter((s: { client_id: string }) => s.client_id === null).length).toBeLessThanOrEqual(
        1,
      );
    }
  });

  it('wakes a paused one once for 20 who ask at once', async () => {
    const { session_id } = await create(api, { status: 'paused' });
    const answers = await atOnce(20, () => api.post(RESUME, {}));
    for (const answer of answers)
      expect(expectOk(answer)).toMatchObject({ session_id, status: 'active', version: 2 });
  });

  it('takes an Idempotency-Key', async () => {
    const body = { client_id: 'web', create: true };
    const made = expectOk(await api.post(RESUME, body, key), 201);
    expect(expectReplay(await api.post(RESUME, body, key), 201)).toEqual(made);
    await api.post(at(made.session_id, '/archive'));
    expect(expectReplay(await api.post(RESUME, body, key), 201)).toMatchObject({
      session_id: made.session_id,
      status: 'archived',
    });
    expectRefused(await api.post(RESUME, { client_id: 'app', create: true }, key), 422, 'key_reused');
    expect(await countSessions()).toBe(1);
  });

  it('leaves the key free when nothing matched', async () => {
    expectRefused(await api.post(RESUME, {}, key), 404, 'session_not_found');
    const { session_id } = await create(api);
    const answer = await api.post(RESUME, {}, key);
    expect([answer.body.session_id, isReplay(answer)]).toEqual([session_id, false]);
  });
});
