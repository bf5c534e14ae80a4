import { Sweeps } from '../../src/jobs/sweeps.js';
import type { Api } from '../setup/api.js';
import { eventually } from '../setup/eventually.js';
import { api, app, service, useApp, user } from './suite.js';
import {
  append,
  at,
  create,
  eventsOf,
  eventTypes,
  expectOk,
  expectRefused,
  fresh,
  read,
  share,
  TIME,
} from './support.js';

useApp();

// biome-ignore lint/suspicious/noExplicitAny: rows of answers of every shape
type Row = any;

const WAIT = { prefer: 'wait=60' };
const merge = (by: Api, body: object, headers: Record<string, string> = {}) =>
  by.post('/api/v1/sessions/merge', body, { ...WAIT, ...headers });
/** The result of a merge that succeeds. */
async function merged(by: Api, body: object): Promise<Row> {
  const job = expectOk(await merge(by, body));
  expect(job).toMatchObject({ state: 'succeeded', kind: 'merge', error: null });
  return job.result;
}
const history = async (by: Api, id: string): Promise<Row[]> =>
  expectOk(await by.get(at(id, '/messages?limit=1000'))).messages;
const said = (role: string, content: string, rest: object = {}) => ({ role, content, ...rest });
const session = async (fields: object = {}, by = api): Promise<string> =>
  (await create(by, fields)).session_id;
const say = (id: string, ...messages: object[]) => append(api, id, { messages });
const call = (id: string) => ({
  role: 'assistant',
  tool_calls: [{ id, type: 'function', function: { name: 'f', arguments: '{}' } }],
});
const result = (id: string, content: string) => said('tool', content, { tool_call_id: id });
const points = async (id: string): Promise<Row[]> =>
  expectOk(await api.post(at(id, '/points/scroll'), { with_vector: true, limit: 1000 })).points;
const put = async (id: string, ...rows: Row[]) =>
  expectOk(await api.put(at(id, '/points'), { points: rows }));
const point = (id: number | string, vector: number[], payload: object = {}) => ({ id, vector, payload });
const SHAPE = { vectors: { size: 2, distance: 'euclid' } };
async function collected(fields: object = {}): Promise<string> {
  const id = await session({ configuration: SHAPE, ...fields });
  return id;
}

test('messages are copied by time, numbered anew, with where they are from and the answers to their calls', async () => {
  const [a, b] = [await session({ title: 'First', tags: ['x', 'y'] }), await session({ tags: ['y', 'z'] })];
  await say(a, said('user', 'one', { message_id: 'same' }));
  await say(b, said('user', 'two', { message_id: 'same', cost_usd: 0.1, tokens_used: 3 }), call('c'));
  await say(a, call('c'));
  await say(b, result('c', 'of b'));
  await say(a, result('c', 'of a'), said('assistant', 'end', { cost_usd: 0.2, tokens_used: 4 }));
  const { session_id, ...counts } = await merged(api, { session_ids: [a, b] });
  expect(counts).toEqual({ messages: 7, memory: 0, points: 0, remapped: 0 });
  const rows = await history(api, session_id);
  expect(rows.map(({ seq, content, origin }) => [seq, content, origin.session_id, origin.seq])).toEqual([
    [1, 'one', a, 1],
    [2, 'two', b, 1],
    [3, null, b, 2],
    [4, null, a, 2],
    [5, 'of b', b, 3],
    [6, 'of a', a, 3],
    [7, 'end', a, 4],
  ]);
  expect(rows[4].tool_call_seq).toBe(3);
  expect(rows[5].tool_call_seq).toBe(4);
  expect(rows[0].message_id).toBe('same');
  expect(rows[1].message_id).not.toBe('same');
  expect(rows[1].origin.message_id).toBe('same');
  expect(await read(api, session_id)).toMatchObject({
    ...{ title: 'First', tags: ['x', 'y', 'z'], status: 'active', user_id: user, version: 1 },
    ...{ message_count: 7, total_tokens: 7, total_cost: 0.3 },
    lineage: { kind: 'merge', session_ids: [a, b] },
  });
  expect(await eventsOf(api, session_id)).toMatchObject([
    { event_type: 'session.created', seq: 1 },
    { event_type: 'session.merged', seq: 2, payload: { session_ids: [a, b], up_to_seq: 7 } },
  ]);
  for (const source of [a, b]) {
    expect(await read(api, source)).toMatchObject({
      ...{ status: 'archived', archived_at: expect.stringMatching(TIME) },
      lineage: { merged_into: session_id },
    });
    expect((await eventTypes(api, source)).slice(-3)).toEqual([
      ...['session.updated', 'session.archived', 'session.merged'],
    ]);
  }
  // it goes on as any other
  expect((await say(session_id, call('c'), result('c', 'again'))).messages.at(-1).tool_call_seq).toBe(8);
});

