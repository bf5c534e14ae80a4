import { Injectable } from '@nestjs/common';
import { Database } from '../database/database.js';
import { statement } from '../database/statement.js';

/** The log of events. They are written by the statements of the rooms whose change they tell (`events.sql.ts`). */
@Injectable()
export class EventsRepository {
  constructor(private readonly database: Database) {}

  /** Removes at most `limit` events of a purged session, all but that it was purged; answers how many. */
  async purge(key: number, limit: number): Promise<number> {
    return (await this.database.query(PURGE, [key, limit])).length;
  }
}

const PURGE = statement(
  'events.purge',
  `delete from events where aggregate_key = $1 and seq in
     (select seq from events where aggregate_key = $1 and event_type <> 'session.purged' limit $2)
   returning 1`,
);
