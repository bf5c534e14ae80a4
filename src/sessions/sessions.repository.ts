import { Injectable } from '@nestjs/common';
import { roleIn } from '../access/access.sql.js';
import { Database } from '../database/database.js';
import { statement } from '../database/statement.js';
import { insertEventList, type NewEvent, numberEvents } from '../events/events.sql.js';
import type { Session, SessionDetails } from './session.entity.js';
import { statusOf } from './session.sql.js';
import type { SessionRow } from './session.view.js';

/** Stands for the database's clock in a change. */
export const NOW = Symbol('now');

type Changes<Row> = { [Column in keyof Row]?: Row[Column] | typeof NOW };
export type SessionChanges = Changes<
  Omit<Session, 'key' | 'version' | 'event_seq' | 'event_tx' | 'expires_at'>
>;
export type DetailChanges = Changes<Omit<SessionDetails, 'key' | 'updated_at'>>;

/** Everything a new session begins with; times, counters and the key are the database's. */
export type NewSession = Pick<
  Session,
  | 'id'
  | 'user_id'
  | 'agent_id'
  | 'client_id'
  | 'session_type'
  | 'runtime_backend'
  | 'state'
  | 'legal_hold'
  | 'title_seq'
  | 'timeout_minutes'
> &
  Pick<SessionDetails, 'title' | 'description' | 'tags' | DocumentColumn> & { archived: boolean };

const DOCUMENTS = [
  'metadata',
  'context',
  'configuration',
  'conversation_data',
  'checkpoint',
  'runtime_metadata',
] as const;
type DocumentColumn = (typeof DOCUMENTS)[number];

/**
 * SQL for both rows of a session as the API reads them.
 * @param user the parameter with the user's name, null for a service
 */
export const sessionColumns = (user: string) => `
  s.key, s.id, s.user_id, s.agent_id, s.client_id, s.session_type, s.runtime_backend, s.state, s.archived_at,
  s.deleted_at, s.deleted_reason, s.legal_hold, s.version, s.message_count, s.total_tokens, s.total_cost,
  s.title_seq, s.timeout_minutes, s.expires_at, s.heartbeat_timeout_seconds, s.auto_recover, s.created_at,
  s.last_activity_at, d.title, d.description, d.tags, d.metadata, d.context, d.configuration,
  d.conversation_data, d.checkpoint, d.runtime_metadata, d.session_summary, d.lineage, d.updated_at,
  ${statusOf('s')} as status, ${roleIn('s', user)} as role`;

/** The rows of sessions: one at a time. Lists are read by `SessionListRepository`. */
@Injectable()
export class SessionsRepository {
  constructor(private readonly database: Database) {}

  /** Inserts the session and its first event; null when the id is taken. */
  async insert(session: NewSession, events: NewEvent[], user: string | null): Promise<SessionRow | null> {
    const { id, user_id, agent_id, client_id, session_type, runtime_backend, state, legal_hold } = session;
    const documents = DOCUMENTS.map((column) => toJson(session[column]));
    const [row] = await this.database.query<SessionRow>(INSERT, [
      ...[
        id,
        user_id,
        agent_id,
        client_id,
        session_type,
        runtime_backend,
        state,
        session.archived,
        legal_hold,
      ],
      ...[session.title_seq, session.timeout_minutes, session.title, session.description, session.tags],
      ...[...documents, JSON.stringify(events), user],
    ]);
    return row ?? null;
  }

  async find(id: string, user: string | null): Promise<SessionRow | null> {
    const [row] = await this.database.query<SessionRow>(FIND, [id, user]);
    return row ?? null;
  }

  async findByKey(key: number, user: string | null): Promise<SessionRow | null> {
    const [row] = await this.database.query<SessionRow>(FIND_BY_KEY, [key, user]);
    return row ?? null;
  }

  /** Reads both rows and holds them until the transaction ends. */
  async lock(id: string, user: string | null): Promise<SessionRow | null> {
    const [row] = await this.database.query<SessionRow>(LOCK, [id, user]);
    return row ?? null;
  }

  /**
   * Writes an edit of a locked session: what changed, its events, the next version. What is not deleted then has
   * its activity renewed, and what is active or paused its expiry.
   */
  async save(
    row: SessionRow,
    session: SessionChanges,
    details: DetailChanges,
    events: NewEvent[],
    user: string | null,
  ): Promise<SessionRow> {
    const after = { ...row, ...session };
    const isOpen =
      !after.deleted_at && !after.archived_at && ['active', 'paused'].includes(String(after.state));
    const values: unknown[] = [row.key, user, JSON.stringify(events), isOpen ? after.timeout_minutes : null];
    const activity = after.deleted_at ? {} : { last_activity_at: NOW };
    const sets = assignments({ ...session, ...activity }, values);
    const detailSets = assignments({ ...details, updated_at: NOW }, values);
    const [saved] = await this.database.query<SessionRow>({ text: save(sets, detailSets) }, values);
    return saved!;
  }

  /** Deletes for good: gone for every reader, the id free; the rows are removed by the purge. */
  async markPurged(key: number, freedId: string, events: NewEvent[]): Promise<void> {
    await this.database.query(MARK_PURGED, [key, freedId, JSON.stringify(events)]);
  }