test('sources that are not archived stay as they are; to read them is enough', async () => {
  const other = app.api.as(fresh());
  const [a, b] = [await session(), await session({}, other)];
  await append(other, b, { messages: [said('user', 'theirs')] });
  await share(app, b, user, 'viewer');
  expectRefused(await merge(api, { session_ids: [a, b] }), 403, 'forbidden');
  const before = await read(other, b);
  const { session_id } = await merged(api, { session_ids: [a, b], archive_sources: false });
  expect(await read(other, b)).toEqual(before);
  expect((await read(api, session_id)).user_id).toBe(user);
  expectRefused(await other.get(at(session_id)), 404, 'session_not_found');
  expect((await say(a, said('user', 'more'))).messages).toHaveLength(1);
});

test('collaborators are united; who has several roles gets the least', async () => {
  const [a, b] = [await session(), await session()];
  const [one, both] = [fresh(), fresh()];
  await share(app, a, one, 'editor');
  await share(app, a, both, 'manager');
  await share(app, b, both, 'viewer');
  const { session_id } = await merged(api, { session_ids: [a, b] });
  const { rows } = await app.database.pool.query(
    `select m.user_id, m.role from members m join sessions s on s.key = m.session_key where s.id = $1 order by 1`,
    [session_id],
  );
  expect(rows).toEqual(
    [
      { user_id: one, role: 'editor' },
      { user_id: both, role: 'viewer' },
    ].sort((x, y) => (x.user_id < y.user_id ? -1 : 1)),
  );
});

test('a title that was made from a message goes with it, and goes when that is redacted', async () => {
  const [a, b] = [await session(), await session()];
  await say(b, said('user', 'Earlier.'));
  await say(a, said('user', 'Find my invoice.'));
  const { session_id } = await merged(api, { session_ids: [a, b] });
  expect((await read(api, session_id)).title).toBe('Find my invoice.');
  const [, copy] = await history(api, session_id);
  expectOk(await api.delete(at(session_id, `/messages/${copy.message_id}`)));
  expect((await read(api, session_id)).title ?? '').toBe('');
});

test('what is asked for is what it is called', async () => {
  const [a, b] = [await session({ session_type: 'chat', configuration: { k: 1 } }), await session()];
  const id = fresh('target');
  const told = { session_id: id, title: 'Both', description: 'd', tags: ['t'], metadata: { m: 1 } };
  expect((await merged(api, { session_ids: [a, b], ...told })).session_id).toBe(id);
  expect(await read(api, id)).toMatchObject({ ...told, session_type: 'chat', configuration: { k: 1 } });
});

test('memory is united: the later of two stays, keyless entries all', async () => {
  const [a, b] = [await session(), await session()];
  const remember = async (id: string, key: string, value: unknown) =>
    expectOk(await api.put(at(id, `/memory/${key}`), { value }), 201);
  await remember(a, 'k', 'older');
  await remember(b, 'k', 'later');
  await remember(b, 'only', { b: 1 });
  for (const id of [a, b])
    expectOk(await api.post(at(id, '/memory'), { memory_type: 'note', content: `of ${id}` }), 201);
  const { session_id, memory } = await merged(api, { session_ids: [a, b] });
  expect(memory).toBe(4);
  const map = expectOk(await api.get(at(session_id, '/memory?view=map')));
  expect(map.memories).toEqual({ k: 'later', only: { b: 1 } });
  const { entries } = expectOk(await api.get(at(session_id, '/memory?memory_type=note')));
  expect(entries.map(({ content }: Row) => content).sort()).toEqual([`of ${a}`, `of ${b}`].sort());
});

