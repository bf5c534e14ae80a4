import { type DataSource, MigrationExecutor, type QueryRunner } from 'typeorm';
import { StartupError } from '../common/startup-error.js';

const LOCK = 0x5e55_1045;
const OLDEST = 140_000;

/**
 * Brings the schema up to date, one process at a time.
 * @throws StartupError when the server is too old or not UTF-8, or its schema newer than this code
 */
export async function migrate(dataSource: DataSource): Promise<void> {
  const guard = dataSource.createQueryRunner();
  try {
    await checkServer(guard);
    // another process may migrate for long, and so may this one
    await guard.query('set statement_timeout = 0');
    await guard.query('select pg_advisory_lock($1)', [LOCK]);
    await checkSchema(guard, dataSource);
    await new MigrationExecutor(dataSource, guard).executePendingMigrations();
  } finally {
    await guard.query('reset statement_timeout; select pg_advisory_unlock_all()').catch(() => undefined);
    await guard.release();
  }
}

async function checkServer(runner: QueryRunner): Promise<void> {
  const [server] = await runner.query(
    `select current_setting('server_version_num')::int as version, current_setting('server_encoding') as encoding`,
  );
  if (server.version < OLDEST) {
    throw new StartupError(`PostgreSQL ${Math.floor(server.version / 10_000)} is too old: use 14 or newer`);
  }
  if (server.encoding !== 'UTF8') {
    throw new StartupError(`the database has encoding ${server.encoding}: create it with ENCODING 'UTF8'`);
  }
}

/** Another, later version of the service has been here: running on would write rows it does not understand. */
async function checkSchema(runner: QueryRunner, dataSource: DataSource): Promise<void> {
  if (!(await runner.hasTable('migrations'))) return;
  const known = dataSource.migrations.map((migration) => migration.name ?? migration.constructor.name);
  const applied: { name: string }[] = await runner.query('select name from migrations order by id');
  const newer = applied.find(({ name }) => !known.includes(name));
  if (newer) {
    throw new StartupError(
      `the database's schema is newer than this version (migration ${newer.name}): start the version that made it, or a later one`,
    );
  }
}
