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
  read,
  walkByCursor,
  walkByNumber,
} from './support.js';

// biome-ignore lint/suspicious/noExplicitAny: messages as answered
type Message = any;
type Params = Record<string, unknown>;

const COUNT = 53;
const ROLES = ['user', 'assistant', 'system', 'developer', 'assistant'];
const TYPES = ['chat', 'chat', 'notification', 'system'];

let app: TestApp;
let api: Api;
let id: string;
let path: string;
/** the whole history, oldest first */
let all: Message[];

beforeAll(async () => {
  app = await startApp();
  api = app.api.as('alice');
  id = (await create(api)).session_id;
  path = at(id, '/messages');
  const messages = Array.from({ length: COUNT }, (_, i) => ({
    role: ROLES[i % ROLES.length],
    message_type: TYPES[i % TYPES.length],
    content: `text ${i + 1}`,
    message_id: `m-${i + 1}`,
  }));
  all = (await append(api, id, { messages })).messages;
});
afterAll(() => app.close());

const list = async (params: Params = {}, at = path) => expectOk(await api.get(at + query(params)));
const seqs = (messages: Message[]) => messages.map((message) => message.seq);

/** What a query must find, in its order: the rule of the contract. */
function rule(params: Params): Message[] {
  const { after_seq = 0, before_seq = Number.POSITIVE_INFINITY } = params as Record<string, number>;
  const { role, message_type } = params;
  const found = all.filter(
    (m) =>
      m.seq > after_seq &&
      m.seq < before_seq &&
      (!role || m.role === role) &&
      (!message_type || m.message_type === message_type),
  );
  return params.order === 'desc' ? found.reverse() : found;
}

const BOUNDS: Params[] = [
  {},
  { after_seq: 0 },
  { after_seq: 10 },
  { before_seq: 20 },
  { before_seq: 1000 },
  { after_seq: 7, before_seq: 31 },
];
const FILTERS: Params[] = [
  {},
  { role: 'assistant' },
  { message_type: 'chat' },
  { role: 'user', message_type: 'notification' },
];
const QUERIES = ['asc', 'desc'].flatMap((order) =>
  BOUNDS.flatMap((bounds) => FILTERS.map((filters): Params => ({ order, ...bounds, ...filters }))),
);

describe('reading the history', () => {
  it('is the whole, oldest first, by default', async () => {
    expect(await list()).toEqual({
      messages: all,
      limit: 100,
      next_cursor: null,
      has_more: false,
      total: COUNT,
      total_capped: false,
      page: 1,
      page_size: 100,
    });
  });

  it.each(QUERIES.map((params) => [query(params), params] as const))(
    '%s agrees whole, by cursor, by offset and by page',
    async (_, params) => {
      const expected = rule(params);
      expect(expected.length).toBeGreaterThan(0);
      expect((await list(params)).messages).toEqual(expected);
      for (const limit of [4, 9]) {
        expect(await walkByCursor(api, path, 'messages', { ...params, limit })).toEqual(expected);
      }
      expect(await walkByNumber(api, path, 'messages', params, 9, 'offset')).toEqual(expected);
      expect(await walkByNumber(api, path, 'messages', params, 9, 'page')).toEqual(expected);
    },
  );

  it('one by one agrees with the whole', async () => {
    for (const order of ['asc', 'desc']) {
      const walked = await walkByCursor(api, path, 'messages', { order, limit: 1 });
      expect(walked).toEqual(rule({ order }));
    }
  });

  it.each([
    { after_seq: COUNT },
    { after_seq: 1000 },
    { before_seq: 1 },
    { before_seq: 0 },
    { after_seq: 5, before_seq: 6 },
    { after_seq: 9, before_seq: 3 },
    { role: 'tool' },
    { message_type: 'tool_result' },
    { offset: COUNT },
    { page: 100 },
    { offset: 1_000_000_000 },
  ])('finds nothing with %j', async (params) => {
    for (const order of ['asc', 'desc']) {
      expect(await list({ ...params, order })).toMatchObject({
        messages: [],
        has_more: false,
        next_cursor: null,
        total: COUNT,
      });
    }
  });

  it('of an empty session is empty', async () => {
    const empty = await create(api);
    expect(await list({}, at(empty.session_id, '/messages'))).toEqual({
      messages: [],
      limit: 100,
      next_cursor: null,
      has_more: false,
      total: 0,
      total_capped: false,
      page: 1,
      page_size: 100,
    });
  });
});

