import type { Answer, Api } from '../setup/api.js';
import { SERVICE_KEY, startApp, type TestApp } from '../setup/app.js';
import {
  append,
  at,
  atOnce,
  create,
  eventsOf,
  expectOk,
  expectRefused,
  fresh,
  read,
  share,
  TIME,
  UUID_V7,
} from './support.js';

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
  id = (await create(api, { session_id: fresh('session') })).session_id;
});

const post = (body: unknown, headers?: Record<string, string>, caller = api): Promise<Answer> =>
  caller.post(at(id, '/messages'), body, headers);
const say = (content: unknown, more: object = {}) => ({ role: 'user', content, ...more });
const batch = (...contents: string[]) => ({ messages: contents.map((content) => say(content)) });
const history = async () => expectOk(await api.get(at(id, '/messages?limit=1000'))).messages;
const contents = async () => (await history()).map((message: { content: unknown }) => message.content);
const isReplay = (answer: Answer) => answer.headers.get('idempotency-replayed') === 'true';

describe('appending', () => {
  it('answers the message with its defaults', async () => {
    const answer = await post({ role: 'user', content: 'Hello' });
    const message = expectOk(answer, 201);
    expect(message).toEqual({
      message_id: expect.stringMatching(UUID_V7),
      session_id: id,
      seq: 1,
      user_id: user,
      role: 'user',
      content: 'Hello',
      message_type: 'chat',
      tool_calls: null,
      tool_call_id: null,
      tool_call_seq: null,
      name: null,
      model: null,
      tokens_used: null,
      cost_usd: null,
      token_count: null,
      metadata: {},
      origin: null,
      redacted_at: null,
      created_at: expect.stringMatching(TIME),
      timestamp: message.created_at,
    });
    expect(isReplay(answer)).toBe(false);
    expect(await history()).toEqual([message]);
    expect(expectOk(await api.get(at(id, `/messages/${message.message_id}`)))).toEqual(message);
  });

  it('keeps every field', async () => {
    const given = {
      message_id: 'my.id:1@x+y~z',
      role: 'assistant',
      content: 'Ünïcödé 标题 🚀',
      message_type: 'notification',
      tool_calls: [{ id: 'c1', type: 'function', function: { name: 'f', arguments: '{}' } }],
      name: 'Bot',
      model: 'model-1',
      tokens_used: 2_147_483_647,
      cost_usd: 0.0000000001,
      metadata: { z: 1, a: { b: [null, 'x'] } },
    };
    expect(await append(api, id, given)).toMatchObject({ ...given, seq: 1, user_id: user });
    expect(await history()).toMatchObject([given]);
  });

  it.each(['chat', 'system', 'tool_call', 'tool_result', 'notification'])(
    'takes the type %s',
    async (type) => {
      expect(await append(api, id, say('x', { message_type: type }))).toMatchObject({ message_type: type });
    },
  );

  it.each([
    [
      'a text with everything in it',
      ' "quoted" \\ / \t\r\n \u0001\u001f\u007f\u2028\u2029 é 标题 🚀\u200d👩 </script>',
    ],
    ['the empty string', ''],
    ['only spaces', '   '],
    ['a long text', 'x'.repeat(1024 * 1024 - 2)],
    ['no parts', []],
    [
      'parts',
      [
        { type: 'text', text: 'a' },
        { type: 'image_url', image_url: { url: 'u', detail: 'low' } },
      ],
    ],
    ['a file', [{ type: 'file', file: { filename: 'a.pdf', file_data: 'ZGF0YQ==' } }]],
    ['nested parts', [{ type: 'x', deep: { a: [[[{ b: null }]]], c: true, d: 1.5e-7, e: '' } }]],
    ['parts whose type is not their first member', [{ text: 'a', type: 'text', annotations: [] }]],
    ['parts whose members are in no order', [{ z: 1, type: 'x', a: { z: 1, b: 2, a: 3 }, m: 0 }]],
  ])('gives back byte for byte: %s', async (_, content) => {
    const expected = JSON.stringify(content);
    const answered = await append(api, id, say(content, { message_id: 'm' }));
    expect(JSON.stringify(answered.content)).toBe(expected);
    const raw = await api.get(at(id, '/messages/m'));
    expect(JSON.stringify(raw.body.content)).toBe(expected);
    expect(raw.text).toContain(`"content":${expected}`);
    expect(JSON.stringify((await history())[0].content)).toBe(expected);
    const replayed = await post(say(content, { message_id: 'm' }));
    expect(JSON.stringify(expectOk(replayed).content)).toBe(expected);
  });

  it('gives metadata back in its own order', async () => {
    const metadata = { z: { y: 1, a: 2 }, a: 1, '': [], ü: 'x' };
    const answered = await append(api, id, say('x', { metadata }));
    expect(JSON.stringify(answered.metadata)).toBe(JSON.stringify(metadata));
    expect(JSON.stringify((await history())[0].metadata)).toBe(JSON.stringify(metadata));
  });

  it('numbers messages from 1, without gaps, in order of time', async () => {
    await append(api, id, say('1'));
    await append(api, id, batch('2', '3'));
    expectRefused(await post({ role: 'nobody', content: 'x' }), 422, 'invalid');
    expectRefused(await post({ ...batch('x', 'y'), expected_seq: 99 }), 409, 'seq_moved');
    await append(api, id, say('4'));
    const messages = await history();
    expect(messages.map((m: { seq: number }) => m.seq)).toEqual([1, 2, 3, 4]);
    expect(await contents()).toEqual(['1', '2', '3', '4']);
    const times = messages.map((m: { created_at: string }) => m.created_at);
    expect([...times].sort()).toEqual(times);
  });

  it('keeps seq and time in step when writers meet', async () => {
    await atOnce(40, (i) => post(i % 4 ? say(`${i}`) : batch(`${i}a`, `${i}b`, `${i}c`)));
    const messages = await history();
    expect(messages.map((m: { seq: number }) => m.seq)).toEqual(Array.from({ length: 60 }, (_, i) => i + 1));
    const times = messages.map((m: { created_at: string }) => m.created_at);
    expect([...times].sort()).toEqual(times);
    expect((await read(api, id)).message_count).toBe(60);
    const texts = await contents();
    for (let i = 0; i < 40; i += 4) {
      const start = texts.indexOf(`${i}a`);
      expect(texts.slice(start, start + 3)).toEqual([`${i}a`, `${i}b`, `${i}c`]);
    }
  });

  it('renews the activity of the session, and counts', async () => {
    const before = await read(api, id);
    const message = await append(api, id, say('x'));
    const after = await read(api, id);
    expect(after.message_count).toBe(1);
    expect(after.last_activity_at >= before.last_activity_at).toBe(true);
    expect(after.last_activity_at >= message.created_at).toBe(true);
  });
});

