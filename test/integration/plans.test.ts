import { Database } from '../../src/database/database.js';
import type { Statement } from '../../src/database/statement.js';
import { MessageCopiesRepository } from '../../src/messages/message-copies.repository.js';
import { startApp, type TestApp } from '../setup/app.js';

interface Plan {
  'Node Type': string;
  'Relation Name'?: string;
  'Shared Hit Blocks': number;
  'Shared Read Blocks': number;
  Plans?: Plan[];
}

let app: TestApp;
/** what the service sent last */
let sent: { sql: Statement; values: unknown[] }[] = [];

beforeAll(async () => {
  // what workers ask for on their own is not a request’s
  app = await startApp({ ROLE: 'api' });
  const database = app.app.get(Database);
  const query = database.query.bind(database);
  database.query = (sql, values = []) => {
    sent.push({ sql, values });
    return query(sql, values);
  };
  await load();
}, 300_000);
afterAll(() => app.close());

/** A session of a million messages and one of a thousand; a user of 100,000 sessions and one of a thousand. */
async function load(): Promise<void> {
  const session = (id: string, user: string, key: string, at: string, count: string) => `
    insert into sessions (key, id, user_id, session_type, runtime_backend, state, legal_hold, version, message_count,
      total_tokens, total_cost, last_call_seq, title_seq, event_seq, event_tx, auto_recover, created_at, last_activity_at)
    select ${key}, ${id}, ${user}, 'conversation', 'unknown', 'active', false, 1, ${count}, 0, 0, 0, 1, 0, 0, false, ${at}, ${at}`;
  const at = `now() - interval '30 days' + n * interval '1 second'`;
  const users = `case when n <= 100000 then 'heavy' when n <= 101000 then 'light' else 'user-' || n % 100 end`;
  for (const sql of [
    `${session(`'big'`, `'heavy'`, '1000001', `now() - interval '60 days'`, '1000000')}`,
    `${session(`'small'`, `'light'`, '1000002', `now() - interval '60 days'`, '1000')}`,
    `${session(`'s-' || n`, users, 'n', at, '0')} from generate_series(1, 110000) n`,
    `insert into session_details (key, user_id, title, tags, metadata, context, configuration, conversation_data,
       runtime_metadata, session_summary, created_at, updated_at)
     select key, user_id, 'title ' || key, '{a}', '{"a": 1}', '{}', '{}', '{}', '{}', '', created_at, created_at from sessions`,
    ...[
      [1000001, 1_000_000],
      [1000002, 1_000],
    ].map(
      ([key, count]) => `
      insert into messages (session_key, seq, message_id, user_id, role, content, message_type, model, tokens_used, cost_usd, token_count, metadata, bytes, created_at)
      select ${key}, n, gen_random_uuid()::text, 'heavy', case when n % 2 = 0 then 'assistant' else 'user' end,
        to_json(repeat('lorem ipsum ', 20)), 'chat', 'm-' || n % 3, 1, 0.1 + n * 1e-10, 70, '{}', 250, now() - interval '60 days' + n * interval '1 second'
      from generate_series(1, ${count}) n`,
    ),
    `insert into events (aggregate_key, seq, event_type, payload, tx, created_at)
     select 1000001, n, 'message.appended', '{}', 3, now() from generate_series(1, 200000) n`,
    `insert into members (session_key, user_id, role, added_at) select n, 'friend-' || n % 10, 'viewer', now() from generate_series(1, 110000) n`,
    `insert into tool_calls (session_key, call_id, seq) select 1000001, 'c' || n, n from generate_series(1, 100000) n`,
    'update sessions set event_seq = 200000 where key = 1000001',
    `update sessions s set total_tokens = m.tokens, total_cost = m.cost
     from (select session_key, sum(tokens_used) as tokens, sum(cost_usd) as cost from messages group by 1) m where s.key = m.session_key`,
    'vacuum analyze',
  ]) {
    await app.database.pool.query(sql);
  }
}

