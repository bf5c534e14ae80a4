import { Database } from '../../src/database/database.js';
import type { Statement } from '../../src/database/statement.js';
import { EmbeddingsRepository } from '../../src/search/embeddings.repository.js';
import { startApp, type TestApp } from '../setup/app.js';

interface Plan {
  'Node Type': string;
  'Relation Name'?: string;
  Plans?: Plan[];
}
const nodes = (plan: Plan): Plan[] => [plan, ...(plan.Plans ?? []).flatMap(nodes)];

let app: TestApp;
beforeAll(async () => {
  app = await startApp();
  const row = `insert into text_vectors (kind, place_key, item, part, owner, version, state)
    select 'message', s, n, 0, s % 500, 1,`;
  for (const sql of [
    `insert into sessions (key, id, user_id, session_type, runtime_backend, state, legal_hold, version, message_count, total_tokens,
       total_cost, last_call_seq, title_seq, event_seq, event_tx, auto_recover, created_at, last_activity_at, deleted_at)
     select n, 's-' || n, 'u-' || n % 500, 'conversation', 'unknown', 'active', false, 1, 100, 0, 0, 0, 1, 0, 0, false, now(), now(),
       case when n <= 500 then now() end
     from generate_series(1, 10000) n`,
    `${row} 'stored' from generate_series(1001, 10000) s, generate_series(1, 10) n`,
    `${row} 'waiting' from generate_series(1, 500) s, generate_series(1, 100) n`,
    `${row} 'due' from generate_series(501, 1000) s, generate_series(1, 100) n`,
    'vacuum analyze',
  ])
    await app.database.pool.query(sql);
}, 120_000);
afterAll(() => app.close());

/** Tables that what was sent reads from end to end, as prepared statements planned for any value. */
async function scansOf(work: (embeddings: EmbeddingsRepository) => Promise<unknown>): Promise<string[]> {
  const database = app.app.get(Database);
  const query = database.query.bind(database);
  const sent: [Statement, unknown[]][] = [];
  database.query = (sql, values = []) => {
    sent.push([sql, values]);
    return query(sql, values);
  };
  await work(app.app.get(EmbeddingsRepository, { strict: false }));
  database.query = query;
  const client = await app.database.pool.connect();
  try {
    const scans: string[] = [];
    for (const [sql, values] of sent) {
      await client.query('begin; set local plan_cache_mode = force_generic_plan');
      await client.query(`prepare explained as ${sql.text}`);
      const given = values.map((value) => client.escapeLiteral(String(value))).join(', ');
      const { rows } = await client.query(`explain (format json) execute explained(${given})`);
      await client.query('rollback; deallocate all');
      const all = nodes(rows[0]['QUERY PLAN'][0].Plan);
      scans.push(
        ...all.filter((node) => node['Node Type'] === 'Seq Scan').map((node) => node['Relation Name']!),
      );
    }
    return scans;
  } finally {
    client.release();
  }
}

test('what is due is taken, and what waited found again, without reading all there is', async () => {
  expect(
    await scansOf(async (embeddings) => {
      expect(await embeddings.take('due', 64, 150)).toHaveLength(64);
      expect(await embeddings.wake(200)).toBe(0);
    }),
  ).toEqual([]);
});

test('of a session that is restored as much is due again as is asked for', async () => {
  await app.database.pool.query('update sessions set deleted_at = null where key in (7, 9)');
  const embeddings = app.app.get(EmbeddingsRepository, { strict: false });
  expect(await embeddings.wake(150)).toBe(150);
  expect(await embeddings.wake(150)).toBe(50);
  expect(await embeddings.wake(150)).toBe(0);
});
