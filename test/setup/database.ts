import { randomUUID } from 'node:crypto';
import pg from 'pg';

export interface TestDatabase {
  url: string;
  /** SQL past the service, to look at rows or to move clocks */
  pool: pg.Pool;
  drop(): Promise<void>;
}

/** A database of its own for a test file, cloned from the migrated template. */
export async function createDatabase(): Promise<TestDatabase> {
  const name = `test_${randomUUID().replaceAll('-', '')}`;
  await onServer(`create database ${name} template ${process.env.TEST_TEMPLATE}`);
  // this server is never killed: what survives when one is, tests with servers of their own show
  await onServer(`alter database ${name} set synchronous_commit = off`);
  const url = new URL(process.env.TEST_SERVER_URL!);
  url.pathname = `/${name}`;
  const pool = new pg.Pool({ connectionString: url.href, max: 4 });
  pool.on('error', () => undefined);
  return {
    url: url.href,
    pool,
    drop: async () => {
      await pool.end();
      await onServer(`drop database ${name} with (force)`);
    },
  };
}

/** Cloning waits for other clones of the same template: PostgreSQL lets one session at a time copy it. */
async function onServer(sql: string): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    const client = new pg.Client(process.env.TEST_SERVER_URL);
    await client.connect();
    try {
      await client.query(sql);
      return;
    } catch (error) {
      if (attempt === 100 || (error as { code?: string }).code !== '55006') throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    } finally {
      await client.end();
    }
  }
}
