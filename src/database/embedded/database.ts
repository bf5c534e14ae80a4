import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { StartupError } from '../../common/startup-error.js';
import { SERVICE } from './cluster.js';

const CONNECT_MS = 5_000;
const PATIENCE_MS = 10_000;
const PAUSE_MS = 100;

const NO_SUCH_DATABASE = '3D000';
const WRONG_PASSWORD = '28P01';
/** Too many connections (those of a killed process go in a moment), starting up, not listening yet. */
const PASSING = ['53300', '57P03', 'ECONNREFUSED', 'ECONNRESET'];

/** Where the service's database is; the password needs no escaping. */
export function databaseUrl(port: number, password: string, database: string = SERVICE): string {
  return `postgres://${SERVICE}:${password}@127.0.0.1:${port}/${database}`;
}

/**
 * Proves that PostgreSQL answers there and knows our password (SCRAM proves both sides), and makes the
 * service's database on the first start.
 */
export async function ensureDatabase(port: number, password: string): Promise<void> {
  const deadline = Date.now() + PATIENCE_MS;
  for (;;) {
    const code = await errorOf(databaseUrl(port, password));
    if (code === null) return;
    if (code === NO_SUCH_DATABASE) return createDatabase(databaseUrl(port, password, 'postgres'));
    if (code === WRONG_PASSWORD) {
      throw new StartupError(`postgres.password is not the cluster's password; put the right one back`);
    }
    if (!PASSING.includes(code) || Date.now() > deadline) {
      throw new StartupError(`PostgreSQL on port ${port} does not answer (${code}); end it and start again`);
    }
    await sleep(PAUSE_MS);
  }
}

async function errorOf(url: string): Promise<string | null> {
  try {
    await withClient(url, async () => {});
    return null;
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    return code ?? message;
  }
}

const createDatabase = (url: string) =>
  withClient(url, (client) => client.query(`CREATE DATABASE ${SERVICE}`));

async function withClient(url: string, work: (client: pg.Client) => Promise<unknown>): Promise<void> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: CONNECT_MS });
  client.on('error', () => {}); // a connection lost later is no news here
  try {
    await client.connect();
    await work(client);
  } finally {
    await client.end().catch(() => {});
  }
}