test('memory under fail: different things under one key fail the job, and leave nothing', async () => {
  const [a, b] = [await session(), await session()];
  for (const [id, value] of [
    [a, 1],
    [b, 2],
  ])
    expectOk(await api.put(at(id as string, '/memory/k'), { value }), 201);
  const id = fresh('target');
  const job = expectOk(await merge(api, { session_ids: [a, b], session_id: id, on_memory_conflict: 'fail' }));
  expect(job).toMatchObject({ state: 'failed', error: { code: 'memory_conflict' }, result: null });
  expectRefused(await api.get(at(id)), 404, 'session_not_found');
  expect((await read(api, a)).status).toBe('active');
  await app.app.get(Sweeps).run();
  const left = await app.database.pool.query('select from sessions where purged_at is not null');
  expect(left.rowCount).toBe(0);
  await create(api, { session_id: id });
});

describe('points', () => {
  const U = '0190b5b0-6a3c-7c7e-9a53-6f1d3c1f2a10';
  const BIG = '18446744073709551615';

  async function sources(): Promise<string[]> {
    const ids = [await collected(), await collected(), await session()];
    await put(ids[0]!, point(1, [1, 0], { of: 'a' }), point(2, [0, 1]), point(BIG, [0.1, 0.2]));
    await put(
      ids[1]!,
      point(1, [3, 4], { of: 'b' }),
      point(2, [0, 1]),
      point(U, [5, 5], { n: { deep: [1] } }),
    );
    return ids;
  }

  test.each([
    ['keep_first', [point(1, [1, 0], { of: 'a' })], 0],
    ['keep_last', [point(1, [3, 4], { of: 'b' })], 0],
    ['remap', [point(1, [1, 0], { of: 'a' })], 1],
  ])('with the same id: %s; the same again is no conflict', async (on_point_conflict, ones, remapped) => {
    const session_ids = await sources();
    const target = await merged(api, { session_ids, on_point_conflict });
    const rows = await points(target.session_id);
    expect(target).toMatchObject({ points: 4 + remapped, remapped });
    expect(rows).toHaveLength(4 + remapped);
    expect(rows.filter(({ id }) => id === 1)).toEqual(ones);
    expect(rows.filter(({ id }) => id === BIG)).toEqual([point(BIG, [Math.fround(0.1), Math.fround(0.2)])]);
    expect(rows.filter(({ id }) => id === U)).toEqual([point(U, [5, 5], { n: { deep: [1] } })]);
    const others = rows.filter(({ id }) => ![1, 2, BIG, U].includes(id));
    expect(others.map(({ id: _, ...rest }) => rest)).toEqual(
      remapped
        ? [{ vector: [3, 4], payload: { of: 'b', _origin: { session_id: session_ids[1], id: 1 } } }]
        : [],
    );
    expect(await points(session_ids[0]!)).toHaveLength(3);
  });

  test('with the same id: fail', async () => {
    const session_ids = await sources();
    const job = expectOk(await merge(api, { session_ids }));
    expect(job).toMatchObject({ state: 'failed', error: { code: 'point_conflict' } });
    const { rowCount } = await app.database.pool.query(
      `select from sessions where id = any($1) and busy_job is not null`,
      [session_ids],
    );
    expect(rowCount).toBe(0);
    await put(session_ids[1]!, point(1, [1, 0], { of: 'a' }));
    expectOk(await api.post(`/jobs/${job.job_id}/retry`));
    const again = await waitFor(job.job_id);
    expect(again).toMatchObject({ state: 'succeeded', result: { points: 4 } });
  });

  test('many with the same ids: each is decided about', async () => {
    const ids = [await collected(), await collected()];
    for (const [n, id] of ids.entries())
      await put(id, ...Array.from({ length: 400 }, (_, at) => point(at + 150 * n, [at + 150 * n, n])));
    const target = await merged(api, { session_ids: ids, on_point_conflict: 'remap' });
    expect(target).toMatchObject({ points: 800, remapped: 250 });
    const rows = await points(target.session_id);
    expect(rows.filter(({ payload }) => !payload._origin).map(({ id, vector }) => [id, ...vector])).toEqual(
      Array.from({ length: 550 }, (_, id) => [id, id, id < 400 ? 0 : 1]),
    );
    const moved = rows.filter(({ payload }) => payload._origin);
    expect(
      moved.map(({ payload, vector }) => [payload._origin.id, ...vector]).sort(([a], [b]) => a - b),
    ).toEqual(Array.from({ length: 250 }, (_, n) => [150 + n, 150 + n, 1]));
  });

  test('of another shape are refused, as are collections left out', async () => {
    const a = await collected();
    const b = await session({ configuration: { vectors: { size: 3, distance: 'euclid' } } });
    await put(a, point(1, [1, 2]));
    await put(b, point(1, [1, 2, 3]));
    expectRefused(await merge(api, { session_ids: [a, b] }), 409, 'shape_mismatch');
    const { session_id } = await merged(api, { session_ids: [a, b], include: ['messages', 'memory'] });
    expectRefused(await api.get(at(session_id, '/collection')), 404, 'no_collection');
  });
});

