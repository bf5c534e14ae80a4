import { SERVICE_KEY, startApp, type TestApp } from '../setup/app.js';

let app: TestApp;
beforeAll(async () => {
  app = await startApp();
});
afterAll(() => app.close());

const alice = () => app.api.as('alice');
const times = <T>(n: number, make: (i: number) => Promise<T>) =>
  Promise.all(Array.from({ length: n }, (_, i) => make(i)));

/** What must hold of a session's rows, whoever wrote them. */
async function inspect(id: string) {
  const { rows } = await app.database.pool.query(
    `with m as (select m.*, lag(m.created_at) over (order by m.seq) as before
                from messages m join sessions s on s.key = m.session_key where s.id = $1)
     select (select count(*)::int from m) as messages,
            (select coalesce(max(seq), 0)::int from m) as last,
            (select count(distinct seq)::int from m) as distinct_seq,
            (select count(*)::int from m where before > created_at) as backwards,
            (select coalesce(sum(tokens_used), 0)::int from m) as tokens,
            (select coalesce(sum(cost_usd), 0)::text from m) as cost,
            s.message_count::int, s.total_tokens::int, s.total_cost::text, s.event_seq::int,
            (select count(*)::int from events e where e.aggregate_key = s.key) as events,
            (select count(*)::int from events e where e.aggregate_key = s.key
               and e.tx < (select max(b.tx) from events b where b.aggregate_key = s.key and b.seq < e.seq)) as events_backwards
     from sessions s where s.id = $1`,
    [id],
  );
  return rows[0];
}

function expectWhole(row: Awaited<ReturnType<typeof inspect>>, messages: number) {
  expect(row).toMatchObject({
    messages,
    last: messages,
    distinct_seq: messages,
    message_count: messages,
    backwards: 0,
  });
  expect(row.total_tokens).toBe(row.tokens);
  expect(Number(row.total_cost)).toBe(Number(row.cost));
  expect(row.events).toBe(row.event_seq);
  expect(row.events_backwards).toBe(0);
}

test('16 writers × 200 appends to one session, and 32 sessions at once', async () => {
  const ids = ['hot', ...Array.from({ length: 32 }, (_, i) => `side-${i}`)];
  await Promise.all(ids.map((session_id) => alice().post('/sessions', { session_id })));
  const append = async (id: string, text: string) => {
    const answer = await alice().post(`/sessions/${id}/messages`, {
      role: 'user',
      content: text,
      tokens_used: 3,
      cost_usd: 0.0000000001,
    });
    expect(answer.status).toBe(201);
  };
  const hot = times(16, async (writer) => {
    for (let i = 0; i < 200; i++) await append('hot', `${writer}/${i}`);
  });
  const side = times(32, async (session) => {
    for (let i = 0; i < 25; i++) await append(`side-${session}`, `${i}`);
  });
  await Promise.all([hot, side]);
  expectWhole(await inspect('hot'), 3200);
  for (let i = 0; i < 32; i++) expectWhole(await inspect(`side-${i}`), 25);
  console.log(
    '16 writers × 200 to one session: 3,200 messages, seq without gap or double; 32 sessions × 25 beside it',
  );
}, 180_000);

test('twins of one Idempotency-Key append once', async () => {
  await alice().post('/sessions', { session_id: 'twins' });
  const answers = await times(20, () =>
    alice().post('/sessions/twins/messages', { role: 'user', content: 'once' }, { 'idempotency-key': 'k' }),
  );
  expect(answers.filter((a) => a.status === 201)).toHaveLength(1);
  expect(new Set(answers.map((a) => a.body.message_id)).size).toBe(1);
  expectWhole(await inspect('twins'), 1);
});

test('of racers with one expected_seq exactly one wins', async () => {
  await alice().post('/sessions', { session_id: 'race' });
  for (let round = 0; round < 20; round++) {
    const answers = await times(8, (i) =>
      alice().post('/sessions/race/messages', { role: 'user', content: `${i}`, expected_seq: round }),
    );
    expect(answers.map((a) => a.status).sort()).toEqual([201, 409, 409, 409, 409, 409, 409, 409]);
    expect(answers.filter((a) => a.status === 409).every((a) => a.body.code === 'seq_moved')).toBe(true);
  }
  expectWhole(await inspect('race'), 20);
});

