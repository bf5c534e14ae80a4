import type { Api } from '../setup/api.js';
import { SERVICE_KEY, startApp, type TestApp } from '../setup/app.js';
import {
  append,
  at,
  create,
  expectOk,
  expectRefused,
  fresh,
  query,
  runOut,
  share,
  walkByCursor,
  walkByNumber,
} from './support.js';

const SESSIONS = '/api/v1/sessions';
const of = (user: string) => `/api/v1/users/${encodeURIComponent(user)}/sessions`;

// biome-ignore lint/suspicious/noExplicitAny: sessions as answered
type Session = any;
type Params = Record<string, unknown>;

let app: TestApp;
let service: Api;
let api: Api;

/** Alice's sessions in the order they were made, as the service shows them; and everybody's, until tests add their own. */
let alices: Session[];
let everybodys: Session[];

const TITLES = [null, 'Alpha', 'alpha', 'Beta 100%', 'beta_1', 'Zürich', 'back\\slash', 'Äpfel', '🚀 launch'];
const DESCRIPTIONS = [null, 'needle in hay', '50% off_now', 'Straße', ''];
const STATUSES = ['active', 'paused', 'completed', 'crashed', 'archived'];
const TAGS = [[], ['a'], ['b'], ['a', 'b'], ['a', 'b', 'c'], ['ü b']];
const METADATA = [
  {},
  { n: 5 },
  { n: '5' },
  { n: 5.5, t: 'x' },
  { b: true },
  { b: 'true' },
  { b: false, t: 'y' },
  { t: 'x', deep: { n: 5 } },
  { 'a.b': 'dotted', t: '50%' },
  { l: ['x', 5], z: null },
];

const pick = <T>(list: readonly T[], index: number): T => list[index % list.length]!;

const HOUR = 3_600_000;
const START = Date.parse('2025-03-01T00:00:00.000Z');
const time = (hours: number) => new Date(START + hours * HOUR).toISOString();

/** 36 sessions of all kinds; times and titles repeat, so that every order has ties. */
async function fill(owner: Api, count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    const { session_id } = await create(owner, {
      title: pick(TITLES, i),
      description: pick(DESCRIPTIONS, i),
      status: pick(STATUSES, i * 3 + Math.floor(i / 5)),
      tags: pick(TAGS, i),
      metadata: pick(METADATA, i),
      agent_id: pick([null, 'agent-1', 'agent-2'], i),
      client_id: pick([null, 'web', 'app', 'Web'], i),
      session_type: pick(['conversation', 'job'], i),
      runtime_backend: pick(['unknown', 'local', 'kubernetes'], Math.floor(i / 2)),
      timeout_minutes: i % 9 === 0 ? 60 : null,
    });
    if (i % 9 === 0)
      await app.database.pool.query(
        `update sessions set archived_at = null, state = 'active' where id = $1`,
        [session_id],
      );
    if (i % 9 === 0) await runOut(app.database, session_id);
    else if (i % 7 === 0) await owner.delete(at(session_id));
    await app.database.pool.query(
      `with s as (update sessions set created_at = $2, last_activity_at = $3 where id = $1 returning key)
       update session_details set created_at = $2, updated_at = $4 where key = (select key from s)`,
      [session_id, time(Math.floor(i / 3)), time(100 - Math.floor(i / 4)), time((i % 6) * 10)],
    );
  }
}

beforeAll(async () => {
  app = await startApp();
  service = app.api.service(SERVICE_KEY);
  api = app.api.as('alice');
  await fill(api, 36);
  await fill(app.api.as('bob'), 9);
  for (const agent_id of ['agent-1', 'agent-3']) await create(service, { agent_id, title: 'Alpha' });
  const all = `${query({ include_deleted: true, order: 'created_at', limit: 200 })}`;
  everybodys = await byKey(expectOk(await service.get(SESSIONS + all)).sessions);
  alices = everybodys.filter((session) => session.user_id === 'alice');
  expect([alices.length, everybodys.length]).toEqual([36, 47]);
});
afterAll(() => app.close());

