import type { Api } from '../setup/api.js';
import { SERVICE_KEY, startApp, type TestApp } from '../setup/app.js';
import { startService } from '../setup/service.js';
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
  TIME,
} from './support.js';

let app: TestApp;
let api: Api;
let id: string;

beforeAll(async () => {
  app = await startApp();
});
afterAll(() => app.close());
beforeEach(async () => {
  api = app.api.as(fresh());
  id = (await create(api)).session_id;
});

const say = (content: unknown, more: object = {}) => append(api, id, { role: 'user', content, ...more });
const path = (message: string) => at(id, `/messages/${message}`);
const totals = async () => {
  const { total_tokens, total_cost, version } = await read(api, id);
  return { total_tokens, total_cost, version };
};
const told = async () =>
  (await eventsOf(api, id)).slice(1).map(({ event_type, payload }) => [event_type, payload] as const);

describe('PATCH of a message', () => {
  it('merges metadata, sets tokens and cost, and the totals of the session follow', async () => {
    await say('other', { tokens_used: 5, cost_usd: 0.5 });
    const before = await say('x', { metadata: { a: 1, b: { c: 1 } }, tokens_used: 10, cost_usd: 0.1 });
    const change = { metadata: { a: null, b: { d: 2 } }, tokens_used: 7, cost_usd: 0.2 };
    const after = expectOk(await api.patch(path(before.message_id), change));
    expect(after).toEqual({ ...before, metadata: { b: { c: 1, d: 2 } }, tokens_used: 7, cost_usd: 0.2 });
    expect(expectOk(await api.get(path(before.message_id)))).toEqual(after);
    expect(await totals()).toEqual({ total_tokens: 12, total_cost: 0.7, version: 1 });
    expect((await told()).at(-1)).toEqual([
      'message.updated',
      { seq: 2, updates: ['metadata', 'tokens_used', 'cost_usd'] },
    ]);
  });

  it('takes a report back', async () => {
    const { message_id } = await say('x', { tokens_used: 10, cost_usd: 0.1 });
    const after = expectOk(await api.patch(path(message_id), { tokens_used: null, cost_usd: null }));
    expect(after).toMatchObject({ tokens_used: null, cost_usd: null });
    expect(await totals()).toEqual({ total_tokens: 0, total_cost: 0, version: 1 });
  });

  it('changes nothing when nothing is new', async () => {
    const message = await say('x', { metadata: { a: 1 }, tokens_used: 3 });
    const before = await told();
    for (const body of [{}, { metadata: {} }, { metadata: { a: 1 }, tokens_used: 3 }]) {
      expect(expectOk(await api.patch(path(message.message_id), body))).toEqual(message);
    }
    expect(await told()).toEqual(before);
  });

  it.each(['content', 'role', 'name', 'tool_calls', 'message_id', 'seq', 'created_at', 'model'])(
    'does not rewrite history: %s is read-only',
    async (member) => {
      const { message_id } = await say('x');
      expectRefused(await api.patch(path(message_id), { [member]: 'y' }), 422, 'read_only');
    },
  );

  it.each([
    { tokens_used: -1 },
    { tokens_used: 1.5 },
    { cost_usd: -1 },
    { metadata: null },
    { metadata: [] },
    { x: 1 },
  ])('refuses %j', async (body) => {
    const { message_id } = await say('x');
    expectRefused(await api.patch(path(message_id), body), 422, 'invalid');
  });

  it('refuses metadata that grew too large by merging', async () => {
    const { message_id } = await say('x', { metadata: { a: 'x'.repeat(40_000) } });
    expectRefused(
      await api.patch(path(message_id), { metadata: { b: 'x'.repeat(40_000) } }),
      413,
      'too_large',
    );
  });

  it('knows no message of another session, and none that is not there', async () => {
    const { message_id } = await say('x');
    const other = (await create(api)).session_id;
    for (const where of [at(other, `/messages/${message_id}`), path('none')]) {
      expectRefused(await api.patch(where, { tokens_used: 1 }), 404, 'message_not_found');
    }
  });

  it('keeps the totals exact under 16 writers', async () => {
    const { message_id } = await say('x');
    await atOnce(16, async (writer) => {
      for (let i = 0; i < 5; i++) {
        expectOk(
          await api.patch(path(message_id), { cost_usd: 0.1 * (writer + 1), tokens_used: writer * 10 + i }),
        );
        await say(`${writer}.${i}`, { tokens_used: 1, cost_usd: 0.0000000001 });
      }
    });
    const { tokens_used, cost_usd } = expectOk(await api.get(path(message_id)));
    const { total_tokens, total_cost } = await totals();
    expect(total_tokens).toBe(tokens_used + 80);
    expect(total_cost).toBeCloseTo(cost_usd + 80e-10, 10);
  });
});