describe('a batch', () => {
  it('is answered with its messages and the count of the session', async () => {
    await append(api, id, say('0'));
    const answer = await post(batch('1', '2', '3'));
    const { messages, message_count, ...rest } = expectOk(answer, 201);
    expect(rest).toEqual({});
    expect(message_count).toBe(4);
    expect(messages.map((m: { seq: number; content: string }) => [m.seq, m.content])).toEqual([
      [2, '1'],
      [3, '2'],
      [4, '3'],
    ]);
    expect((await history()).slice(1)).toEqual(messages);
  });

  it('of one is still a batch', async () => {
    expect(await append(api, id, batch('x'))).toMatchObject({
      messages: [{ content: 'x' }],
      message_count: 1,
    });
  });

  it('of 1000 is taken, of 1001 or none not', async () => {
    const many = (count: number) => batch(...Array.from({ length: count }, (_, i) => `${i}`));
    expect(await append(api, id, many(1000))).toMatchObject({ message_count: 1000 });
    expectRefused(await post(many(1001)), 422, 'invalid');
    expectRefused(await post(many(0)), 422, 'invalid');
    expect((await read(api, id)).message_count).toBe(1000);
  });

  it('is all or nothing', async () => {
    const bad = { messages: [say('good'), { role: 'user' }] };
    const answer = await post(bad);
    expectRefused(answer, 422, 'invalid');
    expect(answer.body.errors[0].pointer).toBe('/messages/1/content');
    expectRefused(
      await post({ messages: [say('a', { message_id: 'm' }), say('b', { message_id: 'm' })] }),
      422,
      'invalid',
    );
    expectRefused(await post({ messages: [say('a'), say('x'.repeat(1024 * 1024))] }), 413, 'too_large');
    expect(await contents()).toEqual([]);
    expect(await eventsOf(api, id)).toHaveLength(1);
  });

  it('points to the message that is too large', async () => {
    const large = say('x'.repeat(1024 * 1024));
    for (const [body, pointer] of [
      [large, '/content'],
      [{ messages: [say('a'), large] }, '/messages/1/content'],
      [{ messages: [large] }, '/messages/0/content'],
    ] as const) {
      const answer = await post(body);
      expectRefused(answer, 413, 'too_large');
      expect(answer.body.detail.split(' ')[0]).toBe(pointer);
    }
  });
});

