import { session } from './histories.js';
import { api, app, useApp } from './suite.js';
import { at, atOnce, eventsOf, expectOk, expectRefused, TIME, walkByCursor } from './support.js';

useApp();

const MOST = Number.MAX_SAFE_INTEGER;
const usageAt = (id: string, query = '') => at(id, `/model-usage${query}`);
const report = async (id: string, model_name: string, rest: object = {}, headers = {}) =>
  expectOk(await api.put(usageAt(id), { model_type: 'llm', model_name, ...rest }, headers));
const usage = async (id: string) => expectOk(await api.get(usageAt(id)));

it('is summed up by model', async () => {
  const id = await session(api);
  expect(await usage(id)).toEqual({ totals: [], switches: 0, last_switch_at: null });
  await report(id, 'large', { tokens: 100, cost_usd: 0.1 });
  await report(id, 'e', { model_type: 'embedding', calls: 3 });
  const told = await report(id, 'large', { calls: 2, tokens: 5, cost_usd: 0.2 });
  const used = { first_used_at: expect.stringMatching(TIME), last_used_at: expect.stringMatching(TIME) };
  expect(told).toEqual({
    totals: [
      { model_type: 'llm', model_name: 'large', calls: 3, tokens: 105, cost_usd: 0.3, ...used },
      { model_type: 'embedding', model_name: 'e', calls: 3, tokens: 0, cost_usd: 0, ...used },
    ],
    switches: 0,
    last_switch_at: null,
  });
  expect(await usage(id)).toEqual(told);
  expect(expectOk(await api.get(at(id, '/stats'))).model_usage).toEqual(told);
});

it('tells how often another model was taken, each type by itself', async () => {
  const id = await session(api);
  for (const name of ['a', 'a', 'b']) await report(id, name);
  await report(id, 'b', { model_type: 'embedding' });
  expect(await usage(id)).toMatchObject({ switches: 1 });
  const { last_switch_at } = await usage(id);
  await report(id, 'b');
  expect(await usage(id)).toMatchObject({ switches: 1, last_switch_at });
  await report(id, 'a');
  const told = await usage(id);
  expect(told.switches).toBe(2);
  expect(told.last_switch_at).toBe(
    told.totals.find(({ model_name }: { model_name: string }) => model_name === 'a').last_used_at,
  );
  await report(id, 'c', { model_type: 'embedding' });
  expect((await usage(id)).switches).toBe(3);
});

it('has a history, newest first, page by page', async () => {
  const id = await session(api);
  for (let n = 1; n <= 7; n++) await report(id, `m-${n % 2}`, { tokens: n, cost_usd: n / 10 });
  const page = expectOk(await api.get(usageAt(id, '?history=true&limit=3')));
  expect(page).toMatchObject({ limit: 3, has_more: true, switches: 6, totals: [{}, {}] });
  const reports = await walkByCursor(api, usageAt(id), 'reports', { history: true, limit: 3 });
  expect(reports.map(({ n, tokens, cost_usd }) => [n, tokens, cost_usd])).toEqual(
    [7, 6, 5, 4, 3, 2, 1].map((n) => [n, n, n / 10]),
  );
  const times = reports.map(({ reported_at }) => reported_at);
  expect([...times].sort().reverse()).toEqual(times);
  expectRefused(await api.get(usageAt(id, '?history=true&cursor=x')), 400, 'invalid_cursor');
  const other = await session(api);
  expectRefused(
    await api.get(usageAt(other, `?history=true&cursor=${page.next_cursor}`)),
    400,
    'invalid_cursor',
  );
  expect((await usage(id)).reports).toBeUndefined();
});

it.each([
  ['no model', { model_type: 'llm' }],
  ['another type', { model_type: 'x', model_name: 'm' }],
  ['no calls', { model_type: 'llm', model_name: 'm', calls: 0 }],
  ['fewer tokens', { model_type: 'llm', model_name: 'm', tokens: -1 }],
  ['a negative cost', { model_type: 'llm', model_name: 'm', cost_usd: -0.1 }],
  ['a cost of eleven decimals', { model_type: 'llm', model_name: 'm', cost_usd: 0.00000000001 }],
  ['what it does not know', { model_type: 'llm', model_name: 'm', x: 1 }],
])('refuses %s', async (_, body) => {
  const id = await session(api);
  expectRefused(await api.put(usageAt(id), body), 422, 'invalid');
  expect((await usage(id)).totals).toEqual([]);
});

it('refuses totals beyond what a number holds, and writes nothing then', async () => {
  const id = await session(api);
  await report(id, 'm', { tokens: MOST, calls: MOST });
  const refused = async (body: object) => {
    const answer = await api.put(usageAt(id), { model_type: 'llm', model_name: 'm', ...body });
    expectRefused(answer, 422, 'invalid');
    return answer.body.errors[0].pointer;
  };
  expect(await refused({ calls: 1 })).toBe('/calls');
  await app.database.pool.query('update model_usage set calls = 1, cost_usd = 9999999999.9');
  expect(await refused({ tokens: 1 })).toBe('/tokens');
  expect(await refused({ cost_usd: 0.2 })).toBe('/cost_usd');
  expect(expectOk(await api.get(usageAt(id, '?history=true'))).reports).toHaveLength(1);
});

it('is of at most 200 models', async () => {
  const id = await session(api);
  await app.database.pool.query(
    `insert into model_usage (session_key, model_type, model_name, calls, tokens, cost_usd, first_used_at, last_used_at, last_n)
     select key, 'llm', 'm-' || n, 1, 0, 0, now(), now(), n from sessions, generate_series(1, 200) n where id = $1`,
    [id],
  );
  const answer = await api.put(usageAt(id), { model_type: 'llm', model_name: 'another' });
  expectRefused(answer, 409, 'stats_full');
  await report(id, 'm-7');
});

it('is told in an event, without a name', async () => {
  const id = await session(api);
  await report(id, 'secret-model', { cost_usd: 1 });
  expect((await eventsOf(api, id)).at(-1)).toMatchObject({
    event_type: 'stats.updated',
    payload: { updates: ['model_usage'] },
  });
});

it('counts once under a key', async () => {
  const id = await session(api);
  const key = { 'idempotency-key': 'k' };
  const answers = await atOnce(10, () =>
    api.put(usageAt(id), { model_type: 'llm', model_name: 'm', tokens: 7 }, key),
  );
  expect(answers.map(({ status }) => status)).toEqual(Array(10).fill(200));
  await report(id, 'm', { tokens: 1 });
  const again = await api.put(usageAt(id), { model_type: 'llm', model_name: 'm', tokens: 7 }, key);
  expect(again.headers.get('idempotency-replayed')).toBe('true');
  expect(expectOk(again).totals).toMatchObject([{ calls: 2, tokens: 8 }]);
  expectRefused(await api.put(usageAt(id), { model_type: 'llm', model_name: 'm' }, key), 422, 'key_reused');
});

it('of many at once is all there, numbered without gaps', async () => {
  const id = await session(api);
  await atOnce(40, (n) => report(id, `m-${n % 3}`, { tokens: n, cost_usd: 0.1 }));
  const { totals } = await usage(id);
  const sum = (name: string) =>
    totals.reduce((all: number, one: Record<string, number>) => all + one[name]!, 0);
  expect([sum('calls'), sum('tokens'), sum('cost_usd').toFixed(10)]).toEqual([40, 780, '4.0000000000']);
  const reports = await walkByCursor(api, usageAt(id), 'reports', { history: true, limit: 20 });
  expect(reports.map(({ n }) => n)).toEqual(Array.from({ length: 40 }, (_, n) => 40 - n));
});