const waitFor = async (id: string): Promise<Row> => {
  for (;;) {
    const job = expectOk(await api.get(`/jobs/${id}`));
    if (job.finished_at !== null && job.state !== 'cancelled') return job;
  }
};

test('only one has it when two ask for the same at once', async () => {
  const ids = [await session(), await session()];
  for (const id of ids) await say(id, said('user', id));
  const answers = await Promise.all(
    [ids, [...ids].reverse()].map((session_ids) => merge(api, { session_ids })),
  );
  expect(answers.map(({ status }) => status).sort()).toEqual([200, 409]);
  expect(['session_busy', 'invalid_transition']).toContain(
    answers.find(({ status }) => status === 409)!.body.code,
  );
});

test('with a key it is one job', async () => {
  const session_ids = [await session(), await session()];
  const headers = { 'idempotency-key': fresh('key') };
  const [first, second] = [
    await merge(api, { session_ids }, headers),
    await merge(api, { session_ids }, headers),
  ];
  expect(expectOk(second).job_id).toBe(expectOk(first).job_id);
  expect(second.headers.get('idempotency-replayed')).toBe('true');
});

test('without Prefer it is answered at once; the job tells the rest', async () => {
  const session_ids = [await session(), await session()];
  const answer = await api.post('/api/v1/sessions/merge', { session_ids });
  const { job_id } = expectOk(answer, 202);
  expect(answer.headers.get('location')).toBe(`/api/v1/jobs/${job_id}`);
  expect(await waitFor(job_id)).toMatchObject({ state: 'succeeded', session_ids });
});

