import { Sweeps } from '../../src/jobs/sweeps.js';
import { SERVICE_KEY } from '../setup/app.js';
import { said, say, session } from './histories.js';
import { api, app, service, useApp, user } from './suite.js';
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
} from './support.js';

useApp();

const MOST = Number.MAX_SAFE_INTEGER;
const statsAt = (id: string) => at(id, '/stats');
const add = async (id: string, body: object, headers = {}) =>
  expectOk(await api.put(statsAt(id), body, headers));
const stats = async (id: string, by = api) => expectOk(await by.get(statsAt(id)));

describe('counters', () => {
  it('are added up, by `counters` or at top level, and answered in the order of their names', async () => {
    const id = await session(api);
    expect((await stats(id)).counters).toEqual({});
    expect(await add(id, { counters: { urls_processed: 5, clusters: 1 } })).toEqual({
      ...{ session_id: id, counters: { clusters: 1, urls_processed: 5 }, metadata: {} },
    });
    await add(id, { urls_processed: -7, a: 0 });
    const { counters } = await stats(id);
    expect(counters).toEqual({ a: 0, clusters: 1, urls_processed: -2 });
    expect(Object.keys(counters)).toEqual(['a', 'clusters', 'urls_processed']);
  });

  it('take names that objects have', async () => {
    const id = await session(api);
    await add(id, { constructor: 1 });
    await add(id, { counters: { constructor: 1, metadata: 2, counters: 3 } });
    expect((await stats(id)).counters).toEqual({ constructor: 2, counters: 3, metadata: 2 });
  });

  it('merge their metadata', async () => {
    const id = await session(api);
    await add(id, { a: 1, metadata: { crawler: { v: 1, by: 'x' }, gone: true } });
    const { metadata } = await add(id, { metadata: { crawler: { v: 2 }, gone: null } });
    expect(metadata).toEqual({ crawler: { v: 2, by: 'x' } });
    expect(await stats(id)).toMatchObject({ metadata, counters: { a: 1 } });
  });

  it.each([
    ['an unknown name', { counters: { Ab: 1 } }, '/counters/Ab'],
    ['an unknown name at top level', { 'a-b': 1 }, '/a-b'],
    ['a name that is too long', { ['a'.repeat(65)]: 1 }, `/${'a'.repeat(65)}`],
    ['a fraction', { a: 1.5 }, '/a'],
    ['a text', { counters: { a: '1' } }, '/counters/a'],
    ['null', { a: null }, '/a'],
    ['both ways at once', { counters: { a: 1 }, b: 1 }, ''],
    ['nothing', {}, ''],
    ['no counters', { counters: {} }, ''],
    ['counters that are a number', { counters: 1 }, '/counters'],
    ['metadata that is a number', { metadata: 1 }, '/metadata'],
  ])('refuse %s', async (_, body, pointer) => {
    const id = await session(api);
    const answer = await api.put(statsAt(id), body);
    expectRefused(answer, 422, 'invalid');
    expect(answer.body.errors[0].pointer).toBe(pointer);
    expect((await stats(id)).counters).toEqual({});
  });

  it.each([
    ['up', MOST, 1],
    ['down', -MOST, -1],
    ['far up', MOST, MOST],
  ])('are refused beyond what a number holds, %s, and nothing is written then', async (_, first, second) => {
    const id = await session(api);
    await add(id, { a: first });
    const answer = await api.put(statsAt(id), { counters: { b: 1, a: second }, metadata: { x: 1 } });
    expectRefused(answer, 422, 'invalid');
    expect(answer.body.errors).toMatchObject([{ pointer: '/counters/a' }]);
    expect(await stats(id)).toMatchObject({ counters: { a: first }, metadata: {} });
    await add(id, { a: -second });
    expect((await stats(id)).counters).toEqual({ a: first - second });
  });

  it('have at most 200 names', async () => {
    const id = await session(api);
    const names = (from: number, to: number) =>
      Object.fromEntries(Array.from({ length: to - from }, (_, n) => [`c_${from + n}`, 1]));
    expectRefused(await api.put(statsAt(id), { counters: names(0, 201) }), 422, 'invalid');
    await add(id, { counters: names(0, 150) });
    expectRefused(await api.put(statsAt(id), { counters: names(100, 201) }), 409, 'stats_full');
    await add(id, { counters: names(100, 200) });
    const { counters } = await stats(id);
    expect(Object.keys(counters)).toHaveLength(200);
    expect(counters).toMatchObject({ c_0: 1, c_149: 2, c_199: 1 });
  });

  it('refuse metadata that grows too large', async () => {
    const id = await session(api);
    await add(id, { metadata: { a: 'x'.repeat(40_000) } });
    expectRefused(
      await api.put(statsAt(id), { a: 1, metadata: { b: 'x'.repeat(40_000) } }),
      413,
      'too_large',
    );
    expect((await stats(id)).counters).toEqual({});
  });

  it('write an event with names only, and are neither an edit nor a sign of life', async () => {
    const { session_id: id, version } = await create(api, { timeout_minutes: 60 });
    const before = await read(api, id);
    await add(id, { b: 5, a: 1, metadata: { secret: 'canary' } });
    await add(id, { metadata: { more: 1 } });
    const events = (await eventsOf(api, id)).filter(({ event_type }) => event_type === 'stats.updated');
    expect(events.map(({ payload }) => payload)).toEqual([
      { updates: ['counters', 'metadata'], counters: ['a', 'b'] },
      { updates: ['metadata'], counters: [] },
    ]);
    const after = await read(api, id);
    expect(after).toEqual(before);
    expect(after.version).toBe(version);
  });

  it.each(['paused', 'completed', 'crashed', 'archived'])(
    'are taken of a session that is %s',
    async (status) => {
      const id = await session(api, { status });
      await add(id, { a: 1 });
      expect((await stats(id)).counters).toEqual({ a: 1 });
    },
  );

  it('are neither taken nor told of one that is deleted', async () => {
    const id = await session(api);
    expectOk(await api.delete(at(id)));
    expectRefused(await api.put(statsAt(id), { a: 1 }), 404, 'session_deleted');
    expectRefused(await api.get(statsAt(id)), 404, 'session_deleted');
  });
});

