import { Sweeps } from '../../src/jobs/sweeps.js';
import { SERVICE_KEY, startApp, type TestApp } from '../setup/app.js';
import { eventually } from '../setup/eventually.js';

let app: TestApp;
beforeAll(async () => {
  app = await startApp();
});
afterAll(() => app.close());

const TABLES = [
  ...['messages', 'tool_calls', 'events', 'members'],
  ...['message_sums', 'message_folds', 'session_stats', 'model_usage', 'model_reports'],
];

test('deleting for good and creating the id again shows nothing old, also while 100,000 messages are purged', async () => {
  const alice = app.api.as('alice');
  const key = { 'idempotency-key': 'first' };
  await alice.post('/sessions', {
    session_id: 'reborn',
    title: 'canary',
    tags: ['canary'],
    metadata: { canary: true },
  });
  await alice.post('/sessions/reborn/messages', { role: 'assistant', tool_calls: [{ id: 'canary' }] });
  await alice.post(
    '/sessions/reborn/messages',
    { role: 'user', content: 'canary', tokens_used: 5, message_id: 'canary' },
    key,
  );
  const { rows } = await app.database.pool.query(`select key::int from sessions where id = 'reborn'`);
  const oldKey = rows[0].key;
  await fill(oldKey, 100_000);
  await alice.put('/sessions/reborn/stats', { canary: 1 });
  for (let n = 0; n < 3; n++)
    await alice.put('/sessions/reborn/model-usage', { model_type: 'llm', model_name: `canary-${n}` });
  await app.database.pool.query('update sessions set message_count = 100000 where key = $1', [oldKey]);
  expect((await alice.get('/sessions/reborn/stats')).body).toMatchObject({ counters: { canary: 1 } });
  expect((await alice.delete('/sessions/reborn?permanent=true')).status).toBe(204);

  expect((await alice.get('/sessions/reborn')).body.code).toBe('session_not_found');
  const made = await alice.post('/sessions', { session_id: 'reborn' });
  expect(made.body).toMatchObject({
    title: null,
    tags: [],
    metadata: {},
    message_count: 0,
    total_tokens: 0,
    version: 1,
  });

  const purge = app.app.get(Sweeps);
  let isPurging = true;
  const sweeps = Promise.all([purge.run(), purge.run()]).finally(() => {
    isPurging = false;
  });
  let appended = 0;
  while (isPurging) {
    const answer = await alice.post('/sessions/reborn/messages', {
      role: 'user',
      content: `new ${appended}`,
    });
    expect(answer.body.seq).toBe(++appended);
    const list = await alice.get('/sessions/reborn/messages?limit=1000');
    expect(list.text).not.toContain('canary');
    expect(list.body.messages).toHaveLength(Math.min(appended, 1000));
  }
  await sweeps;
  expect(
    (await alice.post('/sessions/reborn/messages', { role: 'tool', tool_call_id: 'canary', content: 'x' }))
      .body.code,
  ).toBe('unknown_tool_call');
  expect(
    (await alice.post('/sessions/reborn/messages', { role: 'user', content: 'again' }, key)).status,
  ).toBe(201);
  expect((await alice.get('/sessions/reborn/events')).text).not.toContain('canary');
  for (const path of [
    '/sessions',
    '/sessions?include_deleted=true',
    '/events',
    '/users/alice/sessions?tags=canary',
  ]) {
    expect((await alice.get(path)).text).not.toContain('canary');
  }

  const left = await Promise.all(
    TABLES.map(async (table) =>
      Number(
        (
          await app.database.pool.query(
            `select count(*) from ${table} where ${table === 'events' ? 'aggregate_key' : 'session_key'} = $1`,
            [oldKey],
          )
        ).rows[0].count,
      ),
    ),
  );
  expect(left).toEqual([0, 0, 1, 0, 0, 0, 0, 0, 0]);
  expect(
    (
      await app.database.pool.query(
        'select from sessions where key = $1 union all select from session_details where key = $1',
        [oldKey],
      )
    ).rowCount,
  ).toBe(0);
  const purged = await eventually(
    async () => {
      const { body } = await app.api.service(SERVICE_KEY).get('/events?limit=1000');
      return body.events.filter((event: { event_type: string }) => event.event_type === 'session.purged');
    },
    (seen) => seen.length > 0,
  );
  expect(purged).toMatchObject([{ aggregate_id: 'reborn' }]);
  console.log(
    `100,000 messages purged by two sweeps while ${appended} appends went to the new session of the same id`,
  );
}, 120_000);

test('a sweep that was interrupted goes on', async () => {
  const bob = app.api.as('bob');
  await bob.post('/sessions', { session_id: 'half' });
  const { rows } = await app.database.pool.query(`select key::int from sessions where id = 'half'`);
  await fill(rows[0].key, 5_000);
  await bob.delete('/sessions/half?permanent=true');
  await app.database.pool.query('delete from messages where session_key = $1 and seq <= 2500', [rows[0].key]);
  await app.app.get(Sweeps).run();
  expect(
    (await app.database.pool.query('select from messages where session_key = $1', [rows[0].key])).rowCount,
  ).toBe(0);
  expect((await app.database.pool.query('select from sessions where key = $1', [rows[0].key])).rowCount).toBe(
    0,
  );
});

const fill = (key: number, count: number) =>
  app.database.pool.query(
    `insert into messages (session_key, seq, message_id, role, content, message_type, metadata, bytes, created_at)
     select $1, n + 10, 'canary-' || n, 'user', '"canary"', 'chat', '{}', 10, now() from generate_series(1, $2::int) n`,
    [key, count],
  );