  /** Sessions that are to be removed, oldest first, each held for this transaction unless another holds it. */
  async lockPurged(): Promise<number | null> {
    const [row] = await this.database.query<{ key: number }>(LOCK_PURGED);
    return row?.key ?? null;
  }

  /** Removes the rows of a purged session of which nothing else is left. */
  async remove(key: number): Promise<void> {
    await this.database.query(REMOVE, [key]);
  }

  /** What of the caller's matches a resume, most recent first; held until the transaction ends. */
  async lockMostRecent(match: Match): Promise<{ id: string } | null> {
    const { user_id, agent_id, client_id, session_type } = match;
    const [row] = await this.database.query<{ id: string }>(MOST_RECENT, [
      user_id,
      agent_id,
      client_id,
      session_type,
    ]);
    return row ?? null;
  }

  /** Makes callers who ask the same wait for each other until the transaction ends. */
  async queueFor(what: string): Promise<void> {
    await this.database.query(QUEUE, [what]);
  }
}

export type Match = Pick<Session, 'user_id' | 'agent_id' | 'client_id'> & { session_type: string | null };

const toJson = (value: unknown) => (value === null ? null : JSON.stringify(value));

/** `column = $n` for each change; the columns are our own names, the values are parameters. */
function assignments(changes: object, values: unknown[]): string {
  return Object.entries(changes)
    .map(([column, value]) => {
      if (value === NOW) return `${column} = clock_timestamp()`;
      values.push((DOCUMENTS as readonly string[]).includes(column) ? toJson(value) : value);
      return `${column} = $${values.length}`;
    })
    .join(', ');
}

const FIND = statement(
  'sessions.find',
  `select ${sessionColumns('$2')} from sessions s join session_details d on d.key = s.key
   where s.id = $1 and s.purged_at is null`,
);

const FIND_BY_KEY = statement(
  'sessions.findByKey',
  `select ${sessionColumns('$2')} from sessions s join session_details d on d.key = s.key
   where s.key = $1 and s.purged_at is null`,
);

const LOCK = statement('sessions.lock', `${FIND.text} for update of s, d`);

const INSERT = statement(
  'sessions.insert',
  `with at as materialized (select clock_timestamp()::timestamptz(3) as now),
   s as (
     insert into sessions (
       id, user_id, agent_id, client_id, session_type, runtime_backend, state, archived_at, legal_hold, title_seq,
       timeout_minutes, expires_at, auto_recover, version, message_count, total_tokens, total_cost, last_call_seq,
       event_seq, event_tx, created_at, last_activity_at)
     select $1, $2, $3, $4, $5, $6, $7, case when $8 then at.now end, $9, $10, $11::int,
       case when $7 in ('active', 'paused') and not $8 then at.now + make_interval(mins => $11::int) end,
       false, 1, 0, 0, 0, 0, jsonb_array_length($21::jsonb), pg_current_xact_id()::text::bigint, at.now, at.now
     from at
     on conflict (id) do nothing
     returning *
   ), d as (
     insert into session_details (
       key, user_id, title, description, tags, metadata, context, configuration, conversation_data, checkpoint,
       runtime_metadata, session_summary, created_at, updated_at)
     select s.key, s.user_id, $12, $13, $14::text[], $15::jsonb, $16::json, $17::json, $18::json, $19::json, $20::json,
       '', s.created_at, s.created_at
     from s
     returning *
   ), e as (${insertEventList('s', '$21')})
   select ${sessionColumns('$22')} from s join d on d.key = s.key`,
);

const save = (sets: string, detailSets: string) => `
  with changed as (
    update sessions s set ${sets ? `${sets},` : ''}
      version = s.version + 1,
      expires_at = clock_timestamp() + make_interval(mins => $4::int),
      ${numberEvents('s', 'jsonb_array_length($3::jsonb)')}
    where s.key = $1
    returning s.*
  ), d as (
    update session_details set ${detailSets} where key = $1 returning *
  ), e as (${insertEventList('changed', '$3')}),
  s as (select * from changed)
  select ${sessionColumns('$2')} from s join d on d.key = s.key`;

const MOST_RECENT = statement(
  'sessions.mostRecent',
  `select s.id from sessions s
   where ($1::text is null or s.user_id = $1) and ($2::text is null or s.agent_id = $2)
     and ($3::text is null or s.client_id = $3) and ($4::text is null or s.session_type = $4)
     and s.purged_at is null and ${statusOf('s')} in ('active', 'paused')
   order by s.last_activity_at desc, s.key desc
   limit 1
   for update`,
);

const MARK_PURGED = statement(
  'sessions.markPurged',
  `with s as (
     update sessions s set id = $2, purged_at = clock_timestamp(),
       ${numberEvents('s', 'jsonb_array_length($3::jsonb)')}
     where s.key = $1
     returning s.*
   ) ${insertEventList('s', '$3')}`,
);

const LOCK_PURGED = statement(
  'sessions.lockPurged',
  'select key from sessions where purged_at is not null order by key limit 1 for update skip locked',
);

const REMOVE = statement(
  'sessions.remove',
  'with d as (delete from session_details where key = $1) delete from sessions where key = $1',
);

const QUEUE = statement('sessions.queue', 'select pg_advisory_xact_lock(hashtextextended($1, 0))');