/** In the order of making, which breaks all ties. */
async function byKey(sessions: Session[]): Promise<Session[]> {
  const { rows } = await app.database.pool.query('select id from sessions order by key');
  const rank = new Map(rows.map((row, index) => [row.id, index]));
  return [...sessions].sort((a, b) => rank.get(a.session_id)! - rank.get(b.session_id)!);
}

const ids = (sessions: Session[]) => sessions.map((session) => session.session_id);

/** Every filter, once with its value in the query and once as the rule of the contract. */
const FILTERS: Record<string, [Params, (s: Session) => boolean][]> = {
  status: [...STATUSES, 'deleted'].map((status): [Params, (s: Session) => boolean] => [
    { status },
    (s) => s.status === status,
  ]),
  statuses: [
    [{ status: ['active', 'paused'] }, (s) => ['active', 'paused'].includes(s.status)],
    [{ status: ['archived', 'deleted'] }, (s) => ['archived', 'deleted'].includes(s.status)],
  ],
  agent_id: [
    [{ agent_id: 'agent-1' }, (s) => s.agent_id === 'agent-1'],
    [{ agent_id: 'AGENT-1' }, () => false],
  ],
  client_id: [
    [{ client_id: 'web' }, (s) => s.client_id === 'web'],
    [{ client_id: 'Web' }, (s) => s.client_id === 'Web'],
  ],
  session_type: [[{ session_type: 'job' }, (s) => s.session_type === 'job']],
  runtime_backend: ['unknown', 'local', 'kubernetes'].map((name): [Params, (s: Session) => boolean] => [
    { runtime_backend: name },
    (s) => s.runtime_backend === name,
  ]),
  tags: [
    [{ tags: 'a' }, (s) => s.tags.includes('a')],
    [{ tags: 'a,b' }, (s) => s.tags.includes('a') || s.tags.includes('b')],
    [{ tags: 'a,b', tag_mode: 'any' }, (s) => s.tags.includes('a') || s.tags.includes('b')],
    [{ tags: 'a,b', tag_mode: 'all' }, (s) => s.tags.includes('a') && s.tags.includes('b')],
    [{ tags: 'b, a , c', tag_mode: 'all' }, (s) => s.tags.length === 3],
    [{ tags: 'ü b' }, (s) => s.tags.includes('ü b')],
    [{ tags: 'A' }, () => false],
    [{ tags: 'a,nowhere', tag_mode: 'all' }, () => false],
  ],
  created: [
    [{ created_after: time(4) }, (s) => s.created_at > time(4)],
    [{ created_before: time(4) }, (s) => s.created_at < time(4)],
    [
      { created_after: '2025-03-01T05:30:00+02:00', created_before: time(9) },
      (s) => s.created_at > '2025-03-01T03:30:00.000Z' && s.created_at < time(9),
    ],
  ],
  active: [
    [{ active_after: time(96) }, (s) => s.last_activity_at > time(96)],
    [{ active_before: time(96) }, (s) => s.last_activity_at < time(96)],
    [{ active_after: time(94), active_before: time(98) }, (s) => between(s.last_activity_at, 94, 98)],
  ],
  q: [
    'alpha',
    'ALPHA',
    '100%',
    '%',
    '_',
    'a_1',
    '\\',
    'needle',
    'STRASSE',
    'straße',
    'Äpfel',
    '🚀',
    'xyz',
  ].map((q): [Params, (s: Session) => boolean] => [{ q }, (s) => contains(s, q)]),
  metadata: [
    [{ 'metadata.n': 5 }, (s) => s.metadata.n === 5 || s.metadata.n === '5'],
    [{ 'metadata.n': '5.0' }, (s) => s.metadata.n === 5],
    [{ 'metadata.n': 5.5 }, (s) => s.metadata.n === 5.5],
    [{ 'metadata.b': true }, (s) => s.metadata.b === true || s.metadata.b === 'true'],
    [{ 'metadata.b': false }, (s) => s.metadata.b === false],
    [{ 'metadata.t': 'x' }, (s) => s.metadata.t === 'x'],
    [{ 'metadata.t': '50%' }, (s) => s.metadata.t === '50%'],
    [{ 'metadata.a.b': 'dotted' }, (s) => s.metadata['a.b'] === 'dotted'],
    [{ 'metadata.t': 'x', 'metadata.n': 5.5 }, (s) => s.metadata.t === 'x' && s.metadata.n === 5.5],
    [{ 'metadata.deep': 5 }, () => false],
    [{ 'metadata.deep.n': 5 }, () => false],
    [{ 'metadata.none': '' }, () => false],
  ],
  include_deleted: [[{ include_deleted: true }, () => true]],
};

