import { Sweeps } from '../../src/jobs/sweeps.js';
import {
  call,
  history,
  point,
  pointsOf,
  put,
  type Row,
  remember,
  result,
  resultOf,
  SHAPE,
  said,
  say,
  session,
  split,
  WAIT,
} from './histories.js';
import { api, app, service, useApp, user } from './suite.js';
import { at, eventsOf, eventTypes, expectOk, expectRefused, fresh, read, share, TIME } from './support.js';

useApp();

const sql = async (text: string, values: unknown[] = []): Promise<Row[]> =>
  (await app.database.pool.query(text, values)).rows;
const numbered = (count: number, from = 1) =>
  Array.from({ length: count }, (_, n) => said('user', `m${from + n}`, { message_id: `m-${from + n}` }));
const ids = (rows: Row[]) => rows.map(({ id }) => id);

describe('what comes of it', () => {
  test('ranges: numbered anew, with where they are from; the original keeps all', async () => {
    const id = await session(api, {
      ...{
        title: 'Whole',
        tags: ['x', 'y'],
        session_type: 'chat',
        configuration: { k: 1 },
        metadata: { m: 1 },
      },
      ...{ context: { c: 1 }, description: 'd' },
    });
    await say(api, id, ...numbered(3), said('assistant', 'priced', { cost_usd: 0.25, tokens_used: 7 }));
    await remember(api, id, 'k', 1);
    const before = await history(api, id);
    const { sessions, removed_points } = resultOf(
      await split(api, id, {
        parts: [
          { title: 'End', from_seq: 3, tags: ['z'], metadata: { p: 1 }, description: 'the end' },
          { title: 'Begin', to_seq: 2 },
        ],
      }),
    );
    expect(removed_points).toBe(0);
    expect(sessions).toEqual([
      { session_id: expect.any(String), title: 'End', messages: 2, points: 0 },
      { session_id: expect.any(String), title: 'Begin', messages: 2, points: 0 },
    ]);
    const [end, begin] = sessions.map((part: Row) => part.session_id);
    expect(await read(api, end)).toMatchObject({
      ...{ title: 'End', tags: ['z'], metadata: { p: 1 }, description: 'the end', user_id: user },
      ...{ status: 'active', session_type: 'chat', configuration: { k: 1 }, message_count: 2 },
      ...{ total_tokens: 7, total_cost: 0.25, version: 1 },
      lineage: { kind: 'split', session_id: id, from_seq: 3, to_seq: 4 },
    });
    expect(await read(api, begin)).toMatchObject({
      ...{ title: 'Begin', tags: ['x', 'y'], metadata: {}, description: null, total_cost: 0 },
      lineage: { kind: 'split', session_id: id, from_seq: 1, to_seq: 2 },
    });
    const copies = await history(api, end);
    expect(
      copies.map(({ seq, message_id, content, origin }: Row) => [seq, message_id, content, origin]),
    ).toEqual([
      [1, 'm-3', 'm3', { session_id: id, message_id: 'm-3', seq: 3 }],
      [2, before[3].message_id, 'priced', { session_id: id, message_id: before[3].message_id, seq: 4 }],
    ]);
    expect(copies.map(({ created_at }) => created_at)).toEqual(before.slice(2).map((row) => row.created_at));
    expect(await history(api, id)).toEqual(before);
    expect(await read(api, id)).toMatchObject({ status: 'active', lineage: { split_into: [end, begin] } });
    expect((await eventTypes(api, id)).slice(-2)).toEqual(['session.updated', 'session.split']);
    expect((await eventsOf(api, id)).at(-1)!.payload).toEqual({ into: [end, begin] });
    expect(await eventsOf(api, end)).toMatchObject([
      { event_type: 'session.created', seq: 1 },
      { event_type: 'session.split', seq: 2, payload: { session_id: id, up_to_seq: 2 } },
    ]);
    // memory stays
    expect(expectOk(await api.get(at(end, '/memory'))).entries).toEqual([]);
    expect(expectOk(await api.get(at(id, '/memory'))).entries).toHaveLength(1);
    // it goes on as any other
    expect((await say(api, end, said('user', 'more'))).messages[0].seq).toBe(3);
  });

  test('a call and its answer stay linked, far apart and where an id is used again', async () => {
    const id = await session(api);
    await say(api, id, said('user', 'before'));
    await say(api, id, call('early', 'never'), call('twice'), result('twice', 'one'));
    await say(api, id, ...numbered(997));
    await say(api, id, ...numbered(500, 1000));
    await say(api, id, call('twice'), result('early', 'late'), result('twice', 'two'));
    const { sessions } = resultOf(await split(api, id, { parts: [{ title: 'Calls', from_seq: 2 }] }));
    const rows = await history(api, sessions[0].session_id);
    expect(rows).toHaveLength(1503);
    const answers = rows.filter(({ role }) => role === 'tool');
    expect(answers.map(({ seq, tool_call_seq, content }) => [seq, tool_call_seq, content])).toEqual([
      [3, 2, 'one'],
      [1502, 1, 'late'],
      [1503, 1501, 'two'],
    ]);
    // the one that has no answer can still get it
    const { messages } = await say(api, sessions[0].session_id, result('never', 'now'));
    expect(messages[0].tool_call_seq).toBe(1);
    expectRefused(
      await api.post(at(sessions[0].session_id, '/messages'), result('early', 'again')),
      409,
      'tool_call_answered',
    );
  });

  test('a part has the title it is given, whatever is redacted', async () => {
    const id = await session(api);
    await say(api, id, said('user', 'Find my invoice.'));
    const { sessions } = resultOf(await split(api, id, { parts: [{ title: 'Mine', from_seq: 1 }] }));
    const part = sessions[0].session_id;
    const [copy] = await history(api, part);
    expectOk(await api.delete(at(part, `/messages/${copy.message_id}`)));
    expect((await read(api, part)).title).toBe('Mine');
  });

  test('the original is archived when that is asked for; one that is archived stays so', async () => {
    const id = await session(api);
    await say(api, id, ...numbered(1));
    const parts = [{ title: 'P', from_seq: 1 }];
    resultOf(await split(api, id, { parts, archive_original: true }));
    expect(await read(api, id)).toMatchObject({
      status: 'archived',
      archived_at: expect.stringMatching(TIME),
    });
    expect((await eventTypes(api, id)).slice(-3)).toEqual([
      ...['session.updated', 'session.archived', 'session.split'],
    ]);
    resultOf(await split(api, id, { parts }));
    expect((await read(api, id)).status).toBe('archived');
    expectOk(await api.post(at(id, '/restore')));
    expect((await read(api, id)).status).toBe('active');
  });

  test('sharing stays with the original; the parts are the owner’s, whoever asks', async () => {
    const id = await session(api);
    await say(api, id, ...numbered(1));
    const manager = fresh();
    await share(app, id, manager, 'manager');
    const parts = [{ title: 'P', from_seq: 1 }];
    const { sessions } = resultOf(await split(app.api.as(manager), id, { parts }));
    expect((await read(api, sessions[0].session_id)).user_id).toBe(user);
    expectRefused(await app.api.as(manager).get(at(sessions[0].session_id)), 404, 'session_not_found');
  });

  test('with Prefer it is waited for, without it is answered at once; with a key it is one job', async () => {
    const id = await session(api);
    await say(api, id, ...numbered(1));
    const body = { parts: [{ title: 'P', from_seq: 1 }] };
    const key = { 'idempotency-key': fresh('key') };
    const first = await api.post(at(id, '/split'), body, key);
    const { job_id } = expectOk(first, 202);
    expect(first.headers.get('location')).toBe(`/api/v1/jobs/${job_id}`);
    const second = await api.post(at(id, '/split'), body, { ...key, ...WAIT });
    expect(second.status).toBe(200);
    expect(second.body).toMatchObject({ job_id, state: 'succeeded', kind: 'split', session_ids: [id] });
    expect(second.body.progress).toMatchObject({ phase: 'done', done: 1, total: 1 });
    expect(second.headers.get('idempotency-replayed')).toBe('true');
    const other = await split(api, id, { parts: [{ title: 'Q', from_seq: 1 }] }, key);
    expectRefused(other, 422, 'key_reused');
  });

  test('the sum over all sessions counts no message twice, and its parts are found', async () => {
    const id = await session(api);
    await say(api, id, said('user', 'xylophones', { cost_usd: 0.5, tokens_used: 3 }));
    await app.app.get(Sweeps).run();
    const before = expectOk(await api.get('/api/v1/sessions/stats'));
    resultOf(await split(api, id, { parts: [{ title: 'P', from_seq: 1 }] }));
    await app.app.get(Sweeps).run();
    const after = expectOk(await api.get('/api/v1/sessions/stats'));
    expect(after).toMatchObject({
      ...{ total_sessions: 2, total_messages: before.total_messages, total_tokens: 3, total_cost: 0.5 },
    });
  });
});

