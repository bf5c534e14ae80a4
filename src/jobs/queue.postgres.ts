import type { Outage } from '../common/outage.js';
import type { Database } from '../database/database.js';
import { type Connection, type Listener, QUEUE, QUEUE_OPTIONS } from './queue.contract.js';

const SCHEMA = 'bullmq';
/** One connection listens; the others take, add and renew. */
const [CONNECTIONS, CONNECTIONS_TO_ADD] = [4, 2];

/** BullMQ on our PostgreSQL, in a schema and a pool of its own. Events of it get lost there (`QueueEvents`): none are used. */
export async function connectPostgres(
  database: Database,
  listener: Listener | null,
  outage: Outage,
): Promise<Connection> {
  // read when first needed: the start does not wait for half a second of code
  const bullmq = await import('bullmq');
  const pool = database.separatePool(SCHEMA, listener ? CONNECTIONS : CONNECTIONS_TO_ADD);
  try {
    await prepare(bullmq, pool);
  } catch (error) {
    await pool.end();
    throw error;
  }
  outage.end();
  const { createPostgresBackend, Queue, Worker } = bullmq;
  const options = { connection: pool };
  const queue = new Queue(QUEUE, { ...QUEUE_OPTIONS, ...options }, createPostgresBackend);
  queue.on('error', (error) => outage.begin(error));
  const worker =
    listener &&
    new Worker(
      QUEUE,
      (job) => listener.wake(job.data),
      { ...options, concurrency: listener.concurrency, autorun: false },
      createPostgresBackend,
    );
  worker?.on('error', (error) => outage.begin(error)).on('active', () => outage.end());
  const close = async (isForced = false) => {
    await Promise.allSettled([worker?.close(isForced), queue.close()]);
    await pool.end();
  };
  try {
    // one that meets a lost connection here would ask again for ever, without letting anything else run
    await Promise.all([queue.waitUntilReady(), worker?.waitUntilReady()]);
  } catch (error) {
    await close(true);
    throw error;
  }
  worker?.run().catch((error: unknown) => outage.begin(error));

  return {
    add: async (jobId) => {
      await queue.add('run', jobId);
      outage.end();
    },
    ping: () => pool.query('select 1'),
    // not by force: that leaves it waiting for the next job, with a timer
    close: () => close(),
  };
}

type Pool = ReturnType<Database['separatePool']>;

/** BullMQ's tables. Only who makes them needs the right to make a schema. */
async function prepare(bullmq: typeof import('bullmq'), pool: Pool): Promise<void> {
  const client = await pool.connect();
  try {
    const version = await bullmq.assertSchemaCompatibility(client, SCHEMA).catch(() => 0);
    if (version < bullmq.LATEST_SCHEMA_VERSION) await bullmq.runMigrations(client, SCHEMA);
  } finally {
    client.release();
  }
}