describe('what was counted', () => {
  const count = async (id: string, counters: object, metadata?: object) =>
    expectOk(await api.put(at(id, '/stats'), { counters, ...(metadata && { metadata }) }));
  const report = async (id: string, model_name: string, rest: object = {}) =>
    expectOk(await api.put(at(id, '/model-usage'), { model_type: 'llm', model_name, ...rest }));
  const stats = async (id: string) => expectOk(await api.get(at(id, '/stats')));

  test('is summed up, and every report on a model is there, by time', async () => {
    const [a, b] = [await session(), await session()];
    await count(a, { x: 5, y: -1 }, { by: 'a', both: { a: 1, same: 'a' } });
    await count(b, { x: 2, z: 1 }, { both: { b: 1, same: 'b' } });
    await say(a, said('assistant', 'one', { model: 'm', cost_usd: 0.1, tokens_used: 1 }));
    await say(b, said('assistant', 'two', { model: 'm', cost_usd: 0.2, tokens_used: 2 }));
    for (const [id, name] of [
      [a, 'm'],
      [b, 'm'],
      [b, 'n'],
      [a, 'm'],
    ] as const)
      await report(id, name, { tokens: 1, cost_usd: 0.1 });
    const { session_id } = await merged(api, { session_ids: [a, b] });
    const told = await stats(session_id);
    expect(told).toMatchObject({
      counters: { x: 7, y: -1, z: 1 },
      cost_usd: 0.3,
      by_model: [{ model: 'm', messages: 2, tokens: 3, cost_usd: 0.3 }],
      model_usage: {
        switches: 2,
        totals: [{ model_name: 'm', calls: 3, cost_usd: 0.3 }, { model_name: 'n' }],
      },
    });
    expect(told.metadata).toEqual({ by: 'a', both: { a: 1, b: 1, same: 'a' } });
    const { reports } = expectOk(await api.get(at(session_id, '/model-usage?history=true')));
    expect(reports.map(({ n, model_name }: Row) => [n, model_name])).toEqual([
      [4, 'm'],
      [3, 'n'],
      [2, 'm'],
      [1, 'm'],
    ]);
    expect(expectOk(await api.get('/api/v1/sessions/stats'))).toMatchObject({
      total_tokens: 3,
      total_cost: 0.3,
    });
    await report(session_id, 'm');
    expect((await stats(session_id)).model_usage).toMatchObject({ switches: 2 });
  });

  test('stays where it is unless it is included, and when a session is split', async () => {
    const [a, b] = [await session(), await session()];
    await count(a, { x: 5 });
    await report(b, 'm');
    await say(a, said('user', 'one'));
    const include = ['messages', 'memory'];
    const { session_id } = await merged(api, { session_ids: [a, b], include, archive_sources: false });
    expect(await stats(session_id)).toMatchObject({ counters: {}, model_usage: { totals: [] } });
    const parts = [{ title: 'part', from_seq: 1 }];
    const { result } = expectOk(await api.post(at(a, '/split'), { parts }, WAIT));
    expect(await stats(result.sessions[0].session_id)).toMatchObject({
      counters: {},
      messages: { total: 1 },
    });
    expect(await stats(a)).toMatchObject({ counters: { x: 5 } });
  });

  test('is refused when it has no room in one session, before anything is done', async () => {
    const many = (from: number) =>
      Object.fromEntries(Array.from({ length: 150 }, (_, n) => [`c_${from + n}`, 1]));
    const refused = async (code: string, ...session_ids: string[]) => {
      expectRefused(await merge(api, { session_ids }), 409, code);
      expect((await read(api, session_ids[0]!)).status).toBe('active');
      await merged(api, { session_ids, include: ['messages'], archive_sources: false });
    };
    const [a, b] = [await session(), await session()];
    await count(a, { x: Number.MAX_SAFE_INTEGER });
    await count(b, { x: 1 });
    await refused('stats_overflow', a, b);
    const [c, d] = [await session(), await session()];
    await count(c, many(0));
    await count(d, many(100));
    await refused('stats_full', c, d);
    const [e, f] = [await session(), await session()];
    await count(e, {}, { a: 'x'.repeat(40_000) });
    await count(f, {}, { b: 'x'.repeat(40_000) });
    await refused('stats_full', e, f);
    const [g, h] = [await session(), await session()];
    for (const id of [g, h]) await report(id, 'm', { tokens: Number.MAX_SAFE_INTEGER });
    await refused('stats_overflow', g, h);
    const [i, j] = [await session(), await session()];
    for (const id of [i, j]) {
      await report(id, 'm');
      await app.database.pool.query(
        `update model_usage set cost_usd = 9e9 from sessions where key = session_key and id = $1`,
        [id],
      );
    }
    await refused('stats_overflow', i, j);
  });
});