describe('points', () => {
  const U = '0190b5b0-6a3c-7c7e-9a53-6f1d3c1f2a10';
  const BIG = '18446744073709551615';
  const ROWS = [
    ...[point(1, [1, 0], { of: 1 }), point(2, [0, 1]), point(3, [2, 2])],
    ...[point(BIG, [3, 4], { n: { deep: [1] } }), point(U, [5, 5])],
  ];

  async function collected(): Promise<string> {
    const id = await session(api, { configuration: SHAPE });
    await say(api, id, ...numbered(2));
    await put(api, id, ...ROWS);
    return id;
  }

  test('are moved to their part, alone or with messages', async () => {
    const id = await collected();
    const { sessions, removed_points } = resultOf(
      await split(api, id, {
        parts: [
          { title: 'Both', point_ids: [BIG, 1], from_seq: 2 },
          { title: 'Points', point_ids: [U.toUpperCase()] },
          { title: 'Messages', to_seq: 1 },
        ],
      }),
    );
    expect(removed_points).toBe(3);
    const [both, points, messages] = sessions.map((part: Row) => part.session_id);
    expect(sessions.map((part: Row) => [part.messages, part.points])).toEqual([
      [1, 2],
      [0, 1],
      [1, 0],
    ]);
    expect(await pointsOf(api, both)).toEqual([ROWS[0], ROWS[3]]);
    expect(await pointsOf(api, points)).toEqual([ROWS[4]]);
    expect(await history(api, points)).toEqual([]);
    expect((await read(api, points)).lineage).toEqual({ kind: 'split', session_id: id });
    expectRefused(await api.post(at(messages, '/points/scroll'), {}), 404, 'no_collection');
    expect(ids(await pointsOf(api, id))).toEqual([2, 3]);
    expect((await eventTypes(api, both)).sort()).toEqual(
      ['collection.created', 'session.created', 'session.split'].sort(),
    );
    expect((await read(api, both)).collection).toMatchObject({ status: 'ready', vectors: SHAPE.vectors });
  });

  test('are copied when they are not to be removed; more than are copied at once', async () => {
    const id = await session(api, { configuration: SHAPE });
    const many = Array.from({ length: 450 }, (_, n) => point(n, [n, 1], { n }));
    await put(api, id, ...many);
    const parts = [{ title: 'All', point_ids: many.map((one) => one.id) }];
    const answer = resultOf(await split(api, id, { parts, remove_points: false }));
    expect(answer.removed_points).toBe(0);
    expect(await pointsOf(api, answer.sessions[0].session_id)).toEqual(many);
    expect(await pointsOf(api, id)).toEqual(many);
    const again = resultOf(await split(api, id, { parts }));
    expect(again.removed_points).toBe(450);
    expect(await pointsOf(api, id)).toEqual([]);
  });

  test('under a legal hold they are copied, never removed', async () => {
    const id = await collected();
    expectOk(await service.patch(at(id), { legal_hold: true }));
    const parts = [{ title: 'P', point_ids: [1] }];
    expectRefused(await split(api, id, { parts }), 409, 'legal_hold');
    const copied = resultOf(await split(api, id, { parts, remove_points: false }));
    expect(ids(await pointsOf(api, copied.sessions[0].session_id))).toEqual([1]);
    expect((await read(api, copied.sessions[0].session_id)).legal_hold).toBe(false);
    resultOf(await split(api, id, { parts: [{ title: 'M', from_seq: 1 }], archive_original: true }));
    expect(await pointsOf(api, id)).toHaveLength(5);
  });
});