const between = (text: string, after: number, before: number) => text > time(after) && text < time(before);
const contains = (s: Session, q: string) =>
  [s.title, s.description].some((text) => text?.toLowerCase().includes(q.toLowerCase()));

const shows = (params: Params) => (s: Session) =>
  params.status !== undefined || params.include_deleted === true || s.status !== 'deleted';

const cases = Object.values(FILTERS).flat();

describe.each([
  ['a user’s own list', () => ({ caller: api, path: SESSIONS, all: alices })],
  ['a service’s list of one user', () => ({ caller: service, path: of('alice'), all: alices })],
  ['a service’s list of everybody', () => ({ caller: service, path: SESSIONS, all: everybodys })],
])('%s', (_, open) => {
  it.each(cases.map(([params, rule]) => [query(params), params, rule] as const))(
    'filters by %s',
    async (_text, params, rule) => {
      const { caller, path, all } = open();
      const answer = await caller.get(path + query({ ...params, order: 'created_at', limit: 200 }));
      const expected = all.filter((s) => rule(s) && shows(params)(s));
      const got = expectOk(answer).sessions;
      expect(ids(await byKey(got))).toEqual(ids(expected));
      expect(await byKey(got)).toEqual(expected);
    },
  );

  it('shows all but the deleted ones when nothing is said', async () => {
    const { caller, path, all } = open();
    const { sessions } = expectOk(await caller.get(`${path}?limit=200`));
    expect(new Set(ids(sessions))).toEqual(new Set(ids(all.filter((s) => s.status !== 'deleted'))));
  });

  it('combines filters in every pair', async () => {
    const { caller, path, all } = open();
    const kinds = Object.values(FILTERS);
    let found = 0;
    for (const [i, first] of kinds.entries())
      for (const [j, second] of kinds.slice(i + 1).entries()) {
        const [one, ruleOne] = pick(first, j + i);
        const [other, ruleOther] = pick(second, i);
        const params = { ...one, ...other };
        if (Object.keys(params).length < Object.keys(one).length + Object.keys(other).length) continue;
        const rule = (s: Session) => ruleOne(s) && ruleOther(s) && shows(params)(s);
        const { sessions } = expectOk(await caller.get(path + query({ ...params, limit: 200 })));
        expect([params, ids(await byKey(sessions))]).toEqual([params, ids(all.filter(rule))]);
        found += sessions.length;
      }
    expect(found).toBeGreaterThan(50);
  });

  it('combines them all', async () => {
    const { caller, path, all } = open();
    const one = all.find(
      (s) => s.status === 'active' && s.tags.length && s.agent_id && s.title && s.metadata.t,
    )!;
    const params = {
      status: ['active', 'paused'],
      agent_id: one.agent_id,
      ...(one.client_id && { client_id: one.client_id }),
      session_type: one.session_type,
      runtime_backend: one.runtime_backend,
      tags: one.tags.join(','),
      tag_mode: 'all',
      created_after: time(-1),
      created_before: time(1000),
      active_after: time(-1),
      active_before: time(1000),
      q: one.title,
      'metadata.t': one.metadata.t,
      include_deleted: true,
      order: 'title',
      include_total: true,
    };
    expect(ids(expectOk(await caller.get(path + query(params))).sessions)).toContain(one.session_id);
    for (const wrong of [
      { agent_id: 'x' },
      { q: 'x y z' },
      { 'metadata.t': 'z' },
      { created_after: time(999) },
    ]) {
      expect(expectOk(await caller.get(path + query({ ...params, ...wrong })))).toMatchObject({
        sessions: [],
        total: 0,
        has_more: false,
        next_cursor: null,
      });
    }
  });
});