/** Runs the request, then explains what it sent, as the prepared statements they are, planned for any value. */
async function explain(
  request: () => Promise<{ status: number }>,
): Promise<{ plans: Plan[]; buffers: number }> {
  await request();
  sent = [];
  expect((await request()).status).toBeLessThan(300);
  expect(sent.length).toBeGreaterThan(0);
  const plans: Plan[] = [];
  let buffers = 0;
  for (const { sql, values } of [...sent]) {
    const explained = await explainStatement(sql, values);
    plans.push(explained.plan);
    buffers += explained.buffers;
  }
  return { plans, buffers };
}

async function explainStatement(sql: Statement, values: unknown[]): Promise<{ plan: Plan; buffers: number }> {
  const client = await app.database.pool.connect();
  try {
    await client.query(`begin; set local plan_cache_mode = ${sql.name ? 'force_generic_plan' : 'auto'}`);
    await client.query(`prepare explained as ${sql.text}`);
    const given = values.map((value) => literal(client, fresh(value))).join(', ');
    const run = () => `execute explained${given ? `(${given})` : ''}`;
    const runs: Plan[] = [];
    for (let i = 0; i < 5; i++) {
      const { rows } = await client
        .query(`savepoint once; explain (analyze, buffers, format json) ${run()}`)
        .then(last);
      runs.push(rows[0]['QUERY PLAN'][0].Plan);
      await client.query('rollback to once');
    }
    return {
      plan: runs[0]!,
      buffers: Math.min(...runs.map((plan) => plan['Shared Hit Blocks'] + plan['Shared Read Blocks'])),
    };
  } finally {
    await client.query('rollback; deallocate all').catch(() => undefined);
    client.release();
  }
}

// biome-ignore lint/suspicious/noExplicitAny: pg answers an array for two statements
const last = (results: any) => results.at(-1);

/** The append is explained with ids of its own, since those it was sent with are stored. */
const fresh = (value: unknown) =>
  typeof value === 'string'
    ? value.replace(/"message_id":"[^"]*"/g, () => `"message_id":"${crypto.randomUUID()}"`)
    : value;

function literal(client: { escapeLiteral(text: string): string }, value: unknown): string {
  if (value === null || value === undefined) return 'null';
  if (Array.isArray(value)) {
    const type = value.every((item) => typeof item === 'number') ? 'bigint[]' : 'text[]';
    return `array[${value.map((item) => literal(client, item)).join(', ')}]::${type}`;
  }
  if (value instanceof Date) return client.escapeLiteral(value.toISOString());
  return client.escapeLiteral(String(value));
}

function nodes(plan: Plan): Plan[] {
  return [plan, ...(plan.Plans ?? []).flatMap(nodes)];
}

const BIG = ['sessions', 'session_details', 'messages', 'events', 'tool_calls', 'members'];

const page = (path: string, user: string) => () => app.api.as(user).get(path);
const append = (id: string, user: string) => () =>
  app.api.as(user).post(`/sessions/${id}/messages`, { role: 'user', content: 'x' });

const context = (id: string, user: string, strategy: string) => () =>
  app.api.as(user).post(`/sessions/${id}/context`, { max_tokens: 4000, strategy });

/** Those of a context sort the few rows they have read, statistics their sums. */
const isSorted = (name: string) => /^(context|stats)/.test(name);

/** A page in the middle of a user's list, by the cursor of the page before it. */
async function middle(user: string, count: number) {
  const { rows } = await app.database.pool.query(
    'select last_activity_at, key from sessions where user_id = $1 order by last_activity_at desc, key desc offset $2 limit 1',
    [user, count / 2],
  );
  const first = await app.api.as(user).get('/sessions?limit=50');
  const [digest] = JSON.parse(Buffer.from(first.body.next_cursor, 'base64url').toString());
  const cursor = Buffer.from(
    JSON.stringify([digest, [rows[0].last_activity_at.toISOString(), Number(rows[0].key)]]),
  ).toString('base64url');
  return page(`/sessions?limit=50&cursor=${cursor}`, user);
}