describe('is refused, without a job or a session', () => {
  /** Eight messages: a call in the second that the fourth answers, one in the fifth that nothing answers. */
  async function original(): Promise<string> {
    const id = await session(api, { configuration: SHAPE });
    await say(api, id, ...numbered(1), call('c'), ...numbered(1, 3), result('c', 'r'), call('open'));
    await say(api, id, ...numbered(3, 6));
    await put(api, id, point(1, [1, 0]), point(2, [1, 0]));
    return id;
  }
  const part = (from_seq?: number, to_seq?: number, point_ids?: unknown[]) => ({
    ...{ title: 'P', from_seq, to_seq, point_ids },
  });

  test.each<[string, object[]]>([
    ['empty_part', [part()]],
    ['empty_part', [part(1, 1), part(undefined, undefined, [])]],
    ['missing_messages', [part(8, 9)]],
    ['missing_messages', [part(9)]],
    ['missing_messages', [part(5, 4)]],
    ['missing_messages', [part(1, 1), part(100, 200)]],
    ['overlapping_ranges', [part(5, 8), part(1), part(7, 7)]],
    ['overlapping_ranges', [part(1, 4), part(4, 5)]],
    ['parted_tool_call', [part(1, 2)]],
    ['parted_tool_call', [part(2, 3)]],
    ['parted_tool_call', [part(3, 4)]],
    ['parted_tool_call', [part(4)]],
    ['parted_tool_call', [part(3, 3), part(4, 8)]],
    ['parted_tool_call', [part(1, 3), part(4, 8)]],
    ['unknown_points', [part(1, 1, [1, 3])]],
    ['unknown_points', [part(undefined, undefined, ['0190b5b0-6a3c-7c7e-9a53-6f1d3c1f2a10'])]],
    ['repeated_points', [part(undefined, undefined, [1, '1'])]],
    ['repeated_points', [part(1, 1, [1]), part(5, 5, [2, 1])]],
  ])('%s: %j', async (code, parts) => {
    const id = await original();
    const count = await sql('select count(*) from sessions');
    expectRefused(await split(api, id, { parts }), 422, code);
    expect(await sql('select 1 from jobs where $1 = any(session_ids)', [id])).toEqual([]);
    expect(await sql('select count(*) from sessions')).toEqual(count);
    expect(await sql('select 1 from sessions where busy_job is not null')).toEqual([]);
  });

  test.each<[object[]]>([
    [[part(2, 4)]],
    [[part(1, 1), part(3, 3)]],
    [[part(5)]],
    [[part(1, 4), part(5, 8)]],
    [[part(8, 8, [1])]],
  ])('but not %j', async (parts) => {
    resultOf(await split(api, await original(), { parts }));
  });

  test.each([
    [{}],
    [{ parts: [] }],
    [{ parts: [{ from_seq: 1 }] }],
    [{ parts: [{ title: '', from_seq: 1 }] }],
    [{ parts: [{ title: 'P', from_seq: 0 }] }],
    [{ parts: [{ title: 'P', from_seq: 1.5 }] }],
    [{ parts: [{ title: 'P', point_ids: [-1] }] }],
    [{ parts: [{ title: 'P', point_ids: [2 ** 53] }] }],
    [{ parts: [{ title: 'P', point_ids: ['x'] }] }],
    [{ parts: [{ title: 'P', from_seq: 1, memory: true }] }],
    [{ parts: Array.from({ length: 101 }, () => ({ title: 'P', from_seq: 1 })) }],
    [{ parts: [{ title: 'P', from_seq: 1 }], remove_points: 'yes' }],
  ])('what cannot be read: %j', async (body) => {
    expect((await split(api, await session(api), body)).status).toBe(422);
  });

  test('points of a session that has none', async () => {
    const id = await session(api);
    expectRefused(await split(api, id, { parts: [part(undefined, undefined, [1])] }), 422, 'unknown_points');
  });

  test('those who may not manage it, before anything is told of it', async () => {
    const id = await original();
    for (const [role, status, code] of [
      ['viewer', 403, 'forbidden'],
      ['editor', 403, 'forbidden'],
      [null, 404, 'session_not_found'],
    ] as const) {
      const other = fresh();
      if (role) await share(app, id, other, role);
      for (const parts of [[part(1, 1)], [part(100)], [part(1, 1, [77])], [part(2, 3)], [part()]])
        expectRefused(await split(app.api.as(other), id, { parts }), status, code);
      expectRefused(await split(app.api.as(other), id, { parts: 'x' }), status, code);
    }
    const manager = fresh();
    await share(app, id, manager, 'manager');
    resultOf(await split(app.api.as(manager), id, { parts: [part(1, 1, [1])] }));
  });

  test('one that is deleted', async () => {
    const id = await original();
    expectOk(await api.delete(at(id)));
    expectRefused(await split(api, id, { parts: [part(1, 1)] }), 404, 'session_deleted');
  });
});