describe('the order', () => {
  const VALUE: Record<string, (s: Session) => string> = {
    last_activity_at: (s) => s.last_activity_at,
    created_at: (s) => s.created_at,
    updated_at: (s) => s.updated_at,
    title: (s) => s.title ?? '',
  };
  const ORDERS = Object.keys(VALUE).flatMap((name) => [name, `-${name}`]);

  /** The rule: by value, titles by code point; ties by the order of making, turned round with the rest. */
  function sorted(all: Session[], order: string): string[] {
    const value = VALUE[order.replace('-', '')]!;
    const up = all
      .map((s, index) => ({ s, index, bytes: Buffer.from(value(s)) }))
      .sort((a, b) => a.bytes.compare(b.bytes) || a.index - b.index)
      .map(({ s }) => s.session_id);
    return order.startsWith('-') ? up.reverse() : up;
  }

  it.each(ORDERS)('%s is the same whole, by cursor, by offset and by page', async (order) => {
    for (const [caller, all, limits] of [
      [api, alices, [1, 7]],
      [service, everybodys, [12]],
    ] as const) {
      const expected = sorted(all, order);
      const params = { order, include_deleted: true };
      const whole = expectOk(await caller.get(SESSIONS + query({ ...params, limit: 200 })));
      expect(ids(whole.sessions)).toEqual(expected);
      for (const limit of limits) {
        expect(ids(await walkByCursor(caller, SESSIONS, 'sessions', { ...params, limit }))).toEqual(expected);
      }
      for (const by of ['offset', 'page'] as const) {
        expect(ids(await walkByNumber(caller, SESSIONS, 'sessions', params, 12, by))).toEqual(expected);
      }
    }
  });

  it('is the most recent activity first when nothing is said', async () => {
    const expected = sorted(
      alices.filter((s) => s.status !== 'deleted'),
      '-last_activity_at',
    );
    expect(ids(expectOk(await api.get(SESSIONS)).sessions)).toEqual(expected);
  });

  it.each(ORDERS)('%s holds under filters', async (order) => {
    const params = { order, status: ['active', 'paused', 'deleted'], tags: 'a,b' };
    const expected = sorted(
      alices.filter(
        (s) => params.status.includes(s.status) && (s.tags.includes('a') || s.tags.includes('b')),
      ),
      order,
    );
    expect(expected.length).toBeGreaterThan(5);
    expect(ids(await walkByCursor(api, of('alice'), 'sessions', { ...params, limit: 2 }))).toEqual(expected);
  });

  it.each(['title', '-updated_at', '-created_at'])('%s by cursor meets what is new once', async (order) => {
    const user = app.api.as(fresh());
    for (let i = 0; i < 6; i++) await create(user, { title: `t${i}` });
    const seen: string[] = [];
    let cursor: string | null = null;
    do {
      const page: Session = expectOk(
        await user.get(SESSIONS + query({ order, limit: 2, ...(cursor && { cursor }) })),
      );
      seen.push(...ids(page.sessions));
      cursor = page.next_cursor;
      if (seen.length < 6) await create(user, { title: 't0 new' });
    } while (cursor);
    expect(new Set(seen).size).toBe(seen.length);
    expect(seen.length).toBeGreaterThanOrEqual(6);
  });

  it.each(['', 'name', '--title', '-', 'title,created_at', 'LAST_ACTIVITY_AT', 'status'])(
    'refuses %j',
    async (order) => {
      expectRefused(await api.get(SESSIONS + query({ order })), 422, 'invalid');
    },
  );
});

