import { Injectable } from '@nestjs/common';
import { roleIn } from '../access/access.sql.js';
import { PERMISSIONS, type Role } from '../access/roles.js';
import { Database } from '../database/database.js';
import { statement } from '../database/statement.js';
import { settledAfter } from '../events/events.sql.js';
import { statusOf } from '../sessions/session.sql.js';
import type { EventRow } from './feed.schemas.js';

/** A place in the stream of all events. */
export type Position = [tx: number, position: number];

export interface Header {
  role: Role | null;
  status: string;
}

/** Reads the log of events: of one session, or of all the caller may see. */
@Injectable()
export class FeedRepository {
  constructor(private readonly database: Database) {}

  async findOfSession(id: string, user: string | null, after: number, limit: number) {
    const rows = await this.database.query<Header & EventRow>(OF_SESSION, [
      id,
      user,
      PERMISSIONS.read,
      after,
      limit + 1,
    ]);
    return { header: (rows[0] as Header) ?? null, rows: rows[0]?.seq ? (rows as EventRow[]) : [] };
  }

  findOfAll(user: string | null, [tx, position]: Position, limit: number): Promise<EventRow[]> {
    return this.database.query<EventRow>(user === null ? OF_EVERYBODY : OF_USER, [
      ...[tx, position, limit + 1],
      ...(user === null ? [] : [user]),
    ]);
  }
}

const COLUMNS = 'e.seq, e.event_id, e.event_type, e.payload, e.tx, e.position, e.created_at';

const OF_SESSION = statement(
  'feed.ofSession',
  `with header as (
     select s.key, s.id, ${statusOf('s')} as status, ${roleIn('s', '$2')} as role
     from sessions s where s.id = $1 and s.purged_at is null)
   select header.status, header.role, header.id as aggregate_id, page.*
   from header left join lateral (
     select ${COLUMNS} from events e
     where e.session_key = header.key and e.seq > $4::bigint and header.role = any($3::text[])
     order by e.seq limit $5::int) page on true
   order by page.seq`,
);

const OF_EVERYBODY = statement(
  'feed.ofEverybody',
  `select ${COLUMNS}, coalesce(e.payload ->> 'session_id', s.id) as aggregate_id
   from events e left join sessions s on s.key = e.session_key
   where ${settledAfter('e', '$1', '$2')} and (e.event_type = 'session.purged' or (s.key is not null and s.purged_at is null))
   order by e.tx, e.position limit $3::int`,
);

const OF_USER = statement(
  'feed.ofUser',
  `select ${COLUMNS}, s.id as aggregate_id
   from events e join sessions s on s.key = e.session_key
   where ${settledAfter('e', '$1', '$2')} and s.purged_at is null and (${roleIn('s', '$4')}) is not null
   order by e.tx, e.position limit $3::int`,
);