describe('what a message may be', () => {
  const CALL = [{ id: 'c' }];
  const roles = ['system', 'developer', 'user', 'assistant'];

  it.each(roles)('%s with text', async (role) => {
    expect(await append(api, id, { role, content: 'x' })).toMatchObject({ role });
  });

  it.each([
    ['assistant with calls and no content', { role: 'assistant', tool_calls: CALL }, null],
    ['assistant with calls and null', { role: 'assistant', tool_calls: CALL, content: null }, null],
    ['assistant with calls and text', { role: 'assistant', tool_calls: CALL, content: 'x' }, 'x'],
    ['explicit nulls', { role: 'user', content: 'x', tool_calls: null, tool_call_id: null, name: null }, 'x'],
  ])('%s', async (_, body, content) => {
    expect((await append(api, id, body)).content).toBe(content);
  });

  it.each([
    ['no role', { content: 'x' }, '/role'],
    ['an unknown role', { role: 'bot', content: 'x' }, '/role'],
    ['no content', { role: 'user' }, '/content'],
    ['null content', { role: 'user', content: null }, '/content'],
    ['null content and null calls', { role: 'assistant', content: null, tool_calls: null }, '/content'],
    ['a number', { role: 'user', content: 5 }, '/content'],
    ['an object', { role: 'user', content: { type: 'text' } }, '/content'],
    ['parts without type', { role: 'user', content: [{ text: 'x' }] }, '/content'],
    ['parts that are text', { role: 'user', content: ['x'] }, '/content'],
    ['a tool message without tool_call_id', { role: 'tool', content: 'x' }, '/tool_call_id'],
    [
      'a tool message with calls',
      { role: 'tool', content: 'x', tool_call_id: 'c', tool_calls: CALL },
      '/tool_calls',
    ],
    ['a user’s calls', { role: 'user', content: 'x', tool_calls: CALL }, '/tool_calls'],
    ['a user’s tool_call_id', { role: 'user', content: 'x', tool_call_id: 'c' }, '/tool_call_id'],
    ['no calls at all', { role: 'assistant', content: 'x', tool_calls: [] }, '/tool_calls'],
    ['calls without id', { role: 'assistant', tool_calls: [{ type: 'function' }] }, '/tool_calls/0'],
    ['two calls with one id', { role: 'assistant', tool_calls: [...CALL, ...CALL] }, '/tool_calls'],
    ['an unknown type', { role: 'user', content: 'x', message_type: 'email' }, '/message_type'],
    ['a bad message_id', { role: 'user', content: 'x', message_id: 'a b' }, '/message_id'],
    ['a long message_id', { role: 'user', content: 'x', message_id: 'x'.repeat(256) }, '/message_id'],
    ['negative tokens', { role: 'user', content: 'x', tokens_used: -1 }, '/tokens_used'],
    ['half tokens', { role: 'user', content: 'x', tokens_used: 1.5 }, '/tokens_used'],
    ['too many tokens', { role: 'user', content: 'x', tokens_used: 2_147_483_648 }, '/tokens_used'],
    ['negative cost', { role: 'user', content: 'x', cost_usd: -0.01 }, '/cost_usd'],
    ['cost as text', { role: 'user', content: 'x', cost_usd: '0.1' }, '/cost_usd'],
    ['eleven decimals', { role: 'user', content: 'x', cost_usd: 0.00000000001 }, '/cost_usd'],
    ['twelve digits behind the point', { role: 'user', content: 'x', cost_usd: 0.123456789012 }, '/cost_usd'],
    ['metadata that is a list', { role: 'user', content: 'x', metadata: [] }, '/metadata'],
    ['an empty name', { role: 'user', content: 'x', name: '' }, '/name'],
    ['a long model', { role: 'user', content: 'x', model: 'x'.repeat(256) }, '/model'],
    ['a negative expected_seq', { role: 'user', content: 'x', expected_seq: -1 }, '/expected_seq'],
    ['an unknown member', { role: 'user', content: 'x', unheard_of: 1 }, '/unheard_of'],
    ['NUL', { role: 'user', content: 'a\0' }, '/content'],
    ['NUL in a part', { role: 'user', content: [{ type: 'text', text: '\0' }] }, '/content/0/text'],
  ])('refuses %s', async (_, body, pointer) => {
    const alone = await post(body);
    expectRefused(alone, 422, 'invalid');
    expect(alone.body.errors.map((e: { pointer: string }) => e.pointer)).toEqual(
      expect.arrayContaining([expect.stringMatching(`^${pointer}`)]),
    );
    if ('expected_seq' in body) return;
    const second = await post({ messages: [say('first'), body] });
    expectRefused(second, 422, 'invalid');
    expect(second.body.errors.map((e: { pointer: string }) => e.pointer)).toEqual(
      expect.arrayContaining([expect.stringMatching(`^/messages/1${pointer}`)]),
    );
    expect(await contents()).toEqual([]);
  });

  it.each(['seq', 'session_id', 'tool_call_seq', 'token_count', 'origin', 'created_at', 'timestamp'])(
    'answers read_only for %s',
    async (member) => {
      expectRefused(await post(say('x', { [member]: 1 })), 422, 'read_only');
    },
  );

  it.each(['.', '..', 'stats', 'merge', 'resume'])('refuses the reserved id %s', async (message_id) => {
    expectRefused(await post(say('x', { message_id })), 422, 'reserved_id');
  });

  it('lower-cases a message_id that is a canonical UUID', async () => {
    const upper = 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11';
    expect((await append(api, id, say('x', { message_id: upper }))).message_id).toBe(upper.toLowerCase());
    expect((await post(say('x', { message_id: upper }))).status).toBe(200);
    expectOk(await api.get(at(id, `/messages/${upper}`)));
  });

  it('refuses metadata beyond 64 KiB and content beyond 1 MiB', async () => {
    const metadata = { x: 'x'.repeat(64 * 1024 - 8) };
    expectOk(await post(say('x', { metadata })), 201);
    expectRefused(await post(say('x', { metadata: { x: `${metadata.x}y` } })), 413, 'too_large');
    expectOk(await post(say('x'.repeat(1024 * 1024 - 2))), 201);
    expectRefused(await post(say('x'.repeat(1024 * 1024 - 1))), 413, 'too_large');
    expectRefused(await post(say([{ type: 'text', text: 'é'.repeat(600_000) }])), 413, 'too_large');
  });
});

