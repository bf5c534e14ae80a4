import { Injectable } from '@nestjs/common';
import { roleIn } from '../access/access.sql.js';
import { PERMISSIONS, type Role } from '../access/roles.js';
import { boundedPage } from '../common/paging.js';
import { Database } from '../database/database.js';
import { statement } from '../database/statement.js';
import { NEXT_TX, OLDEST_RUNNING_TX, settledAfter } from '../events/events.sql.js';
import { statusOf } from '../sessions/session.sql.js';
import type { EventRow } from './feed.schemas.js';
import type { Position } from './position.js';

/** A session, and which of its events are there: as many as were told, less those that were removed for their age. */
export interface Header {
  header_key: number;
  role: Role | null;
  status: string;
  event_seq: number;
  first_seq: number;
}

/** How much is read at once: so many events, or fewer, whose payloads are larger than so many bytes together; never none. */
export interface Portion {
  events: number;
  bytes: number;
}

/** A part of the stream of all events, as far as it was looked at. */
export interface Stretch {
  rows: EventRow[];
  /** behind it nothing has been looked at */
  end: Position;
  isMore: boolean;
  /** up to here events have been removed for their age */
  removed: Position;
  /** nothing has been told at this place yet: it is none of this stream */
  isBeyond: boolean;
}

interface Scan {
  is_beyond: boolean;
  scanned: number;
  end_tx: number | null;
  end_position: number | null;
  removed_tx: number;
  removed_position: number;
}

interface Places {
  removed_tx: number;
  removed_position: number;
  end_tx: number;
  next_tx: number;
}

/** How many events one request looks at, whosever they are: a user with few would else read the whole log for them. */
export const SCANNED = 10_000;

/** Reads the log of events: of one session, or of all the caller may see. */
@Injectable()
export class FeedRepository {
  constructor(private readonly database: Database) {}

  /** The events behind a seq; one more than asked for, if there are more. */
  async findOfSession(id: string, user: string | null, after: number, { events, bytes }: Portion) {
    const rows = await this.database.query<Header & EventRow>(OF_SESSION, [
      ...[id, user, PERMISSIONS.read, after, events + 1, bytes],
    ]);
    return { header: (rows[0] as Header) ?? null, rows: rows[0]?.seq ? (rows as EventRow[]) : [] };
  }

  /** The next events, or as many of them as lie among the next `SCANNED` of all. */
  async findOfAll(user: string | null, start: Position, { events, bytes }: Portion): Promise<Stretch> {
    const values = [...start, user, events + 1, SCANNED, bytes];
    const rows = await this.database.query<EventRow & Scan>(OF_ALL, values);
    const { is_beyond, scanned, end_tx, end_position, removed_tx, removed_position } = rows[0]!;
    const taken = rows[0]!.event_id ? rows.slice(0, events) : [];
    const last = taken.at(-1);
    const isCut = last !== undefined && last.found > taken.length;
    const end: Position = isCut ? placeOf(last) : end_tx ? [end_tx, end_position!] : start;
    const removed: Position = [removed_tx, removed_position];
    return { rows: taken, end, isMore: isCut || scanned === SCANNED, removed, isBeyond: is_beyond };
  }

  /** Where the stream of all events begins, and where it ends by now: what is written from now on comes behind that; and which `tx` it has not come to. */
  async places(): Promise<{ removed: Position; end: Position; nextTx: number }> {
    const [places] = await this.database.query<Places>(PLACES);
    const { removed_tx, removed_position, end_tx, next_tx: nextTx } = places!;
    return { removed: [removed_tx, removed_position], end: [end_tx, Number.MAX_SAFE_INTEGER], nextTx };
  }
}

const placeOf = ({ tx, position }: EventRow): Position => [tx, position];

const COLUMNS = 'e.seq, e.event_id, e.event_type, e.payload, e.tx, e.position, e.created_at';

const SIZE = 'octet_length(e.payload::text) as size';

const OF_SESSION = statement(
  'feed.ofSession',
  `with header as (
     select s.key, s.id, ${statusOf('s')} as status, ${roleIn('s', '$2')} as role, s.event_seq,
       coalesce((select min(e.seq) from events e where e.aggregate_key = s.key), s.event_seq + 1) as first_seq
     from sessions s where s.id = $1 and s.purged_at is null)
   select header.key as header_key, header.status, header.role, header.event_seq, header.first_seq, 'session' as aggregate_type, header.id as aggregate_id, page.*
   from header left join lateral (${boundedPage(
     `select ${COLUMNS}, ${SIZE} from events e
     where e.aggregate_key = header.key and e.seq > $4::bigint and header.role = any($3::text[])
     order by e.seq limit $5::int`,
     'seq',
     '$6',
   )}) page on true
   order by page.seq`,
);

const lookedAt = (columns: string) => `
  select ${columns} from events e where ${settledAfter('e', '$1', '$2')} order by e.tx, e.position limit $5::int`;

/** SQL for how far events have been removed. */
const REMOVED = `(select tx, position from stream_positions where name = 'removed') removed`;

/**
 * One event after the other, so that it ends with the last one asked for: joined as a whole, all that are looked at would be read first.
 *
 * $1 tx, $2 position, $3 user (null: service), $4 limit, $5 how many to look at, $6 bytes
 */
const OF_ALL = statement(
  'feed.ofAll',
  `with page as materialized (
     select e.*, ${SIZE}, case when u.key is null then 'session' else 'user' end as aggregate_type,
       case when e.event_type = 'session.purged' then e.payload ->> 'session_id' else coalesce(s.id, u.id) end as aggregate_id
     from (${lookedAt(`${COLUMNS}, e.aggregate_key`)}) e
       left join lateral (select key, id, user_id, purged_at from sessions where sessions.key = e.aggregate_key offset 0) s on true
       left join lateral (select key, id from users where users.key = e.aggregate_key offset 0) u on true
     where case
       when u.key is not null then $3::text is null or u.id = $3
       when $3::text is null then e.event_type = 'session.purged' or s.purged_at is null and s.key is not null
       else s.purged_at is null and (${roleIn('s', '$3')}) is not null end
     order by e.tx, e.position limit $4::int
   ), scan as (
     select count(*)::int as scanned, max(tx) as end_tx,
       (array_agg(position order by tx desc, position desc))[1] as end_position
     from (${lookedAt('e.tx, e.position')}) looked_at
     where (select count(*) from page) < $4::int
   )
   select $1::bigint >= ${NEXT_TX} as is_beyond, scan.*, removed.tx as removed_tx, removed.position as removed_position, page.*
   from scan cross join ${REMOVED} left join (${boundedPage('select * from page', 'tx, position', '$6')}) page on true
   order by page.tx, page.position`,
);

const PLACES = statement(
  'feed.places',
  `select removed.tx as removed_tx, removed.position as removed_position, ${OLDEST_RUNNING_TX} - 1 as end_tx,
     ${NEXT_TX} as next_tx from ${REMOVED}`,
);