describe('pages', () => {
  it('are 100 long by default, at most 1000', async () => {
    const long = await create(api);
    const thousand = {
      messages: Array.from({ length: 1000 }, (_, i) => ({ role: 'user', content: `${i}` })),
    };
    await append(api, long.session_id, thousand);
    await append(api, long.session_id, { role: 'user', content: 'last' });
    const messages = at(long.session_id, '/messages');
    for (const [params, length, limit] of [
      [{}, 100, 100],
      [{ limit: 1000 }, 1000, 1000],
      [{ limit: 1001 }, 1000, 1000],
      [{ page_size: 100_000 }, 1000, 1000],
    ] as const) {
      const page = await list(params, messages);
      expect([page.messages.length, page.limit, page.page_size, page.has_more]).toEqual([
        length,
        limit,
        limit,
        true,
      ]);
      expect(page.total).toBe(1001);
    }
    const newest = await list({ order: 'desc', limit: 2 }, messages);
    expect(seqs(newest.messages)).toEqual([1001, 1000]);
    expect(seqs((await list({ offset: 999, limit: 5 }, messages)).messages)).toEqual([1000, 1001]);
    expect(seqs((await list({ page: 4, page_size: 300 }, messages)).messages)).toHaveLength(101);
  });

  it('always tell total, page and page_size', async () => {
    expect(await list({ limit: 10 })).toMatchObject({ total: COUNT, page: 1, page_size: 10 });
    expect(await list({ limit: 10, offset: 20 })).toMatchObject({
      total: COUNT,
      page: 3,
      page_size: 10,
      offset: 20,
    });
    expect(await list({ page: 2, page_size: 10 })).toMatchObject({
      total: COUNT,
      page: 2,
      page_size: 10,
      limit: 10,
    });
    expect(await list({ role: 'user', limit: 10 })).toMatchObject({ total: COUNT, page: 1, page_size: 10 });
    for (const order of ['asc', 'desc']) {
      let cursor: string | null = null;
      for (let page = 1; page <= 6; page++) {
        const answer: Message = await list({ order, limit: 10, ...(cursor && { cursor }) });
        expect(answer).toMatchObject({ total: COUNT, page, page_size: 10 });
        cursor = answer.next_cursor;
      }
      expect(cursor).toBeNull();
    }
  });

  it.each(FILTERS.flatMap((filters) => [filters, { ...filters, after_seq: 10, order: 'desc' }]))(
    'count what matches %j with include_total, the same all along a walk',
    async (params) => {
      const total = rule(params).length;
      let cursor: string | null = null;
      do {
        const page: Message = await list({
          ...params,
          include_total: true,
          limit: 5,
          ...(cursor && { cursor }),
        });
        expect([page.total, page.total_capped]).toEqual([total, false]);
        cursor = page.next_cursor;
      } while (cursor);
      for (const where of [{ offset: 3 }, { page: 2, page_size: 3 }]) {
        expect((await list({ ...params, ...where, include_total: true })).total).toBe(total);
        expect((await list({ ...params, ...where })).total).toBe(COUNT);
      }
      expect((await list({ ...params, include_total: false })).total).toBe(COUNT);
    },
  );

  it('take what is appended during a walk', async () => {
    const growing = await create(api);
    const messages = at(growing.session_id, '/messages');
    const say = (content: string) => append(api, growing.session_id, { role: 'user', content });
    for (let i = 1; i <= 4; i++) await say(`${i}`);
    const first = await list({ limit: 2 }, messages);
    const newest = await list({ limit: 2, order: 'desc' }, messages);
    await say('5');
    expect(seqs((await list({ limit: 9, cursor: first.next_cursor }, messages)).messages)).toEqual([3, 4, 5]);
    const rest = await list({ limit: 9, order: 'desc', cursor: newest.next_cursor }, messages);
    expect(seqs(rest.messages)).toEqual([2, 1]);
  });

  it.each([
    'limit=0',
    'limit=x',
    'limit=-5',
    'limit=1.5',
    'limit=1&limit=2',
    'offset=-1',
    'page=0',
    'page_size=0',
    'offset=1&page=1',
    'limit=5&page_size=6',
    'order=up',
    'order=',
    'after_seq=-1',
    'after_seq=x',
    'after_seq=99999999999999999999',
    'before_seq=1.5',
    'role=bot',
    'role=user&role=assistant',
    'message_type=email',
    'include_total=1',
    'cursor=a&offset=1',
    'unheard_of=1',
  ])('refuse ?%s', async (text) => {
    const answer = await api.get(`${path}?${text}`);
    expectRefused(answer, 422, 'invalid');
    expect(answer.body.errors[0].pointer).toMatch(/^\?/);
  });
});

