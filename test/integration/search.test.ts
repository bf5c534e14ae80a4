import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { Database } from '../../src/database/database.js';
import type { Statement } from '../../src/database/statement.js';
import { Sweeps } from '../../src/jobs/sweeps.js';
import { startApp, type TestApp } from '../setup/app.js';

let app: TestApp;
beforeAll(async () => {
  app = await startApp();
});
afterAll(() => app.close());

interface Plan {
  'Node Type': string;
  'Index Name'?: string;
  'Relation Name'?: string;
  'Recheck Cond'?: string;
  'Index Cond'?: string;
  Plans?: Plan[];
}
const nodes = (plan: Plan): Plan[] => [plan, ...(plan.Plans ?? []).flatMap(nodes)];

const find = async (user: string, body: object) =>
  (await app.api.as(user).post('/search/messages', { limit: 100, ...body })).body.hits;

describe('200,000 messages of 500 users', () => {
  const USERS = 500;

  beforeAll(async () => {
    for (const sql of [
      `insert into sessions (key, id, user_id, session_type, runtime_backend, state, legal_hold, version, message_count, total_tokens,
         total_cost, last_call_seq, title_seq, event_seq, event_tx, auto_recover, created_at, last_activity_at)
       select n, 's-' || n, 'u-' || n % ${USERS}, 'conversation', 'unknown', 'active', false, 1, 100, 0, 0, 0, 1, 0, 0, false, now(), now()
       from generate_series(1, 2000) n`,
      `insert into messages (session_key, seq, message_id, role, content, message_type, metadata, bytes, created_at)
       select s.key, n, 'm-' || n, 'user', to_json('everybody says word' || n || ' and ' || s.user_id || ' secret' || s.key || 'x'), 'chat', '{}', 60, now()
       from sessions s, generate_series(1, 100) n`,
      `select setval(pg_get_serial_sequence('sessions', 'key'), 2000)`,
      'drop index message_texts_words',
      `insert into message_texts (place_key, item, part, owner, words)
       select m.session_key, m.seq, 0, hashtextextended(s.user_id, 0), to_tsvector('simple', replace(m.content #>> '{}', '-', ' '))
       from messages m join sessions s on s.key = m.session_key`,
      'create index message_texts_words on message_texts using gin (owner, place_key, words)',
      'vacuum analyze',
    ])
      await app.database.pool.query(sql);
  }, 120_000);

  test('each finds his own, whatever he asks for, and nothing of anybody else', async () => {
    for (let user = 0; user < USERS; user += 25) {
      const name = `u-${user}`;
      const common = await find(name, { query: 'everybody' });
      expect(common).toHaveLength(100);
      const own = await find(name, { query: 'word7' });
      expect(own).toHaveLength(4);
      for (const { message, session_id } of [...common, ...own]) {
        expect(Number(session_id.slice(2)) % USERS).toBe(user);
        expect(message.content).toContain(`and u-${user} `);
      }
      expect(await find(name, { query: `secret${user + 1}x` })).toEqual([]);
      expect(await find(name, { query: `secret${user || USERS}x` })).toHaveLength(100);
    }
  });

  test('by index, and no more of it than is his', async () => {
    const database = app.app.get(Database);
    const query = database.query.bind(database);
    let sent: { sql: Statement; values: unknown[] } | undefined;
    database.query = (sql, values = []) => {
      if (sql.name?.startsWith('search.messages')) sent = { sql, values };
      return query(sql, values);
    };
    await find('u-3', { query: 'everybody' });
    database.query = query;
    const client = await app.database.pool.connect();
    await client.query('begin; set local plan_cache_mode = force_generic_plan');
    await client.query(`prepare explained as ${sent!.sql.text}`);
    const literal = (value: unknown) => (value === null ? 'null' : client.escapeLiteral(String(value)));
    const { rows } = await client.query(
      `explain (analyze, buffers, format json) execute explained(${sent!.values.map(literal).join(', ')})`,
    );
    await client.query('rollback; deallocate all');
    client.release();
    const { Plan: plan } = rows[0]['QUERY PLAN'][0];
    const texts = nodes(plan).filter((node) => node['Index Name'] === 'message_texts_words');
    expect(texts).toMatchObject([
      { 'Node Type': 'Bitmap Index Scan', 'Index Cond': expect.stringContaining('owner') },
    ]);
    expect(
      nodes(plan).filter(
        (node) =>
          node['Node Type'] === 'Seq Scan' && /texts|messages|sessions/.test(node['Relation Name'] ?? ''),
      ),
    ).toEqual([]);
    const buffers = plan['Shared Hit Blocks'] + plan['Shared Read Blocks'];
    console.log(`a word that all 200,000 messages have: ${buffers} buffers for the 400 of one user`);
    expect(buffers).toBeLessThan(5_000);
  });
});

test('npm run reindex reads everything anew, in another language, while the service runs', async () => {
  const linguist = app.api.as('linguist');
  await linguist.post('/sessions', { session_id: 'in-english' });
  await linguist.post('/sessions/in-english/messages', {
    role: 'user',
    content: 'her studies were late',
  });
  await linguist.put('/users/linguist/memory/k', { value: 'runs marathons' });
  await app.app.get(Sweeps).run();
  expect(await find('linguist', { query: 'study late' })).toEqual([]);
  const run = promisify(execFile)(process.execPath, ['dist/src/reindex.js'], {
    env: {
      PATH: process.env.PATH,
      DATABASE_URL: app.database.url,
      SEARCH_LANGUAGE: 'english',
      LOG_LEVEL: 'silent',
    },
  });
  expect((await run).stdout).toContain('Everything is derived anew.');
  expect(await find('linguist', { query: 'study late' })).toMatchObject([
    { highlight: 'her <mark>studies</mark> were <mark>late</mark>' },
  ]);
  const { body } = await linguist.post('/memory/search', { query: 'marathon' });
  expect(body.hits).toMatchObject([{ highlight: expect.stringContaining('<mark>marathons</mark>') }]);
  expect(await find('u-3', { query: 'word7' })).toHaveLength(4);
}, 300_000);