describe('pages', () => {
  it('are 50 long by default, at most 200', async () => {
    const plain = expectOk(await service.get(SESSIONS));
    expect(plain.limit).toBe(50);
    for (const absent of ['total', 'page', 'page_size', 'offset']) expect(plain).not.toHaveProperty(absent);
    for (const [limit, echoed] of [
      [1, 1],
      [200, 200],
      [201, 200],
      [1_000_000, 200],
    ]) {
      expect(expectOk(await service.get(`${SESSIONS}?limit=${limit}`)).limit).toBe(echoed);
    }
    expect(expectOk(await service.get(`${SESSIONS}?page=1&page_size=500`))).toMatchObject({
      limit: 200,
      page_size: 200,
    });
  });

  it('tell the total when asked by number, or for it', async () => {
    const total = alices.filter((s) => s.status !== 'deleted').length;
    const expected = { total, total_capped: false };
    expect(expectOk(await api.get(`${SESSIONS}?offset=3&limit=2`))).toMatchObject({
      ...expected,
      offset: 3,
      limit: 2,
    });
    expect(expectOk(await api.get(`${SESSIONS}?page=2&page_size=5`))).toMatchObject({
      ...expected,
      page: 2,
      page_size: 5,
    });
    expect(expectOk(await api.get(`${SESSIONS}?page_size=5`))).toMatchObject({ ...expected, page: 1 });
    expect(expectOk(await api.get(`${SESSIONS}?include_total=true&limit=1`))).toMatchObject(expected);
    expect(expectOk(await api.get(`${SESSIONS}?offset=3&include_total=false`))).not.toHaveProperty('total');
  });

  it('tell the same total all along a walk', async () => {
    let cursor: string | null = null;
    do {
      const params = { include_total: true, limit: 9, tags: 'a', ...(cursor && { cursor }) };
      const page: Session = expectOk(await api.get(SESSIONS + query(params)));
      expect(page.total).toBe(alices.filter((s) => s.status !== 'deleted' && s.tags.includes('a')).length);
      cursor = page.next_cursor;
    } while (cursor);
  });

  it('count to 10,000', async () => {
    const user = fresh();
    const insert = (count: number) =>
      app.database.pool.query(
        `with s as (
           insert into sessions (id, user_id, session_type, runtime_backend, state, legal_hold, version, message_count,
             total_tokens, total_cost, last_call_seq, event_seq, event_tx, auto_recover, created_at, last_activity_at)
           select gen_random_uuid(), $1, 'x', 'unknown', 'active', false, 1, 0, 0, 0, 0, 0, 0, false, now(), now()
           from generate_series(1, $2::int) returning key, user_id)
         insert into session_details (key, user_id, title, tags, metadata, context, configuration, conversation_data,
           runtime_metadata, session_summary, created_at, updated_at)
         select key, user_id, '', '{}', '{}', '{}', '{}', '{}', '{}', '', now(), now() from s`,
        [user, count],
      );
    const mine = app.api.as(user);
    await insert(10_000);
    const exact = expectOk(await mine.get(`${SESSIONS}?include_total=true&limit=1`));
    expect(exact).toMatchObject({ total: 10_000, total_capped: false });
    await insert(1);
    const capped = expectOk(await mine.get(`${SESSIONS}?include_total=true&limit=1`));
    expect(capped).toMatchObject({ total: 10_000, total_capped: true });
    const last = expectOk(await mine.get(`${SESSIONS}?offset=10000&limit=5`));
    expect([last.sessions.length, last.has_more]).toEqual([1, false]);
    await app.database.pool.query('delete from sessions where user_id = $1', [user]);
  });

  it('beyond the end are empty', async () => {
    for (const where of ['offset=1000', 'page=1000']) {
      expect(expectOk(await api.get(`${SESSIONS}?${where}`))).toMatchObject({
        sessions: [],
        has_more: false,
        next_cursor: null,
      });
    }
  });

  describe('of large sessions', () => {
    let user: Api;
    let made: string[];

    beforeAll(async () => {
      user = app.api.as(fresh());
      made = [];
      for (let i = 0; i < 12; i++) {
        made.push((await create(user, { checkpoint: { x: 'x'.repeat(1_000_000) } })).session_id);
      }
    });
    afterAll(async () => {
      for (const id of made) await user.delete(at(id, '?permanent=true'));
    });

    it('are shorter, and the walk complete', async () => {
      const params = { order: 'created_at', limit: 200 };
      const first = expectOk(await user.get(SESSIONS + query(params)));
      expect(first.has_more).toBe(true);
      expect(first.sessions.length).toBeLessThan(12);
      expect(ids(await walkByCursor(user, SESSIONS, 'sessions', params, false))).toEqual(made);
    });

    it.each(['offset', 'page'] as const)('lose none to a walk by %s', async (by) => {
      expect(ids(await walkByNumber(user, SESSIONS, 'sessions', { order: 'created_at' }, 11, by))).toEqual(
        made,
      );
    });
  });

  it.each([
    'limit=0',
    'limit=-1',
    'limit=x',
    'limit=1.5',
    'limit=',
    'limit=1&limit=2',
    'offset=-1',
    'offset=x',
    'page=0',
    'page=x',
    'page_size=0',
    'page=1&offset=1',
    'limit=5&page_size=6',
    'include_total=1',
    'status=open',
    'status=',
    'tag_mode=some',
    'created_after=yesterday',
    'created_after=2025-01-01',
    'created_before=2025-13-01T00:00:00Z',
    'active_after=1700000000',
    'active_before=',
    'runtime_backend=docker',
    'include_deleted=yes',
    'shared_with_me=1',
    'agent_id=',
    'q=',
    `q=${'x'.repeat(201)}`,
    'metadata=x',
    'metadata.t=a&metadata.t=b',
    'unheard_of=1',
    'tags=%00',
    'q=%00',
    'metadata.%00=x',
  ])('refuse ?%.50s', async (text) => {
    for (const path of [SESSIONS, of('alice')]) {
      const answer = await api.get(`${path}?${text}`);
      expectRefused(answer, 422, 'invalid');
      expect(answer.body.errors[0].pointer).toMatch(/^\?/);
    }
  });
});

