import { Sweeps } from '../../src/jobs/sweeps.js';
import type { Answer, Api } from '../setup/api.js';
import { SERVICE_KEY, startApp, type TestApp } from '../setup/app.js';
import { eventually } from '../setup/eventually.js';
import {
  append,
  at,
  atOnce,
  create,
  eventsOf,
  eventTypes,
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

const EVENTS = '/api/v1/events';

// biome-ignore lint/suspicious/noExplicitAny: events as answered
type Event = any;

let app: TestApp;
let user: string;
let api: Api;
let service: Api;
let id: string;

beforeAll(async () => {
  app = await startApp();
  service = app.api.service(SERVICE_KEY);
});
afterAll(() => app.close());
beforeEach(async () => {
  user = fresh();
  api = app.api.as(user);
  id = (await create(api, { session_id: fresh('session'), agent_id: 'agent', timeout_minutes: 60 }))
    .session_id;
});

const say = (content = 'x') => ({ role: 'user', content });
const told = (events: Event[]) => events.map((e) => [e.event_type, e.payload]);

/** All events the caller may see. */
const allEvents = (caller: Api): Promise<Event[]> => walkByCursor(caller, EVENTS, 'events', { limit: 200 });

const whenCount = (caller: Api, count: number) =>
  eventually(
    () => allEvents(caller),
    (seen) => seen.length >= count,
  );

describe('each change tells', () => {
  const updated = (status: string, ...updates: string[]) => [
    'session.updated',
    { agent_id: 'agent', status, updates },
  ];
  const changed = (status: string, type: string) => [type, { agent_id: 'agent', status }];
  const move = (status: string, type: string) => [updated(status, 'status'), changed(status, type)];
  const call = { role: 'assistant', tool_calls: [{ id: 'c' }] };

  const CASES: {
    name: string;
    before?: () => Promise<unknown>;
    change: () => Promise<Answer | unknown>;
    events: unknown[];
  }[] = [
    {
      name: 'PATCH of a field',
      change: () => api.patch(at(id), { title: 'T' }),
      events: [updated('active', 'title')],
    },
    {
      name: 'PUT of a field',
      change: () => api.put(at(id), { tags: ['a'] }),
      events: [updated('active', 'tags')],
    },
    {
      name: 'an edit of nothing',
      change: () => api.patch(at(id), { status: 'active', tags: [], agent_id: 'agent' }),
      events: [],
    },
    {
      name: 'an edit that is refused',
      change: () => api.patch(at(id), { title: 'T', metadata: { x: 'x'.repeat(300_000) } }),
      events: [],
    },
    { name: 'pause', change: () => api.post(at(id, '/pause')), events: move('paused', 'session.paused') },
    {
      name: 'complete',
      change: () => api.post(at(id, '/complete')),
      events: move('completed', 'session.completed'),
    },
    { name: 'crash', change: () => api.post(at(id, '/crash')), events: move('crashed', 'session.crashed') },
    {
      name: 'archive',
      change: () => api.post(at(id, '/archive')),
      events: move('archived', 'session.archived'),
    },
    { name: 'deletion', change: () => api.delete(at(id)), events: move('deleted', 'session.deleted') },
    {
      name: 'PATCH of status',
      change: () => api.patch(at(id), { status: 'paused' }),
      events: move('paused', 'session.paused'),
    },
    {
      name: 'resume after pause',
      before: () => api.post(at(id, '/pause')),
      change: () => api.post(at(id, '/resume')),
      events: move('active', 'session.resumed'),
    },
    {
      name: 'resume after completion',
      before: () => api.post(at(id, '/complete')),
      change: () => api.post(at(id, '/resume')),
      events: move('active', 'session.resumed'),
    },
    {
      name: 'resume after a crash',
      before: () => api.post(at(id, '/crash')),
      change: () => api.post(at(id, '/resume')),
      events: move('active', 'session.recovered'),
    },
    {
      name: 'resume by POST /sessions/resume',
      before: () => api.post(at(id, '/pause')),
      change: () => api.post('/api/v1/sessions/resume', {}),
      events: move('active', 'session.resumed'),
    },
    {
      name: 'restore from the archive',
      before: async () => {
        await api.post(at(id, '/complete'));
        await api.post(at(id, '/archive'));
      },
      change: () => api.post(at(id, '/restore')),
      events: move('completed', 'session.restored'),
    },
    {
      name: 'status: active from the archive',
      before: () => api.post(at(id, '/archive')),
      change: () => api.patch(at(id), { status: 'active' }),
      events: move('active', 'session.restored'),
    },
    {
      name: 'restore of a deleted session',
      before: async () => {
        await api.post(at(id, '/pause'));
        await api.delete(at(id));
      },
      change: () => api.post(at(id, '/restore')),
      events: move('paused', 'session.restored'),
    },
    {
      name: 'restore of a session that was archived when it was deleted',
      before: async () => {
        await api.post(at(id, '/archive'));
        await api.delete(at(id));
      },
      change: () => api.post(at(id, '/restore')),
      events: move('archived', 'session.restored'),
    },
    {
      name: 'restore after expiry',
      before: () => runOut(app.database, id),
      change: () => api.post(at(id, '/restore')),
      events: [...move('deleted', 'session.expired'), ...move('active', 'session.restored')],
    },
    {
      name: 'a state it is in already',
      before: () => api.post(at(id, '/pause')),
      change: () => api.post(at(id, '/pause')),
      events: [],
    },
    {
      name: 'a transition that is refused',
      before: () => api.post(at(id, '/complete')),
      change: () => service.patch(at(id), { status: 'deleted' }),
      events: [],
    },
    {
      name: 'deletion again',
      before: () => api.delete(at(id)),
      change: () => api.delete(at(id)),
      events: [],
    },
    {
      name: 'the first user message',
      change: () => append(api, id, say()),
      events: [['message.appended', { from_seq: 1, to_seq: 1 }], updated('active', 'title')],
    },
    {
      name: 'the next message',
      before: () => append(api, id, say()),
      change: () => append(api, id, say()),
      events: [['message.appended', { from_seq: 2, to_seq: 2 }]],
    },
    {
      name: 'a batch',
      before: () => append(api, id, { role: 'system', content: 'x' }),
      change: () =>
        append(api, id, {
          messages: [call, { role: 'tool', tool_call_id: 'c', content: 'x' }, say(), say()],
        }),
      events: [['message.appended', { from_seq: 2, to_seq: 5 }], updated('active', 'title')],
    },
    {
      name: 'a message without title',
      change: () => append(api, id, { role: 'assistant', content: 'x' }),
      events: [['message.appended', { from_seq: 1, to_seq: 1 }]],
    },
    {
      name: 'a message in a paused session',
      before: () => api.post(at(id, '/pause')),
      change: () => append(api, id, say()),
      events: [['message.appended', { from_seq: 1, to_seq: 1 }], updated('paused', 'title')],
    },
    {
      name: 'a legal hold',
      change: () => service.patch(at(id), { legal_hold: true }),
      events: [updated('active', 'legal_hold')],
    },
  ];

  it.each(CASES)('$name', async ({ before, change, events }) => {
    await before?.();
    const seen = await eventsOf(api, id);
    await change();
    const after = await eventsOf(api, id);
    expect(after.slice(0, seen.length)).toEqual(seen);
    expect(told(after.slice(seen.length))).toEqual(events);
    expect(after.map((e) => e.seq)).toEqual(after.map((_, i) => i + 1));
  });

  it('names every field of an edit, and its state', async () => {
    const body = {
      title: 'T',
      description: 'd',
      session_type: 's',
      status: 'paused',
      tags: ['a'],
      context: { a: 1 },
      metadata: { a: 1 },
      configuration: { a: 1 },
      conversation_data: { a: 1 },
      runtime_metadata: { a: 1 },
      checkpoint: { a: 1 },
      runtime_backend: 'local',
      client_id: 'c',
      agent_id: 'new-agent',
      timeout_minutes: 5,
      heartbeat_timeout_seconds: 60,
      auto_recover: true,
    };
    await api.patch(at(id), body);
    const [, fields, saved, state, ...rest] = await eventsOf(api, id);
    expect(fields.payload.updates.sort()).toEqual(Object.keys(body).sort());
    expect(fields.payload).toMatchObject({ agent_id: 'new-agent', status: 'paused' });
    expect(told([saved])).toEqual([['checkpoint.saved', { n: 1 }]]);
    expect(told([state])).toEqual([['session.paused', { agent_id: 'new-agent', status: 'paused' }]]);
    expect(rest).toEqual([]);
  });

  it('its making', async () => {
    expect(told(await eventsOf(api, id))).toEqual([
      ['session.created', { agent_id: 'agent', session_type: 'conversation', runtime_backend: 'unknown' }],
    ]);
    const other = await create(service, { agent_id: 'a', session_type: 'job', runtime_backend: 'local' });
    expect(told(await eventsOf(service, other.session_id))).toEqual([
      ['session.created', { agent_id: 'a', session_type: 'job', runtime_backend: 'local' }],
    ]);
  });

  it('giving up its id', async () => {
    await api.delete(at(id));
    await create(api, { session_id: id });
    const { sessions } = expectOk(await api.get('/api/v1/sessions?status=deleted'));
    const old = await eventsOf(api, sessions[0].session_id);
    expect(old.map((e) => e.aggregate_id)).toEqual(Array(4).fill(sessions[0].session_id));
    const [type, payload] = updated('deleted', 'session_id') as [string, object];
    expect(told(old).at(-1)).toEqual([type, { ...payload, session_id: id }]);
    expect(await eventTypes(api, id)).toEqual(['session.created']);
  });
});

describe('an event', () => {
  it('has these members', async () => {
    await append(api, id, say());
    const [first, second] = await eventsOf(api, id);
    expect(second).toEqual({
      event_id: expect.stringMatching(/^[0-9a-f-]{36}$/),
      event_type: 'message.appended',
      aggregate_type: 'session',
      aggregate_id: id,
      seq: 2,
      payload: { from_seq: 1, to_seq: 1 },
      timestamp: expect.stringMatching(TIME),
    });
    expect(second.event_id).not.toBe(first.event_id);
    expect(second.timestamp >= first.timestamp).toBe(true);
  });

  it('holds no content', async () => {
    const secret = 'CONFIDENTIAL';
    const document = { [secret]: secret };
    const body = {
      title: secret,
      description: secret,
      tags: [secret],
      context: document,
      metadata: document,
      configuration: document,
      conversation_data: document,
      runtime_metadata: document,
      checkpoint: document,
    };
    const session = (await create(api, body)).session_id;
    await api.put(at(session), { ...body, title: `${secret} 2`, context: { other: secret } });
    await api.patch(at(session), { metadata: { more: secret }, checkpoint: { more: secret } });
    await append(api, session, {
      messages: [
        { ...say(secret), metadata: document, name: secret },
        { role: 'assistant', tool_calls: [{ id: 'c', function: { name: secret, arguments: secret } }] },
        { role: 'tool', tool_call_id: 'c', content: secret },
      ],
    });
    for (const verb of ['pause', 'resume', 'archive', 'restore']) await api.post(at(session, `/${verb}`));
    await append(api, id, say(secret));
    expect((await read(api, id)).title).toBe(secret);
    for (const one of [session, id]) {
      expect(JSON.stringify(await eventsOf(api, one))).not.toContain(secret);
    }
    const { rows } = await app.database.pool.query('select e::text as row from events e');
    for (const { row } of rows) expect(row).not.toContain(secret);
  });

  it('is numbered without gaps when writers meet', async () => {
    await atOnce(30, (i) =>
      i % 3 === 0
        ? api.post(at(id, '/messages'), say(`${i}`))
        : i % 3 === 1
          ? api.patch(at(id), { metadata: { [i]: i } })
          : api.post(at(id, i % 2 ? '/pause' : '/resume')),
    );
    const events = await eventsOf(api, id);
    expect(events.map((e) => e.seq)).toEqual(events.map((_, i) => i + 1));
    expect(events.filter((e) => e.event_type === 'message.appended').map((e) => e.payload.from_seq)).toEqual(
      Array.from({ length: 10 }, (_, i) => i + 1),
    );
    const times = events.map((e) => e.timestamp);
    expect([...times].sort()).toEqual(times);
  });
});

describe('the events of a session', () => {
  beforeEach(async () => {
    for (let i = 0; i < 9; i++) await append(api, id, { role: 'assistant', content: `${i}` });
  });

  const list = async (params: object = {}) =>
    expectOk(await api.get(at(id, `/events${query({ ...params })}`)));
  const seqs = (page: Event) => page.events.map((e: Event) => e.seq);

  it('are paged oldest first', async () => {
    expect(await list()).toMatchObject({ limit: 50, next_cursor: null, has_more: false });
    expect(seqs(await list())).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    for (const limit of [1, 3, 10]) {
      const walked = await walkByCursor(api, at(id, '/events'), 'events', { limit });
      expect(walked).toEqual(await eventsOf(api, id));
    }
    expect((await list({ limit: 5000 })).limit).toBe(200);
  });

  it('go on after a seq', async () => {
    expect(seqs(await list({ after: 0 }))).toHaveLength(10);
    expect(seqs(await list({ after: 7 }))).toEqual([8, 9, 10]);
    expect(seqs(await list({ after: 7, limit: 2 }))).toEqual([8, 9]);
    expect(await list({ after: 10 })).toMatchObject({ events: [], has_more: false, next_cursor: null });
    expectRefused(await api.get(at(id, '/events?after=11')), 400, 'invalid_cursor');
  });

  it('take no place of another stream', async () => {
    const other = await create(api);
    await append(api, other.session_id, say());
    const foreign = expectOk(await api.get(at(other.session_id, '/events?limit=1'))).next_cursor;
    const { position } = await eventually(
      async () => expectOk(await api.get(`${EVENTS}?limit=1`)),
      (page) => page.events.length === 1,
    );
    const messages = expectOk(await api.get(at(id, '/messages?limit=1'))).next_cursor;
    for (const cursor of [foreign, position, messages, 'x', '5']) {
      expectRefused(await api.get(at(id, `/events${query({ cursor })}`)), 400, 'invalid_cursor');
    }
    for (const after of [foreign, position, messages, 'x', '-1', '1.5', '9'.repeat(30), '']) {
      expectRefused(await api.get(at(id, `/events${query({ after })}`)), 400, 'invalid_cursor');
    }
  });

  it.each(['limit=0', 'limit=x', 'order=desc', 'unheard_of=1', 'offset=1'])('refuse ?%s', async (text) => {
    expectRefused(await api.get(at(id, `/events?${text}`)), 422, 'invalid');
  });

  it('are read by everybody who may read the session, and by nobody else', async () => {
    for (const role of ['viewer', 'editor', 'manager']) {
      const member = fresh(role);
      await share(app, id, member, role);
      expect(await eventsOf(app.api.as(member), id)).toEqual(await eventsOf(api, id));
      await api.delete(at(id, `/share/${member}`));
      expectRefused(await app.api.as(member).get(at(id, '/events')), 404, 'session_not_found');
    }
    expect(await eventsOf(service, id)).toEqual(await eventsOf(api, id));
    expectRefused(await app.api.as(fresh()).get(at(id, '/events')), 404, 'session_not_found');
    expectRefused(await api.get(at('no-such-session', '/events')), 404, 'session_not_found');
  });

  it('are read when it is deleted or expired, not when it is gone for good', async () => {
    await api.delete(at(id));
    expect((await eventTypes(api, id)).at(-1)).toBe('session.deleted');
    await api.post(at(id, '/restore'));
    await runOut(app.database, id);
    expect(await eventsOf(api, id)).toHaveLength(14);
    await api.delete(at(id, '?permanent=true'));
    for (const caller of [api, service])
      expectRefused(await caller.get(at(id, '/events')), 404, 'session_not_found');
  });
});

describe('the events of all sessions', () => {
  it('come in order for each session, each once', async () => {
    const ids = [id, ...(await atOnce(4, async () => (await create(api)).session_id))];
    await atOnce(60, (i) => api.post(at(ids[i % 5]!, '/messages'), { role: 'assistant', content: `${i}` }));
    await whenCount(api, 65);
    for (const limit of [1, 7, 1000]) {
      const events = await walkByCursor(api, EVENTS, 'events', { limit });
      expect(events).toHaveLength(65);
      for (const one of ids) {
        const own = events.filter((e) => e.aggregate_id === one);
        expect(own).toEqual(await eventsOf(api, one));
      }
    }
  });

  it('are missed by no reader who follows while writers write', async () => {
    const ids = [id, ...(await atOnce(3, async () => (await create(api)).session_id))];
    const following = follow(api, 4 + 80);
    await atOnce(8, async (writer) => {
      for (let i = 0; i < 10; i++) {
        const path = at(ids[(writer + i) % 4]!, '/messages');
        expectOk(await api.post(path, { role: 'assistant', content: `${writer}.${i}` }), 201);
      }
    });
    const events = await following;
    expect(new Set(events.map((e) => e.event_id)).size).toBe(84);
    for (const one of ids) {
      expect(events.filter((e) => e.aggregate_id === one)).toEqual(await eventsOf(api, one));
    }
  });

  /** Reads on from position to position until so many events were seen. */
  async function follow(caller: Api, count: number): Promise<Event[]> {
    const seen: Event[] = [];
    let after: string | null = null;
    await eventually(
      async () => {
        const page: Event = expectOk(await caller.get(EVENTS + query({ limit: 5, ...(after && { after }) })));
        seen.push(...page.events);
        after = page.position;
        return seen;
      },
      () => seen.length >= count,
    );
    return seen;
  }

  it('are looked at 10,000 at a time: who sees few of them comes on', async () => {
    const crowded = await startApp();
    try {
      const { session_id: foreign } = await create(crowded.api.as(fresh()));
      await crowded.database.pool.query(
        `insert into events (aggregate_key, seq, event_type, payload, tx, created_at)
         select key, n, 'message.appended', '{}', event_tx, now() from sessions, generate_series(1000, 25000) n where id = $1`,
        [foreign],
      );
      const mine = crowded.api.as(user);
      const { session_id: own } = await create(mine);
      const pages: Event[] = [];
      for (let after: string | undefined; pages.at(-1)?.events.length !== 1; after = pages.at(-1).position) {
        const page = await eventually(
          async () => expectOk(await mine.get(EVENTS + query({ ...(after && { after }) }))),
          ({ has_more, events }) => has_more || events.length > 0,
        );
        expect(page.next_cursor).toBe(page.has_more ? page.position : null);
        pages.push(page);
      }
      expect(pages.map((page) => page.events.length)).toEqual([0, 0, 1]);
      expect(pages[2].events[0].aggregate_id).toBe(own);
    } finally {
      await crowded.close();
    }
  });

  it('go on when the database was restored to a server that has counted fewer transactions', async () => {
    const moved = await startApp();
    try {
      const mine = moved.api.as(user);
      const bySession = (events: Event[]) => events.map((e) => [e.aggregate_id, e.seq]);
      await create(mine, { session_id: 'old' });
      const before = await eventually(
        () => allEvents(mine),
        (events) => events.length === 1,
      );
      const { position } = expectOk(await mine.get(EVENTS));
      for (const column of ['events.tx', 'sessions.event_tx', 'stream_positions.tx']) {
        const [table, name] = column.split('.');
        await moved.database.pool.query(`update ${table} set ${name} = ${name} + 1000000`);
      }
      const reached = positionLater(position, 1_000_000);
      const restarted = await startApp({}, moved);
      const again = restarted.api.as(user);
      await append(again, 'old', { role: 'assistant', content: 'x' });
      await create(again, { session_id: 'new' });
      const later = await eventually(
        async () => expectOk(await again.get(EVENTS + query({ after: reached }))).events,
        (events) => events.length === 2,
      );
      expect(bySession(later)).toEqual([
        ['old', 2],
        ['new', 1],
      ]);
      expect(bySession(await allEvents(again))).toEqual(bySession([...before, ...later]));
      const all = expectOk(await restarted.api.service(SERVICE_KEY).get('/api/v1/sessions'));
      await eventually(
        async () => {
          await restarted.app.get(Sweeps).run();
          return expectOk(await restarted.api.service(SERVICE_KEY).get('/api/v1/sessions/stats'));
        },
        (stats) => stats.total_sessions === all.sessions.length && stats.total_messages === 1,
      );
      await restarted.close();
    } finally {
      await moved.close();
    }
  });

  /** What this place would be called, had the server counted so many transactions more. */
  function positionLater(position: string, by: number): string {
    const [digest, [tx, n]] = JSON.parse(Buffer.from(position, 'base64url').toString());
    return Buffer.from(JSON.stringify([digest, [tx + by, n]])).toString('base64url');
  }

  it('tell a position at the end too, to go on from', async () => {
    await whenCount(api, 1);
    const first = expectOk(await api.get(EVENTS));
    expect(first).toMatchObject({ has_more: false, next_cursor: null, limit: 50 });
    const again = expectOk(await api.get(EVENTS + query({ after: first.position })));
    expect(again).toMatchObject({ events: [], has_more: false, position: first.position });
    await append(api, id, { role: 'assistant', content: 'x' });
    const after = EVENTS + query({ after: first.position });
    const page = await eventually(
      async () => expectOk(await api.get(after)),
      (p) => p.events.length > 0,
    );
    expect(page.events.map((e: Event) => e.event_type)).toEqual(['message.appended']);
    expect(page.position).not.toBe(first.position);
  });

  it('begin anew for a user who has none yet', async () => {
    const nobody = app.api.as(fresh());
    const empty = expectOk(await nobody.get(EVENTS));
    expect(empty).toMatchObject({ events: [], has_more: false, next_cursor: null });
    await create(nobody);
    await eventually(
      async () => expectOk(await nobody.get(EVENTS + query({ after: empty.position }))).events.length,
      (count) => count === 1,
    );
  });

  it('take no place of another stream', async () => {
    await append(api, id, say());
    const sessions = expectOk(await api.get('/api/v1/sessions?limit=1')).next_cursor ?? 'x';
    const foreign = expectOk(await api.get(at(id, '/events?limit=1'))).next_cursor;
    expect(foreign).not.toBeNull();
    for (const place of [sessions, foreign, 'x', '5', '', 'bnVsbA']) {
      expectRefused(await api.get(EVENTS + query({ cursor: place })), 400, 'invalid_cursor');
      expectRefused(await api.get(EVENTS + query({ after: place })), 400, 'invalid_cursor');
    }
  });

  it.each(['limit=0', 'order=desc', 'unheard_of=1', 'session_id=x'])('refuse ?%s', async (text) => {
    expectRefused(await api.get(`${EVENTS}?${text}`), 422, 'invalid');
  });

  it('are those of one’s own sessions and of shared ones, as long as they are', async () => {
    const other = fresh();
    const theirs = (await create(app.api.as(other))).session_id;
    const shared = (await create(app.api.as(other))).session_id;
    await share(app, shared, user, 'viewer');
    const seen = await whenCount(api, 2);
    expect(new Set(seen.map((e) => e.aggregate_id))).toEqual(new Set([id, shared]));
    const [{ position }] = [expectOk(await api.get(EVENTS))];
    await app.api.as(other).delete(at(shared, `/share/${user}`));
    expect(new Set((await allEvents(api)).map((e) => e.aggregate_id))).toEqual(new Set([id]));
    await append(app.api.as(other), shared, say());
    await append(api, id, { role: 'assistant', content: 'x' });
    const later = await eventually(
      async () => expectOk(await api.get(EVENTS + query({ after: position }))).events,
      (events) => events.length > 0,
    );
    expect(later.map((e: Event) => e.aggregate_id)).toEqual([id]);
    const everybody = (await allEvents(service)).map((e) => e.aggregate_id);
    expect(everybody).toEqual(expect.arrayContaining([id, theirs, shared]));
    const asUser = await allEvents(service.as(user));
    expect(asUser).toEqual(await allEvents(api));
  });

  it('hold those of deleted sessions', async () => {
    await api.delete(at(id));
    const events = await whenCount(api, 3);
    expect(events.map((e) => e.event_type)).toEqual([
      'session.created',
      'session.updated',
      'session.deleted',
    ]);
  });

  it('hold nothing of what is gone for good, but for services that it is gone', async () => {
    await append(api, id, say());
    await append(api, id, say());
    const member = fresh();
    await share(app, id, member, 'manager');
    const { seq } = (await eventsOf(api, id)).at(-1);
    await api.delete(at(id, '?permanent=true'));
    const made = (await create(api)).session_id;
    const ofIt = async () => (await allEvents(service)).filter((e) => e.aggregate_id === id);
    const isMadeSeen = () => allEvents(api).then((seen) => seen.some((e) => e.aggregate_id === made));
    await eventually(isMadeSeen, Boolean);
    const check = async () => {
      const [event, ...rest] = await eventually(ofIt, (seen) => seen.length > 0);
      expect(rest).toEqual([]);
      expect(event).toMatchObject({
        event_type: 'session.purged',
        aggregate_type: 'session',
        aggregate_id: id,
        seq: seq + 1,
        payload: { session_id: id, agent_id: 'agent' },
      });
      expect((await allEvents(api)).map((e) => e.aggregate_id)).toEqual([made]);
      expect(await allEvents(app.api.as(member))).toEqual([]);
    };
    await check();
    await app.app.get(Sweeps, { strict: false }).run();
    await check();
    const { rows } = await app.database.pool.query(
      `select (select count(*)::int from messages m where m.session_key = e.aggregate_key) as messages,
              (select count(*)::int from members m where m.session_key = e.aggregate_key) as members,
              (select count(*)::int from sessions s where s.key = e.aggregate_key) as sessions
       from events e where e.payload ->> 'session_id' = $1`,
      [id],
    );
    expect(rows).toEqual([{ messages: 0, members: 0, sessions: 0 }]);
  });

  it('tell of the next session with the id apart from the purged one', async () => {
    await api.delete(at(id, '?permanent=true'));
    await create(api, { session_id: id });
    const types = async () =>
      (await allEvents(service)).filter((e) => e.aggregate_id === id).map((e) => e.event_type);
    expect(await eventually(types, (seen) => seen.length >= 2)).toEqual([
      'session.purged',
      'session.created',
    ]);
    const own = await whenCount(api, 1);
    expect(own.map((e) => [e.event_type, e.seq])).toEqual([['session.created', 1]]);
  });
});