describe('a key', () => {
  const key = { 'idempotency-key': 'k-1' };

  it('counts once; a replay answers what is counted now', async () => {
    const id = await session(api);
    await add(id, { a: 1 }, key);
    await add(id, { a: 10 });
    const again = await api.put(statsAt(id), { a: 1 }, key);
    expect(again.headers.get('idempotency-replayed')).toBe('true');
    expect(expectOk(again).counters).toEqual({ a: 11 });
    expectRefused(await api.put(statsAt(id), { a: 2 }, key), 422, 'key_reused');
    expectRefused(await api.put(statsAt(id), { counters: { a: 1, b: 1 } }, key), 422, 'key_reused');
  });

  it('is of one caller, one session and one route', async () => {
    const [id, other] = [await session(api), await session(api)];
    const friend = fresh();
    await share(app, id, friend, 'editor');
    await add(id, { a: 1 }, key);
    expectOk(await app.api.as(friend).put(statsAt(id), { a: 1 }, key));
    await add(other, { a: 1 }, key);
    expectOk(await api.put(at(id, '/model-usage'), { model_type: 'llm', model_name: 'm' }, key));
    expect(await stats(id)).toMatchObject({ counters: { a: 2 }, model_usage: { totals: [{ calls: 1 }] } });
    expect((await stats(other)).counters).toEqual({ a: 1 });
  });

  it('that was refused is not used up', async () => {
    const id = await session(api);
    await add(id, { a: MOST });
    expectRefused(await api.put(statsAt(id), { a: 1 }, key), 422, 'invalid');
    await add(id, { a: -1 });
    await add(id, { a: 1 }, key);
    expect((await stats(id)).counters).toEqual({ a: MOST });
  });

  it('access is checked before it', async () => {
    const id = await session(api);
    const friend = fresh();
    await share(app, id, friend, 'editor');
    expectOk(await app.api.as(friend).put(statsAt(id), { a: 1 }, key));
    await app.database.pool.query('delete from members where user_id = $1', [friend]);
    expectRefused(await app.api.as(friend).put(statsAt(id), { a: 1 }, key), 404, 'session_not_found');
  });

  it('sent by many at once has its effect once', async () => {
    const id = await session(api);
    const answers = await atOnce(20, () => api.put(statsAt(id), { a: 1 }, key));
    expect(answers.map(({ status }) => status)).toEqual(Array(20).fill(200));
    expect(answers.filter(({ headers }) => headers.has('idempotency-replayed'))).toHaveLength(19);
    expect((await stats(id)).counters).toEqual({ a: 1 });
  });
});

