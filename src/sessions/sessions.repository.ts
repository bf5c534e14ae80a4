import { Injectable } from '@nestjs/common';
import { Database } from '../database/database.js';
import { type NewEvent } from '../events/events.sql.js';
import { DOCUMENTS, type NewSession } from './new-session.js';
import type { Session, SessionDetails } from './session.entity.js';
import type { SessionRow } from './session.view.js';
import type { SessionCollection } from './session-collection.js';
import {
  FIND,
  FIND_ALL,
  FIND_BY_KEY,
  HOLD,
  INSERT,
  IS_HIDDEN,
  LOCK,
  LOCK_DUE,
  LOCK_PURGED,
  MARK_PURGED,
  MOST_RECENT,
  NOTE_COLLECTION,
  QUEUE,
  REMOVE,
  STORE_SUMMARY,
  save,
  TELL,
  WAS_GIVEN,
} from './sessions.sql.js';

/** Stands for the database's clock in a change. */
export const NOW = Symbol('now');

type Changes<Row> = { [Column in keyof Row]?: Row[Column] | typeof NOW };
export type SessionChanges = Changes<
  Omit<Session, 'key' | 'version' | 'event_seq' | 'event_tx' | 'expires_at' | 'overdue_at'>
>;
export type DetailChanges = Changes<Omit<SessionDetails, 'key' | 'updated_at'>>;

/** A row that may have been waited for; false: what the caller is to it was read before that. */
export type LockedRow = SessionRow & { is_unmoved: boolean };

/** The first messages of a session, and how many of them are redacted. */
export interface UpTo {
  to_seq: number;
  redactions: number;
}

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
      ...[
        session.heartbeat_timeout_seconds,
        session.auto_recover,
        toJson(session.lineage),
        session.wants_collection,
      ],
    ]);
    return row ?? null;
  }

  async find(id: string, user: string | null): Promise<SessionRow | null> {
    const [row] = await this.database.query<SessionRow>(FIND, [id, user]);
    return row ?? null;
  }

  /** Those of the sessions that there are, in no order. */
  findAll(ids: string[], user: string | null): Promise<SessionRow[]> {
    return this.database.query<SessionRow>(FIND_ALL, [ids, user]);
  }

  async findByKey(key: number, user: string | null): Promise<SessionRow | null> {
    const [row] = await this.database.query<SessionRow>(FIND_BY_KEY, [key, user]);
    return row ?? null;
  }

  /** Reads both rows and holds them until the transaction ends. */
  async lock(id: string, user: string | null): Promise<SessionRow | null> {
    const [row] = await this.database.query<LockedRow>(LOCK, [id, user]);
    if (row && !row.is_unmoved) return this.lock(id, user); // held now: nobody shares it meanwhile
    return row ?? null;
  }

  /**
   * Writes an edit of a locked session: what changed, its events, the next version. What is not deleted then has
   * its activity renewed (unless the change says otherwise), what is active or paused its expiry, and what is active
   * the watch for a crash.
   */
  async save(
    row: SessionRow,
    session: SessionChanges,
    details: DetailChanges,
    events: NewEvent[],
    user: string | null,
  ): Promise<SessionRow> {
    const after = { ...row, ...session };
    const state = after.deleted_at || after.archived_at ? null : after.state;
    const values: unknown[] = [
      ...[row.key, user, JSON.stringify(events)],
      state === 'active' || state === 'paused' ? after.timeout_minutes : null,
      state === 'active' ? after.heartbeat_timeout_seconds : null,
    ];
    const activity = after.deleted_at ? {} : { last_activity_at: NOW };
    const sets = assignments({ ...activity, ...session }, values);
    const detailSets = assignments({ ...details, updated_at: NOW }, values);
    const [saved] = await this.database.query<SessionRow>({ text: save(sets, detailSets) }, values);
    return saved!;
  }

  /** Writes events of a session that this transaction holds; none of one that is still being made. */
  async tell(key: number, events: NewEvent[]): Promise<void> {
    await this.database.query(TELL, [key, JSON.stringify(events)]);
  }

  /**
   * Keeps what sums up the messages of these seqs, if none of them is redacted, and all up to another, if no more of those are.
   * The session is held, so that none is meanwhile; false: it is gone.
   */
  async storeSummary(key: number, text: string, seqs: number[], upTo: UpTo | null): Promise<boolean> {
    const isHeld = await this.hold(key);
    if (isHeld)
      await this.database.query(STORE_SUMMARY, [key, text, seqs, upTo?.to_seq ?? 0, upTo?.redactions ?? 0]);
    return isHeld;
  }

  /** Holds the row of a session until the transaction ends; false: it is gone for good. */
  async hold(key: number): Promise<boolean> {
    return (await this.database.query(HOLD, [key])).length > 0;
  }

  /** Whether a session that is still being made has the id. */
  async isHidden(id: string): Promise<boolean> {
    return (await this.database.query(IS_HIDDEN, [id])).length > 0;
  }

  /** Keeps what a held session tells of its collection. */
  async noteCollection(key: number, collection: SessionCollection | null): Promise<void> {
    await this.database.query(NOTE_COLLECTION, [key, toJson(collection)]);
  }

  /** Deletes for good: gone for every reader, the id free; the rows are removed by the purge. */
  async markPurged(key: number, freedId: string, events: NewEvent[]): Promise<void> {
    await this.database.query(MARK_PURGED, [key, freedId, JSON.stringify(events)]);
  }

  /** The oldest session that is to be removed, held for this transaction; those that another holds are passed over. */
  async lockPurged(): Promise<number | null> {
    const [row] = await this.database.query<{ key: number }>(LOCK_PURGED);
    return row?.key ?? null;
  }

  /** Sessions that expired or fell silent, and whose rows do not say so yet; at most so many of either kind. */
  lockDue(limit: number): Promise<SessionRow[]> {
    return this.database.query<SessionRow>(LOCK_DUE, [limit, null]);
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

  /** Whether another user gave it to its owner, and still has a part in it. */
  async wasGiven(key: number): Promise<boolean> {
    const [row] = await this.database.query<{ was_given: boolean }>(WAS_GIVEN, [key]);
    return row!.was_given;
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
