import { Injectable } from '@nestjs/common';
import { Database } from '../database/database.js';
import { statement } from '../database/statement.js';

/** Where erasures that run have removed something of. */
@Injectable()
export class ErasurePlacesRepository {
  constructor(private readonly database: Database) {}

  /** Within the transaction that removes it. */
  async note(job: string, places: number[]): Promise<void> {
    await this.database.query(NOTE, [job, places]);
  }

  /** What one that has failed, and is forgotten, still had to see to. */
  async inherit(job: string): Promise<void> {
    await this.database.query(INHERIT, [job]);
  }

  async findPage(job: string, after: number, limit: number): Promise<number[]> {
    const rows = await this.database.query<{ place_key: number }>(FIND_PAGE, [job, after, limit]);
    return rows.map(({ place_key }) => place_key);
  }

  async forget(job: string): Promise<void> {
    await this.database.query(FORGET, [job]);
  }

  /** What tells how far the database was at this moment: a transaction, and the time. */
  async now(): Promise<{ tx: string; at: string }> {
    return (await this.database.query<{ tx: string; at: string }>(THIS_MOMENT))[0]!;
  }

  /** The key of the newest session; 0: there is none. */
  async lastKey(): Promise<number> {
    return (await this.database.query<{ key: number }>(LAST_KEY))[0]!.key;
  }

  /** Whether all that was being written at that moment is written, or was given up. */
  async isSettled(tx: string): Promise<boolean> {
    return (await this.database.query<{ settled: boolean }>(IS_SETTLED, [tx]))[0]!.settled;
  }
}

const NOTE = statement(
  'erasurePlaces.note',
  `insert into erasure_places (job_id, place_key) select $1, key from unnest($2::bigint[]) key on conflict do nothing`,
);

const INHERIT = statement(
  'erasurePlaces.inherit',
  `with left_behind as (
     delete from erasure_places p where not exists (select from jobs j where j.job_id = p.job_id) returning place_key
   )
   insert into erasure_places (job_id, place_key) select $1, place_key from left_behind on conflict do nothing`,
);

const FIND_PAGE = statement(
  'erasurePlaces.findPage',
  `select place_key from erasure_places where job_id = $1 and place_key > $2::bigint order by place_key limit $3::int`,
);

const FORGET = statement('erasurePlaces.forget', 'delete from erasure_places where job_id = $1');

const THIS_MOMENT = statement(
  'erasurePlaces.thisMoment',
  `select pg_current_xact_id()::text as tx, to_json(clock_timestamp()) #>> '{}' as at`,
);

const LAST_KEY = statement('erasurePlaces.lastKey', 'select coalesce(max(key), 0) as key from sessions');

const IS_SETTLED = statement(
  'erasurePlaces.isSettled',
  'select pg_snapshot_xmin(pg_current_snapshot())::text::bigint > $1::bigint as settled',
);