describe('the figures of a session', () => {
  it('are those of its messages by role, model and day', async () => {
    const id = await session(api);
    await say(
      api,
      id,
      said('system', 's'),
      said('user', 'u'),
      said('assistant', 'a', { model: 'm-2', tokens_used: 10, cost_usd: 0.1 }),
      said('assistant', 'b', { model: 'm-1', tokens_used: 20, cost_usd: 0.2 }),
      said('assistant', 'c', { model: 'm-1', tokens_used: 1, cost_usd: 0.0000000001 }),
    );
    await app.database.pool.query(
      `update messages m set created_at = case when seq < 4 then timestamptz '2026-01-30 23:59:59.999Z' else '2026-01-31T00:00:00Z' end
       from sessions s where s.key = m.session_key and s.id = $1`,
      [id],
    );
    await app.database.pool.query(
      `update sessions set created_at = now() - interval '100 seconds', last_activity_at = now() - interval '40 seconds' where id = $1`,
      [id],
    );
    const told = await stats(id);
    expect(told).toMatchObject({
      session_id: id,
      messages: { total: 5, by_role: { system: 1, developer: 0, user: 1, assistant: 3, tool: 0 } },
      tokens: 31,
      cost_usd: 0.3000000001,
      by_model: [
        { model: null, messages: 2, tokens: 0, cost_usd: 0 },
        { model: 'm-1', messages: 2, tokens: 21, cost_usd: 0.2000000001 },
        { model: 'm-2', messages: 1, tokens: 10, cost_usd: 0.1 },
      ],
      by_day: [
        { day: '2026-01-30', messages: 3, tokens: 10, cost_usd: 0.1 },
        { day: '2026-01-31', messages: 2, tokens: 21, cost_usd: 0.2000000001 },
      ],
      model_usage: { totals: [], switches: 0, last_switch_at: null },
      duration_seconds: 60,
      collection: null,
    });
    expect(told.idle_seconds).toBeGreaterThanOrEqual(39);
  });

  it('have all digits of a cost, also those that a double would drop', async () => {
    const id = await session(api);
    const costs = [...Array(9).fill(999_999_999), 0.1, 0.2, 0.0000000007];
    await say(api, id, ...costs.map((cost_usd) => said('assistant', 'x', { model: 'm', cost_usd })));
    const { text } = await api.get(statsAt(id));
    expect(text.match(/"cost_usd":8999999991\.3000000007[,}]/g)).toHaveLength(3);
  });

  it('follow what is reported of a message later, before and after it is folded; a redaction changes nothing', async () => {
    const id = await session(api);
    const { messages } = await append(api, id, {
      messages: Array.from({ length: 600 }, (_, n) =>
        said('user', `${n}`, { tokens_used: 1, cost_usd: 0.1 }),
      ),
    });
    const told = async () => {
      const { cost_usd, tokens, by_model, by_day } = await stats(id);
      expect(by_model).toEqual([{ model: null, messages: 600, tokens, cost_usd }]);
      expect(by_day).toMatchObject([{ messages: 600, tokens, cost_usd }]);
      return { tokens, cost_usd };
    };
    const patch = async (n: number, body: object) =>
      expectOk(await api.patch(at(id, `/messages/${messages[n].message_id}`), body));
    expect(await told()).toEqual({ tokens: 600, cost_usd: 60 });
    await patch(5, { tokens_used: 11, cost_usd: 0.3 });
    expect(await told()).toEqual({ tokens: 610, cost_usd: 60.2 });
    await app.app.get(Sweeps).run();
    expect(await told()).toEqual({ tokens: 610, cost_usd: 60.2 });
    await patch(5, { tokens_used: null, cost_usd: null });
    await patch(7, { cost_usd: 0.1000000001 });
    await patch(7, { metadata: { a: 1 } });
    expect(await told()).toEqual({ tokens: 599, cost_usd: 59.9000000001 });
    expectOk(await api.delete(at(id, `/messages/${messages[7].message_id}`)));
    expect(await told()).toEqual({ tokens: 599, cost_usd: 59.9000000001 });
  });

  it('of a fork are those of its own messages, without what was counted for its source', async () => {
    const id = await session(api);
    await say(api, id, said('assistant', 'x', { model: 'm', tokens_used: 3, cost_usd: 0.3 }));
    await add(id, { a: 1, metadata: { x: 1 } });
    expectOk(await api.put(at(id, '/model-usage'), { model_type: 'llm', model_name: 'm' }));
    const fork = expectOk(await api.post(at(id, '/fork'), {}), 201).session_id;
    expect(await stats(fork)).toMatchObject({
      ...{ counters: {}, metadata: {}, model_usage: { totals: [] }, tokens: 3, cost_usd: 0.3 },
      by_model: [{ model: 'm', messages: 1 }],
    });
    expect(expectOk(await api.get('/api/v1/sessions/stats'))).toMatchObject({
      total_tokens: 3,
      total_cost: 0.3,
    });
  });

  it('tell of its collection', async () => {
    const id = await session(api);
    const { name } = expectOk(await api.put(at(id, '/collection'), { vectors: { size: 2 } }), 201);
    expect((await stats(id)).collection).toMatchObject({ name, status: 'ready' });
  });

  it('have the thousand models that most messages name', async () => {
    const id = await session(api);
    const messages = Array.from({ length: 1000 }, (_, n) => said('assistant', 'x', { model: `m-${n}` }));
    await append(api, id, { messages });
    await append(api, id, { messages: [said('user', 'x'), ...messages.slice(0, 10)] });
    const { by_model, messages: told } = await stats(id);
    expect(told.total).toBe(1011);
    expect(by_model).toHaveLength(1000);
    expect(by_model[0]).toMatchObject({ model: 'm-0', messages: 2 });
  });

  it('are a viewer’s to read and an editor’s to add to', async () => {
    const id = await session(api);
    const viewer = fresh();
    await share(app, id, viewer, 'viewer');
    await add(id, { a: 1 });
    expect((await stats(id, app.api.as(viewer))).counters).toEqual({ a: 1 });
    expectRefused(await app.api.as(viewer).put(statsAt(id), { a: 1 }), 403, 'forbidden');
    expectRefused(await app.api.as(fresh()).get(statsAt(id)), 404, 'session_not_found');
    expect((await stats(id, service.with({ 'x-api-key': SERVICE_KEY }))).counters).toEqual({ a: 1 });
    expect(user).toBeTruthy();
  });

  it('are gone with the session, and are none of another with its id', async () => {
    const id = await session(api);
    await add(id, { a: 1 });
    await say(api, id, ...Array.from({ length: 700 }, (_, n) => said('user', `${n}`)));
    await app.app.get(Sweeps).run();
    expect((await api.delete(at(id, '?permanent=true'))).status).toBe(204);
    expectRefused(await api.get(statsAt(id)), 404, 'session_not_found');
    await session(api, { session_id: id });
    expect(await stats(id)).toMatchObject({ counters: {}, messages: { total: 0 }, by_model: [], by_day: [] });
  });
});
