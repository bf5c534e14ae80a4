import { Injectable } from '@nestjs/common';
import type { JsonObject } from '../common/json.js';
import { Database } from '../database/database.js';
import { statement } from '../database/statement.js';

/** What a session was where it is from, and what shows it to be what it was. */
export interface Before {
  created_at: string;
  updated_at: string;
  last_activity_at: string;
  archived_at: string | null;
  checkpoint: JsonObject | null;
  checkpoint_n: number;
}

/** The rows of sessions as they are carried from one installation to another. */
@Injectable()
export class SessionTransferRepository {
  constructor(private readonly database: Database) {}

  /** Nobody has the id. */
  async rename(key: number, id: string): Promise<void> {
    await this.database.query(RENAME, [key, id]);
  }

  /** Within a transaction that holds the session. */
  async restore(key: number, before: Before): Promise<void> {
    const { created_at, updated_at, last_activity_at, archived_at, checkpoint, checkpoint_n } = before;
    await this.database.query(RESTORE, [
      ...[key, created_at, last_activity_at, archived_at, updated_at],
      ...[checkpoint && JSON.stringify(checkpoint), checkpoint_n],
    ]);
  }
}

const RENAME = statement('sessionTransfer.rename', 'update sessions set id = $2 where key = $1');

const RESTORE = statement(
  'sessionTransfer.restore',
  `with s as (
     update sessions set created_at = $2, last_activity_at = $3, archived_at = $4,
       completed_at = case when state = 'completed' then $3::timestamptz end
     where key = $1
   )
   update session_details set created_at = $2, updated_at = $5, checkpoint = $6::json, checkpoint_n = $7
   where key = $1`,
);