test('plans at a million: no sequential scan, no sort, as many buffers as at a thousand', async () => {
  const cases: [string, () => Promise<{ status: number }>, () => Promise<{ status: number }>][] = [
    ['append', append('big', 'heavy'), append('small', 'light')],
    [
      'newest 100',
      page('/sessions/big/messages?order=desc', 'heavy'),
      page('/sessions/small/messages?order=desc', 'light'),
    ],
    ['oldest 100', page('/sessions/big/messages', 'heavy'), page('/sessions/small/messages', 'light')],
    [
      '100 in the middle',
      page('/sessions/big/messages?after_seq=500000', 'heavy'),
      page('/sessions/small/messages?after_seq=500', 'light'),
    ],
    [
      '100 by offset',
      page('/sessions/big/messages?offset=900000', 'heavy'),
      page('/sessions/small/messages?offset=900', 'light'),
    ],
    ['context, 4k', context('big', 'heavy', 'recent'), context('small', 'light', 'recent')],
    ['context, 4k, pinned', context('big', 'heavy', 'pinned'), context('small', 'light', 'pinned')],
    ['get', page('/sessions/big', 'heavy'), page('/sessions/small', 'light')],
    ['stats', page('/sessions/big/stats', 'heavy'), page('/sessions/small/stats', 'light')],
    ['a user’s list', page('/sessions', 'heavy'), page('/sessions', 'light')],
    ['its middle', await middle('heavy', 100_000), await middle('light', 1_000)],
  ];
  const table = [];
  const faults: string[] = [];
  for (const [name, large, small] of cases) {
    const [atMillion, atThousand] = [await explain(large), await explain(small)];
    const all = atMillion.plans.flatMap(nodes);
    const scans = all.filter(
      (node) => node['Node Type'] === 'Seq Scan' && BIG.includes(node['Relation Name'] ?? ''),
    );
    const sorts = isSorted(name) ? [] : all.filter((node) => node['Node Type'].includes('Sort'));
    table.push({
      name,
      'buffers at 1M / 100k': atMillion.buffers,
      'at 1k': atThousand.buffers,
      scans: scans.length,
      sorts: sorts.length,
    });
    if (scans.length) faults.push(`${name}: sequential scan`);
    if (sorts.length) faults.push(`${name}: sort`);
    if (atMillion.buffers > 1.5 * atThousand.buffers)
      faults.push(`${name}: ${atMillion.buffers} buffers against ${atThousand.buffers}`);
    if (scans.length || sorts.length)
      console.log(
        JSON.stringify(
          atMillion.plans,
          (key, value) =>
            /Time|Rows|Width|Cost|Block|Loops|Schema|Alias|Parallel|Async/.test(key) ? undefined : value,
          1,
        ),
      );
  }
  console.log(table.map((row) => JSON.stringify(row)).join('\n'));
  expect(faults).toEqual([]);
}, 120_000);

test('statistics of a million messages are the decimal sum, before all are folded and then', async () => {
  const { rows } = await app.database.pool.query('delete from message_folds returning folded_seq::int');
  expect(Math.max(...rows.map(({ folded_seq }) => folded_seq))).toBe(1_000_000);
  await app.database.pool.query('truncate message_sums');
  const begun = Date.now();
  const first = await app.api.as('heavy').get('/sessions/big/stats');
  const folding = Date.now() - begun;
  const { text, body } = await app.api.as('heavy').get('/sessions/big/stats');
  const again = Date.now() - begun - folding;
  // 0.1 and n of the last decimal, for every n up to a million (what was appended here costs nothing)
  expect(text).toContain('"cost_usd":100050.00005,"by_model"');
  const strip = (one: string) => one.replace(/"(idle|duration)_seconds":[^,]+,/g, '');
  expect(strip(first.text)).toBe(strip(text));
  expect(body.tokens).toBe(1_000_000);
  for (const kind of ['model', 'day']) {
    const { rows } = await app.database.pool.query(
      `select ${kind === 'model' ? 'model' : `to_char(created_at at time zone 'UTC', 'YYYY-MM-DD')`} as name,
         trim_scale(coalesce(sum(cost_usd), 0))::text as cost
       from messages where session_key = 1000001 group by 1`,
    );
    for (const { name, cost } of rows) {
      const value = name === null ? 'null' : `"${name}"`;
      expect(text).toMatch(
        new RegExp(
          `"${kind}":${value},"messages":\\d+,"tokens":\\d+,"cost_usd":${cost.replace('.', '\\.')}}`,
        ),
      );
    }
  }
  console.log(`a million messages: first read ${folding} ms, then ${again} ms`);
}, 120_000);