describe('whose message it is', () => {
  it('is the caller’s, or the one a service names, or the owner’s', async () => {
    const editor = fresh('editor');
    await share(app, id, editor, 'editor');
    const asEditor = app.api.as(editor);
    expect((await append(api, id, say('x', { user_id: user }))).user_id).toBe(user);
    expect((await append(asEditor, id, say('x'))).user_id).toBe(editor);
    expect((await append(service, id, say('x'))).user_id).toBe(user);
    expect((await append(service, id, say('x', { user_id: 'named' }))).user_id).toBe('named');
    const { messages } = await append(service, id, { messages: [say('x', { user_id: 'a' }), say('x')] });
    expect(messages.map((m: { user_id: string }) => m.user_id)).toEqual(['a', user]);
    expectRefused(await post(say('x', { user_id: 'else' })), 403, 'forbidden');
    expectRefused(await post({ messages: [say('x'), say('x', { user_id: 'else' })] }), 403, 'forbidden');
    expect((await read(api, id)).message_count).toBe(6);
  });

  it('is nobody’s in an agent’s own session', async () => {
    const agents = await create(service, { agent_id: 'agent' });
    expect((await append(service, agents.session_id, say('x'))).user_id).toBeNull();
  });

  it('may not be written by a viewer, nor a stranger', async () => {
    const viewer = fresh('viewer');
    await share(app, id, viewer, 'viewer');
    for (const body of [say('x'), batch('x'), { role: 'wrong' }, say('x'.repeat(1024 * 1024 + 1))]) {
      expectRefused(await post(body, {}, app.api.as(viewer)), 403, 'forbidden');
      expectRefused(await post(body, {}, app.api.as(fresh())), 404, 'session_not_found');
    }
    expect(await contents()).toEqual([]);
    expectOk(await app.api.as(viewer).get(at(id, '/messages')));
    expectRefused(await app.api.as(fresh()).get(at(id, '/messages')), 404, 'session_not_found');
    expectRefused(await app.api.as(fresh()).get(at(id, '/messages/m')), 404, 'session_not_found');
  });
});

describe('the session’s totals', () => {
  it.each([
    ['0.1 + 0.2', [0.1, 0.2], 0.3],
    ['ten times 0.1', Array(10).fill(0.1), 1],
    ['the smallest', [1e-10, 1e-10, 2e-10], 4e-10],
    ['the smallest beside a large one', [12345.6789, 1e-10], 12345.6789000001],
    ['some without', [null, 0.5, undefined, 0], 0.5],
    ['a thousand of 0.0000123', Array(1000).fill(0.0000123), 0.0123],
  ])('sum costs exactly: %s', async (_, costs, total) => {
    const messages = costs.map((cost_usd) => say('x', { cost_usd }));
    for (const message of messages.slice(0, 5)) await append(api, id, message);
    if (messages.length > 5) await append(api, id, { messages: messages.slice(5) });
    expect((await read(api, id)).total_cost).toBe(total);
    const stored = (await history()).map((m: { cost_usd: number }) => m.cost_usd);
    expect(stored).toEqual(costs.map((cost) => cost ?? null));
  });

  it('sum tokens', async () => {
    await append(api, id, say('x', { tokens_used: 2_147_483_647 }));
    await append(api, id, {
      messages: [say('x', { tokens_used: 2_147_483_647 }), say('x'), say('x', { tokens_used: 3 })],
    });
    expect(await read(api, id)).toMatchObject({ total_tokens: 4_294_967_297, message_count: 4 });
  });

  it('hold when writers meet', async () => {
    await atOnce(30, (i) => post(say('x', { cost_usd: 0.1, tokens_used: i })));
    expect(await read(api, id)).toMatchObject({ total_cost: 3, total_tokens: 435, message_count: 30 });
  });

  it('are not moved by a replay, nor by what is refused', async () => {
    const body = say('x', { message_id: 'm', cost_usd: 0.1, tokens_used: 7 });
    await append(api, id, body);
    const before = await read(api, id);
    expectOk(await post(body), 200);
    expectRefused(await post({ ...body, content: 'y' }), 409, 'message_id_conflict');
    expectRefused(await post(say('x', { cost_usd: 5, expected_seq: 7 })), 409, 'seq_moved');
    expect(await read(api, id)).toEqual(before);
  });

  it('refuse what would burst them', async () => {
    for (let i = 0; i < 9; i++) expectOk(await post(say('x', { cost_usd: 1e9 })), 201);
    expectOk(await post(say('x', { cost_usd: 999_999_999 })), 201);
    const answer = await post(say('x', { cost_usd: 1e9 }));
    expectRefused(answer, 422, 'invalid');
    expect((await read(api, id)).message_count).toBe(10);
  });
});