describe('a cursor', () => {
  it.each([
    [{}, { order: 'desc' }],
    [{}, { role: 'user' }],
    [{ role: 'user' }, {}],
    [{ role: 'user' }, { role: 'assistant' }],
    [{}, { message_type: 'chat' }],
    [{}, { after_seq: 2 }],
    [{ after_seq: 2 }, { after_seq: 3 }],
    [{}, { before_seq: 50 }],
  ])('made with %j is refused with %j', async (one, other) => {
    const { next_cursor } = await list({ ...one, limit: 2 });
    await list({ ...one, limit: 7, cursor: next_cursor });
    const answer = await api.get(path + query({ ...other, limit: 2, cursor: next_cursor }));
    expectRefused(answer, 400, 'invalid_cursor');
  });

  it('of another session, or of another list, is refused', async () => {
    const other = await create(api);
    await append(api, other.session_id, {
      messages: [1, 2, 3].map((n) => ({ role: 'user', content: `${n}` })),
    });
    const foreign = [
      (await list({ limit: 1 }, at(other.session_id, '/messages'))).next_cursor,
      expectOk(await api.get('/api/v1/sessions?limit=1')).next_cursor,
      expectOk(await api.get(at(id, '/events?limit=1'))).next_cursor,
      'x',
      'bnVsbA',
    ];
    for (const cursor of foreign)
      expectRefused(await api.get(path + query({ cursor })), 400, 'invalid_cursor');
  });

  it('is good for every reader', async () => {
    const { next_cursor } = await list({ limit: 50 });
    const service = app.api.service(SERVICE_KEY);
    expect(expectOk(await service.get(path + query({ cursor: next_cursor }))).messages).toHaveLength(
      COUNT - 50,
    );
  });

  it('that was tampered with is refused', async () => {
    const [digest] = JSON.parse(Buffer.from((await list({ limit: 1 })).next_cursor, 'base64url').toString());
    for (const key of [-1, 1.5, '1', null, [1], 1e300]) {
      const cursor = Buffer.from(JSON.stringify([digest, key])).toString('base64url');
      expectRefused(await api.get(path + query({ cursor })), 400, 'invalid_cursor');
    }
  });
});

describe('a session with include=messages', () => {
  it('has its newest 100, oldest first', async () => {
    const { messages, ...session } = await read(api, id, '?include=messages');
    expect(session).toEqual(await read(api, id));
    expect(messages).toEqual(all.slice(-100));
  });

  it('has none without asking, and none of a deleted session', async () => {
    const { session_id } = await create(api);
    expect(await read(api, session_id)).not.toHaveProperty('messages');
    expect(await read(api, session_id, '?include=messages')).toHaveProperty('messages', []);
    expectOk(await api.delete(at(session_id)));
    const answer = await api.get(at(session_id, '?include=messages&include_deleted=true'));
    expectRefused(answer, 404, 'session_deleted');
  });

  it.each(['include=memory', 'include=messages&include=messages', 'include='])(
    'refuses ?%s',
    async (text) => {
      expectRefused(await api.get(at(id, `?${text}`)), 422, 'invalid');
    },
  );
});

describe('large messages', () => {
  let large: string;
  const LENGTH = 20;

  beforeAll(async () => {
    large = (await create(api, { session_id: fresh('large') })).session_id;
    for (let i = 1; i <= LENGTH; i++) {
      const content = `${i} `.padEnd(1_000_000, 'x');
      await append(api, large, { role: i % 2 ? 'user' : 'assistant', content });
    }
    expect((await read(api, large)).message_count).toBe(LENGTH);
  });

  it.each([
    { order: 'asc', limit: 1000 },
    { order: 'desc', limit: 100 },
    { order: 'asc', limit: 18 },
    { order: 'desc', role: 'user', limit: 100 },
  ])('make pages shorter, and the walk is complete: %j', async (params) => {
    const messages = at(large, '/messages');
    const first = expectOk(await api.get(messages + query(params)));
    expect(first.has_more).toBe(true);
    expect(first.next_cursor).not.toBeNull();
    expect(first.messages.length).toBeGreaterThan(1);
    expect(first.messages.length).toBeLessThan(10);
    expect(first.total).toBe(LENGTH);
    const walked = await walkByCursor(api, messages, 'messages', params, false);
    const expected = Array.from({ length: LENGTH }, (_, i) => i + 1).filter(
      (seq) => !('role' in params) || seq % 2,
    );
    if (params.order === 'desc') expected.reverse();
    expect(seqs(walked)).toEqual(expected);
    for (const { seq, content } of walked) expect(content.startsWith(`${seq} `)).toBe(true);
  });

  it.each(['offset', 'page'] as const)('lose none to a walk by %s', async (by) => {
    const walked = await walkByNumber(api, at(large, '/messages'), 'messages', {}, 15, by);
    expect(seqs(walked)).toEqual(Array.from({ length: LENGTH }, (_, i) => i + 1));
  });

  it('are answered one at least, however large', async () => {
    const messages = at(large, '/messages');
    const page = expectOk(await api.get(messages + query({ limit: 1, after_seq: 3 })));
    expect(seqs(page.messages)).toEqual([4]);
  });
});