describe('is refused', () => {
  test('what cannot be read, is deleted, or is taken', async () => {
    const mine = await session();
    const theirs = await session({}, app.api.as(fresh()));
    expectRefused(await merge(api, { session_ids: [mine, theirs] }), 404, 'session_not_found');
    const deleted = await session();
    expectOk(await api.delete(at(deleted)));
    expectRefused(await merge(api, { session_ids: [mine, deleted] }), 404, 'session_deleted');
    const other = await session();
    expectRefused(
      await merge(api, { session_ids: [mine, other], session_id: mine }),
      409,
      'session_id_taken',
    );
    expectRefused(
      await merge(api, { session_ids: [mine, other], session_id: theirs }),
      409,
      'session_id_taken',
    );
    expectRefused(await merge(api, { session_ids: [mine, other], user_id: fresh() }), 403, 'forbidden');
    const { rowCount } = await app.database.pool.query('select from jobs where $1 = any(session_ids)', [
      mine,
    ]);
    expect(rowCount).toBe(0);
  });

  test.each([
    [{}],
    [{ session_ids: ['a'] }],
    [{ session_ids: ['a', 'a'] }],
    [{ session_ids: ['a', 'b'], include: [] }],
    [{ session_ids: ['a', 'b'], on_point_conflict: 'guess' }],
    [{ session_ids: ['a', 'b'], session_id: 'merge' }],
    [{ session_ids: Array.from({ length: 101 }, (_, n) => `s${n}`) }],
  ])('%j', async (body) => {
    expect((await merge(api, body)).status).toBe(422);
  });

  test('more tags than a session may have', async () => {
    const tags = (from: number) => Array.from({ length: 30 }, (_, n) => `t${from + n}`);
    const session_ids = [await session({ tags: tags(0) }), await session({ tags: tags(30) })];
    expectRefused(await merge(api, { session_ids }), 422, 'too_many_tags');
  });

  test('more collaborators than a session may have', async () => {
    const session_ids = [await session(), await session()];
    const members = (index: number, from: number, to: number) =>
      app.database.pool.query(
        `insert into members (session_key, user_id, role, added_at)
         select key, 'm-' || n, 'viewer', now() from sessions, generate_series($2::int, $3::int) n where id = $1`,
        [session_ids[index], from, to],
      );
    await members(0, 1, 600);
    await members(1, 400, 1001);
    expectRefused(await merge(api, { session_ids }), 409, 'too_many_collaborators');
    expectOk(await api.delete(at(session_ids[1]!, '/share/m-1001')), 204);
    await merged(api, { session_ids });
  });
});

test('a service names the owner, or it is whose the first is', async () => {
  const session_ids = [await session(), await session({}, app.api.as(fresh()))];
  const first = await merged(service, { session_ids, archive_sources: false });
  expect((await read(service, first.session_id)).user_id).toBe(user);
  const named = await merged(service, { session_ids, archive_sources: false, user_id: 'somebody' });
  expect((await read(service, named.session_id)).user_id).toBe('somebody');
});

test('tried again after the first has been given to somebody, a merge that names no owner makes his', async () => {
  const session_ids = [await session(), await session()];
  for (const [n, id] of session_ids.entries())
    expectOk(await api.put(at(id, '/memory/k'), { value: n }), 201);
  const failed = expectOk(await merge(service, { session_ids, on_memory_conflict: 'fail' }));
  expect(failed).toMatchObject({ state: 'failed', error: { code: 'memory_conflict' } });
  expectOk(await api.delete(at(session_ids[1]!, '/memory/k')), 204);
  const heir = fresh();
  expectOk(await api.post(at(session_ids[0]!, '/transfer'), { user_id: heir }));
  expectOk(await service.post(`/jobs/${failed.job_id}/retry`));
  const job = await eventually(
    async () => expectOk(await service.get(`/jobs/${failed.job_id}`)),
    ({ state }) => state === 'succeeded',
  );
  expect((await read(service, job.result.session_id)).user_id).toBe(heir);
});