describe('message_id', () => {
  it('makes a repeated append a replay', async () => {
    const body = say('x', { message_id: 'm', metadata: { a: 1 }, tokens_used: 5 });
    const first = await append(api, id, body);
    for (const again of [
      body,
      say('x', { message_id: 'm' }),
      { ...body, metadata: { other: 1 }, model: 'other' },
    ]) {
      const answer = await post(again);
      expect([answer.status, isReplay(answer)]).toEqual([200, true]);
      expect(answer.body).toEqual(first);
    }
    expect(await history()).toEqual([first]);
  });

  it.each([
    ['content', { content: 'y' }],
    ['content of another kind', { content: [{ type: 'text', text: 'x' }] }],
    ['role', { role: 'system' }],
    ['name', { name: 'n' }],
    ['calls', { role: 'assistant', tool_calls: [{ id: 'c' }] }],
  ])('is refused with other %s', async (_, change) => {
    const body = { role: 'assistant', content: 'x', message_id: 'm' };
    const first = await append(api, id, body);
    const answer = await post({ ...body, ...change });
    expectRefused(answer, 409, 'message_id_conflict');
    expect(answer.body.message_id).toBe('m');
    expect(await history()).toEqual([first]);
  });

  it('is unique in its session only', async () => {
    const other = await create(api);
    await append(api, id, say('x', { message_id: 'm' }));
    await append(api, other.session_id, say('y', { message_id: 'm' }));
  });

  it('makes a repeated batch a replay', async () => {
    const body = { messages: [say('a', { message_id: 'a' }), say('b', { message_id: 'b' })] };
    const first = await append(api, id, body);
    const again = await post(body);
    expect([again.status, isReplay(again)]).toEqual([200, true]);
    expect(again.body).toEqual(first);
    expectOk(await post(say('b', { message_id: 'b' })), 200);
  });

  it('refuses a batch partly known', async () => {
    await append(api, id, say('a', { message_id: 'a' }));
    for (const messages of [
      [say('a', { message_id: 'a' }), say('b', { message_id: 'b' })],
      [say('b', { message_id: 'b' }), say('a', { message_id: 'a' })],
      [say('a', { message_id: 'a' }), say('b')],
      [say('b'), say('other', { message_id: 'a' })],
    ]) {
      expectRefused(await post({ messages }), 409, 'message_id_conflict');
    }
    expect(await contents()).toEqual(['a']);
  });

  it('gets one message of 20 twins at once', async () => {
    const answers = await atOnce(20, () => post(say('x', { message_id: 'm' })));
    expect(answers.map((a) => a.status).sort()).toEqual([...Array(19).fill(200), 201]);
    for (const answer of answers) expect(answer.body.seq).toBe(1);
    expect(await contents()).toEqual(['x']);
    expect((await eventsOf(api, id)).filter((e) => e.event_type === 'message.appended')).toHaveLength(1);
  });
});