describe('DELETE of a message', () => {
  const call = (secret: string) => ({
    role: 'assistant',
    tool_calls: [
      { id: 'call-1', type: 'function', function: { name: 'find', arguments: secret }, note: secret },
    ],
  });

  it('takes away what it says and keeps where it stood', async () => {
    await say('first');
    const made = await append(api, id, call('SECRET'));
    const answer = await append(api, id, {
      ...{ role: 'tool', tool_call_id: 'call-1', content: [{ type: 'text', text: 'SECRET' }] },
      ...{ name: 'SECRET', metadata: { a: 'SECRET' }, tokens_used: 5, cost_usd: 0.5, model: 'm' },
    });
    for (const before of [made, answer]) {
      const after = expectOk(await api.delete(path(before.message_id)));
      expect(after).toEqual({
        ...before,
        content: null,
        copies: 0,
        name: null,
        metadata: {},
        tool_calls: before.tool_calls && [{ id: 'call-1' }],
        redacted_at: expect.stringMatching(TIME),
      });
      const { copies: _, ...rest } = after;
      expect(expectOk(await api.get(path(before.message_id)))).toEqual(rest);
      expect(expectOk(await api.delete(path(before.message_id)))).toEqual(after);
    }
    expect(await read(api, id)).toMatchObject({
      message_count: 3,
      total_tokens: 5,
      total_cost: 0.5,
      version: 1,
    });
    expect((await told()).filter(([type]) => type === 'message.redacted')).toEqual([
      ['message.redacted', { seq: 2, message_id: made.message_id }],
      ['message.redacted', { seq: 3, message_id: answer.message_id }],
    ]);
  });

  it('leaves an answered call answered, and an open one to be answered', async () => {
    const { message_id } = await append(api, id, call('x'));
    expectOk(await api.delete(path(message_id)));
    const reply = { role: 'tool', tool_call_id: 'call-1', content: 'done' };
    expect((await append(api, id, reply)).tool_call_seq).toBe(1);
    expectRefused(await api.post(at(id, '/messages'), reply), 409, 'tool_call_answered');
  });

  it('resets a title made from it, and the next user message makes one again', async () => {
    const { message_id } = await say('SECRET title');
    expect((await read(api, id)).title).toBe('SECRET title');
    expectOk(await api.delete(path(message_id)));
    expect((await read(api, id)).title).toBeNull();
    expect((await told()).at(-1)).toMatchObject(['session.updated', { updates: ['title'] }]);
    await say('Another one');
    expect((await read(api, id)).title).toBe('Another one');
  });

  it('keeps a title that was given, or made from another', async () => {
    await say('first');
    const { message_id } = await say('second');
    expectOk(await api.delete(path(message_id)));
    expect((await read(api, id)).title).toBe('first');
    expectOk(await api.patch(at(id), { title: 'given' }));
    const [first] = expectOk(await api.get(at(id, '/messages'))).messages;
    expectOk(await api.delete(path(first.message_id)));
    expect((await read(api, id)).title).toBe('given');
  });

  it('answers a repeated append with what is left', async () => {
    const chosen = { role: 'user', content: 'SECRET', message_id: 'chosen' };
    await append(api, id, chosen);
    const keyed = { role: 'user', content: 'SECRET', metadata: { a: 1 } };
    const key = { 'idempotency-key': 'k' };
    const { message_id } = expectOk(await api.post(at(id, '/messages'), keyed, key), 201);
    for (const message of ['chosen', message_id]) expectOk(await api.delete(path(message)));
    for (const answer of [
      await api.post(at(id, '/messages'), chosen),
      await api.post(at(id, '/messages'), keyed, key),
    ]) {
      expect(expectOk(answer)).toMatchObject({ content: null, redacted_at: expect.stringMatching(TIME) });
    }
    expect((await read(api, id)).message_count).toBe(2);
  });

  it('refuses a later report', async () => {
    const { message_id } = await say('x');
    expectOk(await api.delete(path(message_id)));
    expectRefused(await api.patch(path(message_id), { metadata: { a: 1 } }), 409, 'message_redacted');
  });

  it('is refused under a legal hold', async () => {
    const { message_id } = await say('x');
    expectOk(await app.api.service(SERVICE_KEY).patch(at(id), { legal_hold: true }));
    expectRefused(await api.delete(path(message_id)), 409, 'legal_hold');
    expect(expectOk(await api.get(path(message_id))).content).toBe('x');
  });

  it('leaves the text nowhere: not in rows, answers, events, titles, logs', async () => {
    const own = await startService({ DATABASE_URL: app.database.url, LOG_LEVEL: 'trace' });
    const caller = own.api.as(fresh());
    const canary = 'canaryRedactedcanary';
    const { session_id } = await create(caller);
    const where = at(session_id, '/messages');
    const key = { 'idempotency-key': 'k' };
    const said = {
      role: 'user',
      content: `${canary} is my secret.`,
      name: canary,
      metadata: { [canary]: canary },
    };
    const messages = [
      expectOk(await caller.post(where, said, key), 201),
      await append(caller, session_id, {
        role: 'assistant',
        tool_calls: [{ id: 'c', function: { arguments: canary } }],
      }),
      await append(caller, session_id, {
        role: 'tool',
        tool_call_id: 'c',
        content: [{ type: 'text', text: canary }],
      }),
    ];
    const everywhere = async () => {
      const tables = await app.database.pool.query(
        `select table_name from information_schema.tables where table_schema = 'public'`,
      );
      const rows = await Promise.all(
        tables.rows.map(({ table_name }) => app.database.pool.query(`select t::text from "${table_name}" t`)),
      );
      const answers = await Promise.all(
        [
          at(session_id),
          where,
          `${where}?order=desc`,
          at(session_id, '/events'),
          '/api/v1/sessions',
          '/api/v1/events',
        ].map(async (url) => (await caller.get(url)).text),
      );
      return JSON.stringify([rows.map(({ rows }) => rows), answers]);
    };
    expect(await everywhere()).toContain(canary);
    for (const { message_id } of messages) expectOk(await caller.delete(`${where}/${message_id}`));
    expectOk(await caller.post(where, said, key));
    expect(await everywhere()).not.toContain(canary);
    const digests = await app.database.pool.query(
      'select 1 from messages where redacted_at is not null and request_digest is not null',
    );
    expect(digests.rowCount).toBe(0);
    own.kill('SIGTERM');
    expect(await own.exited).toBe(0);
    expect(own.output()).toContain('"msg":"request"');
    expect(own.output()).not.toContain(canary);
  });
});
