import { Injectable } from '@nestjs/common';
import type { JsonObject } from '../common/json.js';
import { Database } from '../database/database.js';
import { statement } from '../database/statement.js';

/** An event that may name somebody. */
export interface Telling {
  aggregate_key: number;
  seq: number;
  payload: JsonObject;
  /** older than what is erased */
  is_old: boolean;
}

/** Where an event stands in the log. */
type Place = [aggregate: number, seq: number];

/** Events that tell of a user who is to be forgotten, and what else is known of him by name only. */
@Injectable()
export class EventErasureRepository {
  constructor(private readonly database: Database) {}

  /** Those among the next `limit` events behind a place, of sessions and users up to a key, whose payload may name him; `last`: how far was looked, null at the end. */
  async find(user: string, after: Place, upTo: number, since: string, limit: number, most: number) {
    const quoted = JSON.stringify(user).slice(1, -1);
    const [page] = await this.database.query<{ last: [number, number] | null; events: Telling[] }>(FIND, [
      ...[quoted, ...after, since, limit, most, upTo],
    ]);
    return page!;
  }

  async setPayload({ aggregate_key, seq, payload }: Omit<Telling, 'is_old'>): Promise<void> {
    await this.database.query(SET_PAYLOAD, [aggregate_key, seq, JSON.stringify(payload)]);
  }

  /** The key of a user, held until the transaction ends; null: nothing is kept for him. */
  async lockUser(user: string): Promise<number | null> {
    const [row] = await this.database.query<{ key: number }>(LOCK_USER, [user]);
    return row?.key ?? null;
  }

  /** When nothing else is left of him. */
  async removeUser(key: number): Promise<void> {
    await this.database.query(REMOVE_USER, [key]);
  }
}

/** Whose payloads tell ids that somebody has chosen: the name may be part of them. */
const TELL_IDS = [
  'session.purged',
  'session.forked',
  'session.merged',
  'session.split',
  'session.imported',
  'message.redacted',
];

const FIND = statement(
  'eventErasure.find',
  `with page as materialized (
     select aggregate_key, seq, event_type, payload, created_at from events
     where (aggregate_key, seq) > ($2::bigint, $3::bigint) and aggregate_key <= $7::bigint order by aggregate_key, seq limit $5::int
   ), telling as materialized (
     select aggregate_key, seq, payload, created_at < $4::timestamptz as is_old from page
     where strpos(payload::text, $1) > 0
       and (event_type in (${TELL_IDS.map((type) => `'${type}'`).join(', ')}) or strpos(payload::text, '"' || $1 || '"') > 0)
     order by aggregate_key, seq limit $6::int
   )
   select (select json_build_array(aggregate_key, seq) from page order by aggregate_key desc, seq desc limit 1) as last,
     (select coalesce(json_agg(telling order by aggregate_key, seq), '[]') from telling) as events`,
);

const SET_PAYLOAD = statement(
  'eventErasure.setPayload',
  'update events set payload = $3 where aggregate_key = $1 and seq = $2',
);

const LOCK_USER = statement('eventErasure.lockUser', 'select key from users where id = $1 for update');

const REMOVE_USER = statement('eventErasure.removeUser', 'delete from users where key = $1');