test('copies are found among 100,000 without reading those: of a message, of one with a title, of a call', async () => {
  const { pool } = app.database;
  await pool.query(
    `insert into sessions (key, id, user_id, session_type, runtime_backend, state, legal_hold, version, message_count,
       total_tokens, total_cost, last_call_seq, title_seq, event_seq, event_tx, auto_recover, created_at, last_activity_at)
     select 1000003, 'copy', 'copier', session_type, runtime_backend, state, legal_hold, version, 100000,
       total_tokens, total_cost, 100000, title_seq, 0, 0, auto_recover, created_at, last_activity_at from sessions where key = 1000001`,
  );
  await pool.query(
    `insert into messages (session_key, seq, message_id, role, content, message_type, metadata, bytes, created_at, origin)
     select 1000003, seq, message_id, role, content, message_type, metadata, bytes, created_at,
       json_build_object('session_id', 'big', 'message_id', message_id, 'seq', seq)
     from messages where session_key = 1000001 and seq <= 100000`,
  );
  await pool.query(
    `insert into tool_calls (session_key, call_id, seq) select 1000003, call_id, seq from tool_calls where session_key = 1000001`,
  );
  await pool.query(
    `insert into messages (session_key, seq, message_id, role, content, message_type, metadata, bytes, created_at, tool_call_id, tool_call_seq)
     values (1000001, 2000000, 'answer', 'tool', '"x"', 'tool_result', '{}', 3, now(), 'c50000', 50000)`,
  );
  const copies = app.app.get(MessageCopiesRepository, { strict: false });
  const origin = { key: 1000001, id: 'big' };
  /** Taken away again, so that it can be explained: a call is answered once. */
  const answer = async () => {
    await copies.append(1000003, [{ source: origin, seq: 2_000_000, otherId: 'other' }]);
    const { rows } = await pool.query(
      'delete from messages where session_key = 1000003 and seq = 100001 returning tool_call_seq::int',
    );
    expect(rows).toEqual([{ tool_call_seq: 50_000 }]);
    await pool.query('update sessions set message_count = 100000 where key = 1000003');
  };
  const redact = async () => {
    const { rows } = await pool.query(
      'select message_id from messages where session_key = 1000001 and seq = 7',
    );
    const { status, body } = await app.api.as('heavy').delete(`/sessions/big/messages/${rows[0].message_id}`);
    expect({ status, copies: body.copies }).toEqual({ status: 200, copies: 1 });
  };
  const works: [string, () => Promise<unknown>][] = [
    ['title', async () => expect(await copies.findCopy(1000001, 50_000, 1000003)).toBe(50_000)],
    ['answer', answer],
    ['copies', redact],
  ];
  for (const [name, work] of works) {
    sent = [];
    await work();
    const asked = sent.filter(({ sql }) => /copy|copies/i.test(sql.name ?? ''));
    expect(asked).toHaveLength(1);
    for (const { sql, values } of asked) {
      const { buffers } = await explainStatement(sql, values);
      console.log(`${name}: ${sql.name}, ${buffers} buffers`);
      expect(buffers).toBeLessThan(200);
    }
  }
}, 120_000);