describe('a cursor', () => {
  const cursorOf = async (caller: Api, text: string): Promise<string> =>
    expectOk(await caller.get(`${SESSIONS}?limit=2${text}`)).next_cursor;

  it.each([
    ['', '&order=created_at'],
    ['&order=title', '&order=-title'],
    ['&order=title', '&order=created_at'],
    ['', '&tags=a'],
    ['&tags=a', '&tags=a,b'],
    ['&tags=a,b', '&tags=a,b&tag_mode=all'],
    ['&status=active', '&status=paused'],
    ['&q=a', ''],
    ['&metadata.t=x', '&metadata.t=y'],
    ['', '&include_deleted=true'],
    ['&created_after=2020-01-01T00:00:00Z', '&created_after=2021-01-01T00:00:00Z'],
  ])('made with %j is refused with %j', async (one, other) => {
    const cursor = await cursorOf(api, one);
    expectOk(await api.get(`${SESSIONS}?limit=3${one}&cursor=${cursor}`));
    expectRefused(await api.get(`${SESSIONS}?limit=2${other}&cursor=${cursor}`), 400, 'invalid_cursor');
  });

  it('of another user, or of everybody, is refused', async () => {
    const alices = await cursorOf(api, '');
    const services = await cursorOf(service, '');
    expectRefused(await app.api.as('bob').get(`${SESSIONS}?cursor=${alices}`), 400, 'invalid_cursor');
    expectRefused(await api.get(`${SESSIONS}?cursor=${services}`), 400, 'invalid_cursor');
    expectRefused(await service.get(`${SESSIONS}?cursor=${alices}`), 400, 'invalid_cursor');
    expectOk(await service.get(`${of('alice')}?cursor=${alices}`));
  });

  it.each([
    'x',
    'null',
    Buffer.from('[]').toString('base64url'),
    Buffer.from('{"a":1}').toString('base64url'),
  ])('that is none of ours is refused: %s', async (cursor) => {
    expectRefused(await api.get(`${SESSIONS}?cursor=${cursor}`), 400, 'invalid_cursor');
  });

  it.each([
    ['order=title', [['\0', 1]]],
    ['order=title', [['x', 1e300]]],
    ['order=title', [['x', '1']]],
    ['order=title', [[5, 1]]],
    ['order=created_at', [['now()', 1]]],
    ['order=created_at', [['2025-99-01T00:00:00.000Z', 1]]],
    ['order=created_at', [['2025-01-01T00:00:00.000Z', null]]],
  ])('that was tampered with is refused: %s %j', async (order, [key]) => {
    const good = expectOk(await api.get(`${SESSIONS}?limit=1&${order}`)).next_cursor;
    const [digest] = JSON.parse(Buffer.from(good, 'base64url').toString());
    const bad = Buffer.from(JSON.stringify([digest, key])).toString('base64url');
    expectRefused(await api.get(`${SESSIONS}?${order}&cursor=${bad}`), 400, 'invalid_cursor');
  });

  it('excludes offset and page', async () => {
    const cursor = await cursorOf(api, '');
    for (const other of ['offset=1', 'page=1'])
      expectRefused(await api.get(`${SESSIONS}?cursor=${cursor}&${other}`), 422, 'invalid');
  });
});

