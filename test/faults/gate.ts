import pg from 'pg';
import type { TestDatabase } from '../setup/database.js';
import { eventually } from '../setup/eventually.js';

const NUMBER = 4711;

/** What the database is about to write when it is made to wait. */
export interface Place {
  table: string;
  on: 'insert' | 'update';
  /** of `new` and `old` */
  when: string;
}

/** Holds up whoever is about to write a certain row, for as long as the test wants: nothing of it is a matter of time. */
export class Gate {
  private constructor(
    private readonly database: TestDatabase,
    private readonly holder: pg.Client,
  ) {}

  static async open(database: TestDatabase): Promise<Gate> {
    await database.pool.query(
      `create or replace function stay() returns trigger language plpgsql as
       $$ begin perform pg_advisory_xact_lock(${NUMBER}); return new; end $$`,
    );
    const holder = new pg.Client(database.url);
    await holder.connect();
    return new Gate(database, holder);
  }

  async shut({ table, on, when }: Place): Promise<void> {
    await this.holder.query(`select pg_advisory_lock(${NUMBER})`);
    await this.holder.query(
      `create trigger stay before ${on} on ${table} for each row when (${when}) execute function stay()`,
    );
  }

  /** Until somebody stands there; answers who. */
  async reached(): Promise<number[]> {
    const rows = await eventually(
      async () => (await this.database.pool.query(WAITING)).rows,
      (found) => found.length > 0,
    );
    return rows.map(({ pid }) => pid);
  }

  /** Ends what they were at, as if their connection had broken before. */
  async cut(pids: number[]): Promise<void> {
    await this.database.pool.query('select pg_terminate_backend(pid) from unnest($1::int[]) pid', [pids]);
    await eventually(
      async () => (await this.database.pool.query(WAITING)).rows,
      (found) => found.length === 0,
    );
  }

  /** Lets everybody through from now on. */
  async lift({ table }: Place): Promise<void> {
    await this.holder.query(`select pg_advisory_unlock(${NUMBER})`);
    await this.holder.query(`drop trigger stay on ${table}`);
  }

  close = () => this.holder.end();
}

const WAITING = `select pid from pg_stat_activity where datname = current_database() and wait_event = 'advisory'`;
