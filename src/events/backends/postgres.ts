import type { Connection, Database } from '../../database/database.js';
import { type Bus, CHANNEL, type Ear, RECONNECT_MS } from '../bus.contract.js';

const POOL = 'events';

type Pool = ReturnType<Database['separatePool']>;

/**
 * NOTIFY of PostgreSQL, over one connection of its own, and never in a transaction that writes: those that notify
 * commit one after another.
 */
export async function connectPostgres(database: Database, ear: Ear): Promise<Bus> {
  const bus = new PostgresBus(database.separatePool(POOL, 1), ear);
  void bus.open();
  return bus;
}

class PostgresBus implements Bus {
  private client: Connection | null = null;
  private timer?: NodeJS.Timeout;
  private isClosed = false;

  constructor(
    private readonly pool: Pool,
    private readonly ear: Ear,
  ) {}

  /** Again and again until it succeeds. */
  async open(): Promise<void> {
    let client: Connection | null = null;
    try {
      client = await this.pool.connect();
      await this.listen(client);
    } catch (error) {
      client?.release(true);
      return this.reopen(error);
    }
    if (this.isClosed) return client.release(true);
    this.client = client;
    this.ear.outage.end();
    // what was told in between was missed
    this.ear.hear();
  }

  async tell(): Promise<void> {
    const { client } = this;
    try {
      await client?.query('select pg_notify($1, $2)', [CHANNEL, this.ear.name]);
    } catch (error) {
      this.lose(client!, error);
      throw error;
    }
  }

  async close(): Promise<void> {
    this.isClosed = true;
    clearTimeout(this.timer);
    this.client?.release(true);
    this.client = null;
    await this.pool.end();
  }

  private async listen(client: Connection): Promise<void> {
    client.on('notification', ({ payload }) => {
      if (payload !== this.ear.name) this.ear.hear();
    });
    client.once('end', () => this.lose(client, new Error('the connection has ended')));
    // a notification that a crash takes along is no loss
    await client.query(`set synchronous_commit = off; listen "${CHANNEL}"`);
  }

  private lose(client: Connection, error: unknown): void {
    if (this.client !== client) return;
    this.client = null;
    client.release(true);
    this.reopen(error);
  }

  private reopen(error: unknown): void {
    if (this.isClosed) return;
    this.ear.outage.begin(error);
    this.timer = setTimeout(() => this.open(), RECONNECT_MS).unref();
  }
}