describe('whose sessions', () => {
  it('a user lists are his own only', async () => {
    expect(expectOk(await api.get(`${SESSIONS}?user_id=alice&limit=1`)).sessions).toHaveLength(1);
    expect(expectOk(await api.get(`${SESSIONS}?owner_id=alice&limit=1`)).sessions).toHaveLength(1);
    expectRefused(await api.get(`${SESSIONS}?user_id=bob`), 403, 'forbidden');
    expectRefused(await api.get(`${SESSIONS}?owner_id=bob`), 403, 'forbidden');
    expectRefused(await api.get(of('bob')), 403, 'forbidden');
    expect(expectOk(await app.api.as('nobody-yet').get(SESSIONS)).sessions).toEqual([]);
  });

  it('a service lists are everybody’s, or one user’s', async () => {
    const params = { limit: 200, include_deleted: true };
    const everybody = expectOk(await service.get(SESSIONS + query(params))).sessions;
    expect(everybody.length).toBeGreaterThanOrEqual(47);
    for (const path of [SESSIONS + query({ ...params, user_id: 'bob' }), of('bob') + query(params)]) {
      const { sessions } = expectOk(await service.get(path));
      expect(sessions).toHaveLength(9);
      expect(new Set(sessions.map((s: Session) => s.user_id))).toEqual(new Set(['bob']));
    }
    expect(expectOk(await service.as('bob').get(SESSIONS + query(params))).sessions).toHaveLength(9);
    expectRefused(await service.as('bob').get(of('alice')), 403, 'forbidden');
    expect(expectOk(await service.get(of('no such user'))).sessions).toEqual([]);
  });

  it('takes a percent-encoded name in the path', async () => {
    const name = 'a/b ü?%41@例え';
    const { session_id } = await create(app.api.as(name));
    expect(ids(expectOk(await app.api.as(name).get(of(name))).sessions)).toEqual([session_id]);
    expect(ids(expectOk(await service.get(of(name))).sessions)).toEqual([session_id]);
    expectRefused(await service.get(of('x'.repeat(256))), 422, 'invalid');
  });

  it('the users’ list takes no user_id', async () => {
    expectRefused(await api.get(`${of('alice')}?user_id=alice`), 422, 'invalid');
  });

  describe('shared_with_me', () => {
    let me: string;
    let shared: Record<string, string>;

    beforeAll(async () => {
      me = fresh('collaborator');
      shared = {};
      for (const role of ['viewer', 'editor', 'manager']) {
        const { session_id } = await create(app.api.as(fresh('lender')), { title: role, tags: [role] });
        await share(app, session_id, me, role);
        shared[role] = session_id;
      }
      await create(app.api.as(me), { title: 'own' });
    });

    it('lists what others share, and not one’s own', async () => {
      const { sessions } = expectOk(
        await app.api.as(me).get(`${SESSIONS}?shared_with_me=true&order=created_at`),
      );
      expect(ids(sessions)).toEqual(Object.values(shared));
      for (const path of [SESSIONS, `${SESSIONS}?shared_with_me=false`, of(me)]) {
        const own = expectOk(await app.api.as(me).get(path)).sessions;
        expect(own.map((s: Session) => s.title)).toEqual(['own']);
      }
    });

    it('takes filters, orders and pages', async () => {
      const mine = app.api.as(me);
      const list = async (params: Params) =>
        ids(expectOk(await mine.get(SESSIONS + query({ shared_with_me: true, ...params }))).sessions);
      expect(await list({ tags: 'editor' })).toEqual([shared.editor]);
      expect(await list({ order: 'title' })).toEqual([shared.editor, shared.manager, shared.viewer]);
      expect(await list({ q: 'own' })).toEqual([]);
      const params = { shared_with_me: true, order: '-title', limit: 1 };
      expect(ids(await walkByCursor(mine, SESSIONS, 'sessions', params))).toEqual([
        shared.viewer,
        shared.manager,
        shared.editor,
      ]);
    });

    it('is of the user a service names', async () => {
      const path = `${SESSIONS}?shared_with_me=true&user_id=${me}`;
      expect(expectOk(await service.get(path)).sessions).toHaveLength(3);
      expect(expectOk(await service.get(`${of(me)}?shared_with_me=true`)).sessions).toHaveLength(3);
      expectRefused(await service.get(`${SESSIONS}?shared_with_me=true`), 422, 'invalid');
    });

    it('hides what its owner deleted', async () => {
      const lender = app.api.as(fresh('lender'));
      const { session_id } = await create(lender, { tags: ['gone'] });
      const borrower = fresh('collaborator');
      await share(app, session_id, borrower, 'viewer');
      await lender.delete(at(session_id));
      const list = `${SESSIONS}?shared_with_me=true`;
      expect(expectOk(await app.api.as(borrower).get(list)).sessions).toEqual([]);
      await lender.delete(at(session_id, '?permanent=true'));
      expect(expectOk(await app.api.as(borrower).get(`${list}&include_deleted=true`)).sessions).toEqual([]);
    });
  });
});

describe('activity', () => {
  it('brings a session to the top', async () => {
    const user = app.api.as(fresh());
    const first = await create(user);
    const second = await create(user);
    const order = async () => ids(expectOk(await user.get(SESSIONS)).sessions);
    expect(await order()).toEqual([second.session_id, first.session_id]);
    await append(user, first.session_id, { role: 'user', content: 'x' });
    expect(await order()).toEqual([first.session_id, second.session_id]);
    await user.patch(at(second.session_id), { title: 'x' });
    expect(await order()).toEqual([second.session_id, first.session_id]);
  });
});

describe('q', () => {
  it.each(['title', 'description'])('ignores case in the %s, in every alphabet', async (member) => {
    const user = app.api.as(fresh());
    const text = 'ALPHA Äpfel ПРИВЕТ Ωmega';
    const { session_id } = await create(user, { [member]: text });
    for (const q of ['alpha', 'äPFEL', 'привет', 'ωMEGA']) {
      const { sessions } = expectOk(await user.get(SESSIONS + query({ q })));
      expect([q, ids(sessions)]).toEqual([q, [session_id]]);
    }
  });
});