describe('Idempotency-Key', () => {
  const key = { 'idempotency-key': 'k' };

  it('has one message appended once', async () => {
    const first = await post(say('x'), key);
    expect([first.status, isReplay(first)]).toEqual([201, false]);
    for (let i = 0; i < 3; i++) {
      const again = await post(say('x'), key);
      expect([again.status, isReplay(again)]).toEqual([200, true]);
      expect(again.body).toEqual(first.body);
    }
    expect(await contents()).toEqual(['x']);
  });

  it('has a batch appended once', async () => {
    const first = expectOk(await post(batch('a', 'b', 'c'), key), 201);
    await append(api, id, say('later'));
    const again = await post(batch('a', 'b', 'c'), key);
    expect([again.status, isReplay(again)]).toEqual([200, true]);
    expect(again.body.messages).toEqual(first.messages);
    expect(await contents()).toEqual(['a', 'b', 'c', 'later']);
  });

  it.each([
    ['other text', say('x'), say('y')],
    ['another role', say('x'), { role: 'system', content: 'x' }],
    ['another batch', batch('a', 'b'), batch('a', 'c')],
    ['another order', batch('a', 'b'), batch('b', 'a')],
    ['a longer batch', batch('a', 'b'), batch('a', 'b', 'c')],
    ['a shorter batch', batch('a', 'b', 'c'), batch('a', 'b')],
    ['a much shorter batch', batch('a', 'b', 'c'), batch('a')],
    ['a single message instead of a batch', batch('a', 'b'), say('a')],
    ['a batch instead of a single message', say('a'), batch('a', 'b')],
    ['a batch of one instead of the message in it', say('a'), batch('a')],
    ['other metadata', say('x'), { ...say('x'), metadata: { a: 1 } }],
    ['other tokens', { ...say('x'), tokens_used: 1 }, { ...say('x'), tokens_used: 2 }],
    ['another model', { ...say('x'), model: 'a' }, { ...say('x'), model: 'b' }],
  ])('refuses %s', async (_, first, second) => {
    expectOk(await post(first, key), 201);
    const before = await contents();
    expectRefused(await post(second, key), 422, 'key_reused');
    expect(await contents()).toEqual(before);
  });

  it('knows its body again whatever the order of its members, and whatever became of the message', async () => {
    const first = expectOk(await post(say('x', { metadata: { a: 1, b: 2 } }), key), 201);
    await app.database.pool.query(`update messages set metadata = '{"a":9}' where message_id = $1`, [
      first.message_id,
    ]);
    const again = await post({ metadata: { b: 2, a: 1 }, content: 'x', role: 'user' }, key);
    expect([again.status, isReplay(again)]).toEqual([200, true]);
    expect(again.body).toEqual({ ...first, metadata: { a: 9 } });
  });

  it('belongs to its caller and its session', async () => {
    const editor = fresh('editor');
    await share(app, id, editor, 'editor');
    const other = (await create(api)).session_id;
    const first = expectOk(await post(say('x'), key), 201);
    const byEditor = expectOk(await post(say('y'), key, app.api.as(editor)), 201);
    const byService = expectOk(await post(say('z'), key, service), 201);
    const elsewhere = expectOk(await api.post(at(other, '/messages'), say('w'), key), 201);
    expect(new Set([first, byEditor, byService].map((m) => m.message_id)).size).toBe(3);
    expect(elsewhere.seq).toBe(1);
    expect(await contents()).toEqual(['x', 'y', 'z']);
  });

  it('stays free when the append fails', async () => {
    expectRefused(await post(say('x', { expected_seq: 5 }), key), 409, 'seq_moved');
    expectRefused(await post({ role: 'user' }, key), 422, 'invalid');
    expectRefused(
      await post({ role: 'tool', content: 'x', tool_call_id: 'c' }, key),
      422,
      'unknown_tool_call',
    );
    expectOk(await post(say('x'), key), 201);
  });

  it('gets one batch of 20 twins at once', async () => {
    const answers = await atOnce(20, () => post(batch('a', 'b'), key));
    expect(answers.map((a) => a.status).sort()).toEqual([...Array(19).fill(200), 201]);
    expect(await contents()).toEqual(['a', 'b']);
  });

  it('gets one of two different bodies at once', async () => {
    for (let round = 0; round < 10; round++) {
      const own = { 'idempotency-key': `round ${round}` };
      const answers = await atOnce(2, (i) => post(say(`${round}.${i}`), own));
      expect(answers.map((a) => a.status).sort()).toEqual([201, 422]);
    }
    expect(await contents()).toHaveLength(10);
  });

  it.each(['', 'ä', 'x'.repeat(256)])('refuses the key %.10j', async (bad) => {
    const header = Buffer.from(bad, 'utf8').toString('latin1');
    expectRefused(await post(say('x'), { 'idempotency-key': header }), 422, 'invalid');
  });
});

