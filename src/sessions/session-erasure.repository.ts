import { Injectable } from '@nestjs/common';
import type { JsonObject } from '../common/json.js';
import { Database } from '../database/database.js';
import { statement } from '../database/statement.js';
import { insertEventList, insertEvents, type NewEvent, numberEvents } from '../events/events.sql.js';
import type { Session } from './session.entity.js';
import { statusOf } from './session.sql.js';
import { TELL } from './sessions.sql.js';

/** A session that is held, as far as an erasure needs to know it. */
export type HeldSession = Pick<
  Session,
  'key' | 'id' | 'user_id' | 'agent_id' | 'legal_hold' | 'busy_job' | 'title_seq'
> & {
  status: string;
  /** it is not shown yet, or not any more: nobody is told of what happens to it */
  is_hidden: boolean;
};

/** What a user still has. */
export interface Left {
  /** under legal hold, at most so many as are named */
  held: string[];
  /** read by a job, or still being made */
  busy: boolean;
}

/** Rows of sessions as an erasure sees and changes them. */
@Injectable()
export class SessionErasureRepository {
  constructor(private readonly database: Database) {}

  /** Some of the sessions up to a key that a user owns and that may be removed, whatever became of them. */
  async findOwn(user: string, upTo: number, limit: number): Promise<number[]> {
    const rows = await this.database.query<{ key: number }>(FIND_OWN, [user, limit, upTo]);
    return rows.map(({ key }) => key);
  }

  /** Held until the transaction ends, so that nobody copies from them. */
  async lockAll(keys: number[]): Promise<void> {
    await this.database.query(LOCK_ALL, [keys]);
  }

  /**
   * Gone for every reader from the end of this transaction on, and left to the erasure for a day; those that may still be removed, with the messages they have.
   * `is_old`: it, or something that he said in it, is older than that: somebody may have copied it.
   */
  async removeOwn(keys: number[], user: string, since: string) {
    return this.database.query<{ key: number; messages: number; is_old: boolean }>(REMOVE_OWN, [
      ...[user, keys, since],
    ]);
  }

  /** @param named of those under legal hold, at most so many */
  async left(user: string, named: number): Promise<Left> {
    return (await this.database.query<Left>(LEFT, [user, named]))[0]!;
  }

  /** Held until the transaction ends, whatever state it is in; null: its rows are gone. */
  async lock(key: number): Promise<HeldSession | null> {
    const [row] = await this.database.query<HeldSession>(LOCK, [key]);
    return row ?? null;
  }

  /** Whether a job reads it. */
  async isBusy(key: number): Promise<boolean> {
    return (await this.database.query(IS_BUSY, [key])).length > 0;
  }

  /** …one that is gone for every reader; from now on the purge may remove it too. False: it has. */
  async lockPurged(key: number): Promise<boolean> {
    return (await this.database.query(LOCK_PURGED, [key])).length > 0;
  }

  /** Of a held session, unless nobody sees it. */
  async tell(key: number, events: NewEvent[]): Promise<void> {
    if (events.length > 0) await this.database.query(TELL, [key, JSON.stringify(events)]);
  }

  /** Of a held session: whom it is shared with has changed. */
  async tellShared(key: number, events: NewEvent[]): Promise<void> {
    await this.database.query(TELL_SHARED, [key, JSON.stringify(events)]);
  }

  /** Of a held session: messages were redacted, and with `isTitle` the one the title was made from. */
  async tellRedacted(key: number, isTitle: boolean, events: NewEvent[]): Promise<void> {
    await this.database.query(TELL_REDACTED, [key, isTitle, JSON.stringify(events)]);
  }

  /** Among the next `limit` sessions behind a key, and up to another, those whose lineage has this text in it; `last`: of all of them, null at the end. */
  async findLineages(text: string, after: number, upTo: number, limit: number) {
    const quoted = JSON.stringify(text).slice(1, -1);
    const [page] = await this.database.query<{ last: number | null; found: number[] }>(FIND_LINEAGES, [
      ...[quoted, after, limit, upTo],
    ]);
    return page!;
  }

  async lineageOf(key: number): Promise<JsonObject | null> {
    return (await this.database.query<{ lineage: JsonObject | null }>(LINEAGE_OF, [key]))[0]!.lineage;
  }

  async setLineage(key: number, lineage: JsonObject): Promise<void> {
    await this.database.query(SET_LINEAGE, [key, JSON.stringify(lineage)]);
  }

