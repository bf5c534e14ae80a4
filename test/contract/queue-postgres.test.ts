import { SERVICE_KEY, type TestApp } from '../setup/app.js';
import { eventually } from '../setup/eventually.js';
import { ask, startJobApp } from '../setup/job-rooms.js';
import { type QueueUnderTest, queueSuite } from './queue.suite.js';

const tables = async ({ database }: TestApp): Promise<string[]> => {
  const { rows } = await database.pool.query(
    `select tablename from pg_tables where schemaname = 'bullmq' and tablename <> 'migration' order by 1`,
  );
  return rows.map(({ tablename }) => `bullmq.${tablename}`);
};

const queue: QueueUnderTest = {
  environment: () => ({}),
  wipe: async (app) => {
    for (const table of await tables(app))
      await app.database.pool.query(`delete from ${table}`).catch(() => undefined);
  },
  interrupt: async (app) => {
    await app.database.pool.query(
      `select pg_terminate_backend(pid) from pg_stat_activity
       where datname = current_database() and (application_name like '%bullmq' or application_name = 'session-service' and query like 'listen%')`,
    );
  },
  leftovers: async (app) => {
    let count = 0;
    for (const table of await tables(app))
      count += (await app.database.pool.query(`select count(*)::int as count from ${table}`)).rows[0].count;
    return count;
  },
};

describe('on PostgreSQL', () => queueSuite(queue));

test('a database user who may not make a schema waits for the sweep, and nothing else is amiss', async () => {
  const owner = await startJobApp({ ROLE: 'api' });
  const { pool, url } = owner.database;
  const role = `job_tester_${process.pid}`;
  await pool.query(`create role ${role} login password 'secret'`);
  await pool.query(`drop schema if exists bullmq cascade`);
  const { rows } = await pool.query(`select current_database() as name`);
  await pool.query(`revoke create on database ${rows[0].name} from public`);
  await pool.query(`grant all on all tables in schema public to ${role}`);
  await pool.query(`grant all on all sequences in schema public to ${role}`);
  const asRole = new URL(url);
  [asRole.username, asRole.password] = [role, 'secret'];
  const worker = await startJobApp({}, { ...owner, database: { ...owner.database, url: asRole.href } });
  const id = await ask(worker, { steps: 2 });
  await eventually(
    () => worker.api.service(SERVICE_KEY).get(`/jobs/${id}`),
    ({ body }) => body.state === 'succeeded',
  );
  expect((await worker.api.get('/health')).body.status).toBe('ok');
  await worker.close();
  await pool.query(`drop owned by ${role}; drop role ${role}`);
  await owner.close();
});