describe('a replay', () => {
  const WAYS: [string, object, Record<string, string>][] = [
    ['by message_id', { message_id: 'm' }, {}],
    ['by key', {}, { 'idempotency-key': 'k' }],
  ];

  describe.each(WAYS)('%s', (_, extra, headers) => {
    it.each(['completed', 'crashed', 'archived'])('wins over the state: %s since', async (status) => {
      const first = expectOk(await post(say('x', extra), headers), 201);
      await api.patch(at(id), { status });
      expect(expectOk(await post(say('x', extra), headers))).toEqual(first);
    });

    it('wins over expected_seq', async () => {
      const body = say('x', { ...extra, expected_seq: 0 });
      const first = expectOk(await post(body, headers), 201);
      await append(api, id, say('later'));
      const again = await post(body, headers);
      expect([again.status, isReplay(again)]).toEqual([200, true]);
      expect(again.body).toEqual(first);
    });

    it('loses to access', async () => {
      const editor = fresh('editor');
      await share(app, id, editor, 'editor');
      const asEditor = app.api.as(editor);
      expectOk(await post(say('x', extra), headers, asEditor), 201);
      await share(app, id, editor, 'viewer');
      expectRefused(await post(say('x', extra), headers, asEditor), 403, 'forbidden');
      await api.delete(at(id, `/share/${editor}`));
      expectRefused(await post(say('x', extra), headers, asEditor), 404, 'session_not_found');
    });

    it('loses to the deletion of the session', async () => {
      expectOk(await post(say('x', extra), headers), 201);
      await api.delete(at(id));
      expectRefused(await post(say('x', extra), headers), 404, 'session_deleted');
      await api.post(at(id, '/restore'));
      expectOk(await post(say('x', extra), headers), 200);
      await api.delete(at(id, '?permanent=true'));
      expectRefused(await post(say('x', extra), headers), 404, 'session_not_found');
    });

    it('is none in the next session with that id', async () => {
      expectOk(await post(say('x', extra), headers), 201);
      await api.delete(at(id));
      await create(api, { session_id: id });
      expectOk(await post(say('y', extra), headers), 201);
      expect(await contents()).toEqual(['y']);
    });

    it('writes no event and renews nothing', async () => {
      expectOk(await post(say('x', extra), headers), 201);
      const [session, events] = [await read(api, id), await eventsOf(api, id)];
      expectOk(await post(say('x', extra), headers));
      expect(await read(api, id)).toEqual(session);
      expect(await eventsOf(api, id)).toEqual(events);
    });
  });
});

describe('expected_seq', () => {
  it('is 0 for an empty session, and the last seq else', async () => {
    expectOk(await post(say('1', { expected_seq: 0 })), 201);
    expectOk(await post({ ...batch('2', '3'), expected_seq: 1 }), 201);
    expectOk(await post(say('4', { expected_seq: 3 })), 201);
  });

  it.each([0, 1, 3, 1_000_000, Number.MAX_SAFE_INTEGER])(
    'refuses %i after two messages',
    async (expected_seq) => {
      await append(api, id, batch('1', '2'));
      for (const body of [say('x', { expected_seq }), { ...batch('x', 'y'), expected_seq }]) {
        const answer = await post(body);
        expectRefused(answer, 409, 'seq_moved');
        expect(answer.body.seq).toBe(2);
      }
      expect(await contents()).toEqual(['1', '2']);
    },
  );

  it('lets one of 20 through', async () => {
    const answers = await atOnce(20, (i) => post(say(`${i}`, { expected_seq: 0 })));
    expect(answers.map((a) => a.status).sort()).toEqual([201, ...Array(19).fill(409)]);
    for (const answer of answers.filter((a) => a.status === 409)) expectRefused(answer, 409, 'seq_moved');
    expect(await contents()).toHaveLength(1);
  });

  it('belongs to the request, not to a message of a batch', async () => {
    expectRefused(await post({ messages: [say('x', { expected_seq: 0 })] }), 422, 'invalid');
  });
});

describe('the state', () => {
  it.each(['active', 'paused'])('%s takes messages', async (status) => {
    await api.patch(at(id), { status });
    expectOk(await post(say('x')), 201);
    expect((await read(api, id)).status).toBe(status);
  });

  it.each(['completed', 'crashed', 'archived'])('%s takes none', async (status) => {
    await append(api, id, say('before'));
    await api.patch(at(id), { status });
    const before = await read(api, id);
    for (const body of [say('x'), batch('x', 'y')]) expectRefused(await post(body), 409, 'session_not_open');
    expect(await read(api, id)).toEqual(before);
    expect(await contents()).toEqual(['before']);
  });
});

describe('getting one message', () => {
  it('answers it, or message_not_found', async () => {
    const first = await append(api, id, say('x', { message_id: 'm:1' }));
    expect(expectOk(await api.get(at(id, '/messages/m:1')))).toEqual(first);
    expect(expectOk(await service.get(at(id, '/messages/m%3A1')))).toEqual(first);
    for (const none of ['none', 'M:1', '1', 'x'.repeat(300), '%20', 'a%00b']) {
      const answer = await api.get(at(id, `/messages/${none}`));
      if (none.includes('%00')) expectRefused(answer, 422, 'invalid');
      else expectRefused(answer, 404, 'message_not_found');
    }
    const other = (await create(api)).session_id;
    expectRefused(await api.get(at(other, '/messages/m:1')), 404, 'message_not_found');
    expectRefused(await api.get(at('no-such-session', '/messages/m:1')), 404, 'session_not_found');
  });
});