test('two answers to one tool call at the same moment: one gets in', async () => {
  await alice().post('/sessions', { session_id: 'calls' });
  for (let round = 0; round < 50; round++) {
    await alice().post('/sessions/calls/messages', { role: 'assistant', tool_calls: [{ id: 'again' }] });
    const answers = await times(4, (i) =>
      alice().post('/sessions/calls/messages', { role: 'tool', tool_call_id: 'again', content: `${i}` }),
    );
    expect(answers.map((a) => a.status).sort()).toEqual([201, 409, 409, 409]);
  }
  expectWhole(await inspect('calls'), 100);
  console.log('two (four) answers to one tool call at the same moment: 50 rounds, one got in each time');
});

test('an answer belongs to the newest earlier call, also of one made while it waited', async () => {
  await alice().post('/sessions', { session_id: 'newest' });
  await alice().post('/sessions/newest/messages', { role: 'assistant', tool_calls: [{ id: 'x' }] });
  await times(60, (i) =>
    alice().post(
      '/sessions/newest/messages',
      i % 2
        ? { role: 'assistant', tool_calls: [{ id: 'x' }] }
        : { role: 'tool', tool_call_id: 'x', content: 'r' },
    ),
  );
  const { rows } = await app.database.pool.query(
    `select m.seq::int, m.tool_call_seq::int as linked,
       (select max(c.seq)::int from tool_calls c where c.session_key = m.session_key and c.call_id = 'x' and c.seq < m.seq) as newest
     from messages m join sessions s on s.key = m.session_key where s.id = 'newest' and m.role = 'tool'`,
  );
  expect(rows.length).toBeGreaterThan(0);
  for (const row of rows) expect(row.linked).toBe(row.newest);
});

test('concurrent patches of different members lose nothing', async () => {
  await alice().post('/sessions', { session_id: 'patches' });
  const answers = await times(32, (i) => alice().patch('/sessions/patches', { context: { [`m${i}`]: i } }));
  expect(answers.every((a) => a.status === 200)).toBe(true);
  const { body } = await alice().get('/sessions/patches');
  expect(Object.keys(body.context)).toHaveLength(32);
  expect(body.version).toBe(33);
});

test('two who resume at once get one session, two who create one id too', async () => {
  const resumed = await times(20, () =>
    alice().post('/sessions/resume', { client_id: 'new phone', create: true }),
  );
  expect(new Set(resumed.map((a) => a.body.session_id)).size).toBe(1);
  expect(resumed.filter((a) => a.status === 201)).toHaveLength(1);
  const created = await times(20, () =>
    alice().post('/sessions', { session_id: 'same', if_exists: 'return' }),
  );
  expect(created.filter((a) => a.status === 201)).toHaveLength(1);
  await alice().delete('/sessions/same');
  const recreated = await times(20, () =>
    alice().post('/sessions', { session_id: 'same', if_exists: 'return' }),
  );
  expect(recreated.filter((a) => a.status === 201)).toHaveLength(1);
});

test('appends against a deletion: each is stored and acknowledged, or refused', async () => {
  const service = app.api.service(SERVICE_KEY);
  for (let round = 0; round < 10; round++) {
    const id = `doomed-${round}`;
    await alice().post('/sessions', { session_id: id });
    const [answers] = await Promise.all([
      times(8, () => alice().post(`/sessions/${id}/messages`, { role: 'user', content: 'x' })),
      service.delete(`/sessions/${id}${round % 2 ? '?permanent=true' : ''}`),
    ]);
    expect(answers.every((a) => a.status === 201 || a.status === 404)).toBe(true);
    if (round % 2 === 0) expectWhole(await inspect(id), answers.filter((a) => a.status === 201).length);
  }
});