  /** Those of the ids that no session has. */
  async without(ids: string[]): Promise<string[]> {
    if (ids.length === 0) return [];
    const rows = await this.database.query<{ id: string }>(WITHOUT, [ids]);
    return rows.map(({ id }) => id);
  }
}

/** SQL for: it may be removed. One that is still being made is its maker's until it is shown, or given up. */
const IS_REMOVABLE = `
  user_id = $1 and not legal_hold and busy_job is null and (purged_at is null or purged_at <= clock_timestamp())`;

const FIND_OWN = statement(
  'sessionErasure.findOwn',
  `select key from sessions where ${IS_REMOVABLE} and key <= $3::bigint order by last_activity_at limit $2::int`,
);

const LOCK_ALL = statement(
  'sessionErasure.lockAll',
  'select from sessions where key = any($1::bigint[]) order by key for update',
);

const REMOVE_OWN = statement(
  'sessionErasure.removeOwn',
  `with held as materialized (
     select key, id, purged_at is null as is_shown, message_count, created_at from sessions
     where key = any($2::bigint[]) and ${IS_REMOVABLE} order by key for update
   ), s as (
     update sessions s set
       id = case when held.is_shown then gen_random_uuid()::text else s.id end,
       purged_at = coalesce(s.purged_at, clock_timestamp() + interval '1 day'),
       ${numberEvents('s', 'held.is_shown::int')}
     from held where s.key = held.key
     returning s.key, s.agent_id, s.event_seq, s.event_tx
   ), e as (
     ${insertEvents(`
     select s.key, s.event_seq, 'session.purged', jsonb_build_object('session_id', held.id, 'agent_id', s.agent_id),
       s.event_tx, clock_timestamp()
     from s join held on held.key = s.key where held.is_shown order by s.key`)}
   )
   select key, message_count as messages, created_at < $3::timestamptz or exists (
       select from messages m where m.session_key = held.key and m.user_id = $1 and m.created_at < $3::timestamptz) as is_old
   from held`,
);

const LEFT = statement(
  'sessionErasure.left',
  `select array(
       select id from sessions where user_id = $1 and legal_hold and purged_at is null order by last_activity_at desc limit $2::int) as held,
     exists (select from sessions where user_id = $1 and not legal_hold
       and (busy_job is not null or purged_at > clock_timestamp())) as busy`,
);

const LOCK = statement(
  'sessionErasure.lock',
  `select key, id, user_id, agent_id, legal_hold, busy_job, title_seq, purged_at is not null as is_hidden,
     ${statusOf('s', 'clock_timestamp()')} as status
   from sessions s where key = $1 for update`,
);

const IS_BUSY = statement(
  'sessionErasure.isBusy',
  'select from sessions where key = $1 and busy_job is not null',
);

const LOCK_PURGED = statement(
  'sessionErasure.lockPurged',
  `update sessions set purged_at = least(purged_at, clock_timestamp()) where key = $1 and purged_at is not null returning 1`,
);

/** `sharing` counts every change of members: who waits for the row learns by it that his role is to be read again. */
const TELL_SHARED = statement(
  'sessionErasure.tellShared',
  `with s as (
     update sessions s set version = s.version + 1, sharing = s.sharing + 1, ${numberEvents('s', 'jsonb_array_length($2::jsonb)')}
     where s.key = $1 returning s.*
   ) ${insertEventList('s', '$2')}`,
);

const TELL_REDACTED = statement(
  'sessionErasure.tellRedacted',
  `with s as (
     update sessions s set title_seq = case when $2 then null else s.title_seq end,
       ${numberEvents('s', 'jsonb_array_length($3::jsonb)')}
     where s.key = $1 returning s.*
   ), d as (
     update session_details set title = case when $2 then '' else title end, session_summary = '' where key = $1
   ) ${insertEventList('s', '$3')}`,
);

const FIND_LINEAGES = statement(
  'sessionErasure.findLineages',
  `with page as materialized (
     select key, lineage from session_details where key > $2::bigint and key <= $4::bigint order by key limit $3::int)
   select (select max(key) from page) as last,
     array(select key from page where strpos(lineage::text, $1) > 0 order by key)::float8[] as found`,
);

const LINEAGE_OF = statement(
  'sessionErasure.lineageOf',
  'select lineage from session_details where key = $1',
);

const SET_LINEAGE = statement(
  'sessionErasure.setLineage',
  'update session_details set lineage = $2 where key = $1',
);

const WITHOUT = statement(
  'sessionErasure.without',
  `select id from unnest($1::text[]) id where not exists (select from sessions s where s.id = id.id)`,
);