describe('the title', () => {
  const titleAfter = async (...messages: object[]) => {
    await append(api, id, { messages });
    return (await read(api, id)).title;
  };

  it.each([
    ['the first sentence', 'Why two items? I bought one.', 'Why two items?'],
    ['a sentence ended by !', 'Help! It burns.', 'Help!'],
    ['a text without end', 'no full stop here', 'no full stop here'],
    ['not every point', 'Version 1.2.3 of a.b is out. Really.', 'Version 1.2.3 of a.b is out.'],
    ['the first line', 'First line\nsecond line', 'First line'],
    ['what begins with blanks', ' \n\t Hello there. x', 'Hello there.'],
    ['one blank for many', 'a \t  b   c', 'a b c'],
    ['a sentence in Chinese', '今天天气怎么样？我想出去。', '今天天气怎么样？'],
    ['a sentence in Japanese', 'こんにちは。元気ですか。', 'こんにちは。'],
    ['80 characters', 'x'.repeat(80), 'x'.repeat(80)],
    ['81 characters without a blank', 'x'.repeat(81), 'x'.repeat(80)],
    ['a cut at a word', `${'word '.repeat(20)}end`, 'word '.repeat(16).trim()],
    ['a cut before the word that does not fit', `${'a'.repeat(70)} ${'b'.repeat(20)}`, 'a'.repeat(70)],
    [
      'a word that ends at the 80th',
      `${'a'.repeat(40)} ${'b'.repeat(39)} c`,
      `${'a'.repeat(40)} ${'b'.repeat(39)}`,
    ],
    ['long Chinese', '汉'.repeat(100), '汉'.repeat(80)],
  ])('is %s', async (_, content, title) => {
    expect(await titleAfter(say(content))).toBe(title);
  });

  it.each([77, 78, 79, 80])('does not part an emoji after %i characters', async (length) => {
    const title = await titleAfter(say(`${'x'.repeat(length)}🚀🚀🚀🚀`));
    expect(title.isWellFormed()).toBe(true);
    expect(title).toMatch(/^x+(🚀)*$/u);
    expect([...title].length).toBeLessThanOrEqual(80);
    expect(title.length).toBeGreaterThanOrEqual(79);
  });

  it('is made of the first user message, and once', async () => {
    expect(
      await titleAfter({ role: 'system', content: 'System.' }, { role: 'assistant', content: 'Hi.' }),
    ).toBeNull();
    expect(await titleAfter(say('First.'), say('Second.'))).toBe('First.');
    expect(await titleAfter(say('Third.'))).toBe('First.');
    expect((await read(api, id)).version).toBe(1);
  });

  it('is made of the first text part', async () => {
    const image = { type: 'image_url', image_url: { url: 'u' } };
    expect(await titleAfter(say([image, { type: 'text', text: 'What is this? Tell.' }]))).toBe(
      'What is this?',
    );
  });

  it('waits for a message with text', async () => {
    const image = { type: 'image_url', image_url: { url: 'u' } };
    expect(await titleAfter(say([image]), say(''), say('  '), say([{ type: 'text', text: '' }]))).toBeNull();
    expect(await titleAfter(say('Now.'))).toBe('Now.');
  });

  it('is not made where one was given', async () => {
    await api.patch(at(id), { title: 'Given' });
    expect(await titleAfter(say('Made.'))).toBe('Given');
    const other = await create(api, { title: 'Given too' });
    await append(api, other.session_id, say('Made.'));
    expect((await read(api, other.session_id)).title).toBe('Given too');
  });

  it('is not made again when it was edited or taken away', async () => {
    await append(api, id, say('Made.'));
    await api.patch(at(id), { title: 'Edited' });
    expect(await titleAfter(say('More.'))).toBe('Edited');
    await api.patch(at(id), { title: null });
    expect(await titleAfter(say('Still more.'))).toBeNull();
  });

  it('is made once of 20 first messages at once', async () => {
    await atOnce(20, (i) => post(say(`Text ${i}.`)));
    const [first] = await history();
    expect((await read(api, id)).title).toBe(first.content);
    const titled = (await eventsOf(api, id)).filter((e) => e.payload.updates?.includes('title'));
    expect(titled).toHaveLength(1);
  });

  it('shows in lists, by both names', async () => {
    await append(api, id, say('Made.'));
    const [session] = expectOk(await api.get('/api/v1/sessions?q=made')).sessions;
    expect(session).toMatchObject({ title: 'Made.', name: 'Made.' });
  });
});
