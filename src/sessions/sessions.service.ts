import { Inject, Injectable } from '@nestjs/common';
import { type Permission } from '../access/roles.js';
import { verify } from '../access/verify.js';
import { type Caller, isService } from '../common/caller.js';
import { DomainError, forbidden } from '../common/errors.js';
import { newId } from '../common/ids.js';
import { checkSize } from '../common/json.js';
import { CONFIG, type Config } from '../config/config.js';
import { Database } from '../database/database.js';
import type { NewEvent } from '../events/events.sql.js';
import { type Answer, type Effect, IdempotencyService } from '../idempotency/idempotency.service.js';
import { CHECKPOINT_KIB } from './checkpoints.schemas.js';
import type { NewSession } from './new-session.js';
import type { SessionRow } from './session.view.js';
import { checkedVectors, type SessionCollection, vectorsFor } from './session-collection.js';
import { ownerRequired, SessionEditsService } from './session-edits.service.js';
import { SessionsRepository, type UpTo } from './sessions.repository.js';
import { type CreateSession, DEFAULTS, DOCUMENT_KIB, type ResumeSession } from './sessions.schemas.js';

/** Sessions: making, finding, resuming. Changes to one are in `SessionEditsService`. */
@Injectable()
export class SessionsService {
  constructor(
    private readonly database: Database,
    private readonly sessions: SessionsRepository,
    private readonly edits: SessionEditsService,
    private readonly idempotency: IdempotencyService,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  /** @throws DomainError `session_not_found`, `session_deleted`, `forbidden` */
  async get(id: string, caller: Caller, includeDeleted = false): Promise<SessionRow> {
    return verify(await this.sessions.find(id, caller.userId), 'read', includeDeleted);
  }

  /**
   * Several, in the order they are asked for, read at the same moment.
   * @throws DomainError as `get`, for the first that cannot be read
   */
  async getAll(ids: string[], caller: Caller): Promise<SessionRow[]> {
    const rows = new Map((await this.sessions.findAll(ids, caller.userId)).map((row) => [row.id, row]));
    return ids.map((id) => verify(rows.get(id), 'read'));
  }

  /** Holds the session's row until the transaction ends: whatever hangs on a session is changed under it. */
  async lock(id: string, caller: Caller, permission: Permission, deletedToo = false): Promise<SessionRow> {
    return verify(await this.sessions.lock(id, caller.userId), permission, deletedToo);
  }

  /** …by its key; false: it is gone for good. */
  hold(key: number): Promise<boolean> {
    return this.sessions.hold(key);
  }

  /** Keeps what a held session tells of its collection, and writes what happened to it. */
  async noteCollection(key: number, collection: SessionCollection | null, events: NewEvent[]): Promise<void> {
    await this.sessions.noteCollection(key, collection);
    if (events.length > 0) await this.sessions.tell(key, events);
  }

  /** Writes events of a locked session, for what hangs on it. */
  tell(key: number, events: NewEvent[]): Promise<void> {
    return this.sessions.tell(key, events);
  }

  /** Whether the caller may do this to the session; told before what is wrong with his input. */
  async check(id: string, caller: Caller, permission: Permission, deletedToo: boolean): Promise<void> {
    verify(await this.sessions.find(id, caller.userId), permission, deletedToo);
  }

  /**
   * Makes a session, or with `if_exists: "return"` answers the one that has the id.
   * @throws DomainError `session_id_taken`, `owner_required`, `key_reused`
   */
  async create(input: CreateSession, caller: Caller, key: string | null): Promise<Answer<SessionRow>> {
    const session = this.newSession(input, caller);
    const work = () => this.createOrReturn(session, input.if_exists, caller);
    if (key === null) return { ...(await work()), replayed: false };
    return this.idempotency.once({ key, caller, route: 'POST /sessions', body: input }, work, ([made]) =>
      this.getByKey(made!, caller),
    );
  }

  /**
   * The most recent active or paused session that matches, made active; or a new one. Callers who ask the same at
   * the same time wait for each other, so that two make one.
   * @throws DomainError `session_not_found` when none matches and none is to be made
   */
  resume(input: ResumeSession, caller: Caller, key: string | null): Promise<Answer<SessionRow>> {
    const { user_id, agent_id } = this.owner(input, caller);
    const { client_id = null, session_type = null } = input;
    const match = { user_id, agent_id, client_id, session_type };
    const work = async (): Promise<Effect<SessionRow>> => {
      await this.sessions.queueFor(JSON.stringify(['resume', user_id, agent_id]));
      const found = await this.sessions.lockMostRecent(match);
      if (found) return this.edits.activate(found.id, caller);
      if (!input.create) throw new DomainError('not-found', 'session_not_found', 'No session matches.');
      const { create: _, ...fields } = input;
      return this.createOrReturn(this.newSession({ ...fields, if_exists: 'error' }, caller), 'error', caller);
    };
    return this.idempotency.once(
      { key, caller, route: 'POST /sessions/resume', body: input },
      work,
      ([found]) => this.getByKey(found!, caller),
    );
  }

  /**
   * Makes a session that another was the source of, and tells more of it than that it was made.
   * @throws DomainError `session_id_taken`
   */
  async derive(session: NewSession, more: NewEvent[], caller: Caller): Promise<number> {
    const events = [...eventsOf(session), ...more];
    return (await this.createOrReturn(session, 'error', caller, events)).value.key;
  }

  /** …or tells nothing of it yet. */
  async deriveQuietly(session: NewSession, caller: Caller): Promise<number> {
    return (await this.createOrReturn(session, 'error', caller, [])).value.key;
  }

  /**
   * Whether a session of this owner could have the id now.
   * @throws DomainError `session_id_taken`
   */
  async checkFreeId(id: string, owner: Owner, caller: Caller): Promise<void> {
    const holder = await this.sessions.find(id, caller.userId);
    if (!(await this.isFree(id, holder, owner))) throw idTaken();
  }

  /** Within a transaction: whether a session of this owner may have the id; a deleted one of his gives it up then. */
  async vacate(id: string, owner: Owner, caller: Caller): Promise<boolean> {
    const holder = await this.sessions.lock(id, caller.userId);
    if (!(await this.isFree(id, holder, owner))) return false;
    if (holder) await this.edits.giveUpId(holder);
    return true;
  }

  /** Keeps what sums up the messages of these seqs, within a transaction. It is no edit: derived, like the counters; false: it is gone. */
  storeSummary(key: number, text: string, seqs: number[], upTo: UpTo | null): Promise<boolean> {
    return this.sessions.storeSummary(key, text, seqs, upTo);
  }

  /** The session as it is now, by its key: what a replay answers. */
  async getByKey(key: number, caller: Caller): Promise<SessionRow> {
    return verify(await this.sessions.findByKey(key, caller.userId), 'read');
  }

  /** An id is free that nobody has; that of a deleted session is its owner's. */
  private async isFree(id: string, holder: SessionRow | null, owner: Owner): Promise<boolean> {
    if (!holder) return !(await this.sessions.isHidden(id));
    return holder.status === 'deleted' && sameOwner(holder, owner);
  }

  private async isOwn(holder: SessionRow, owner: Owner): Promise<boolean> {
    return sameOwner(holder, owner) && !(await this.sessions.wasGiven(holder.key));
  }

  private async createOrReturn(
    session: NewSession,
    ifExists: CreateSession['if_exists'],
    caller: Caller,
    events = eventsOf(session),
  ): Promise<Effect<SessionRow>> {
    const made = await this.sessions.insert(session, events, caller.userId);
    if (made) return { status: 201, ids: [made.key], value: made };
    return this.database.run(async () => {
      const holder = await this.sessions.lock(session.id, caller.userId);
      if (await this.isFree(session.id, holder, session)) {
        if (holder) await this.edits.giveUpId(holder);
      } else if (holder && ifExists === 'return' && (await this.isOwn(holder, session))) {
        return { status: 200, ids: [holder.key], value: verify(holder, 'read') };
      } else throw idTaken();
      return this.createOrReturn(session, ifExists, caller, events);
    });
  }

  private newSession(input: CreateSession, caller: Caller): NewSession {
    if (input.legal_hold != null && !isService(caller)) throw forbidden('Only a service sets a legal hold.');
    this.edits.checkTimeout(input.timeout_minutes);
    const { status = 'active' } = input;
    const orDefault = <Name extends keyof typeof DEFAULTS>(name: Name) => input[name] ?? DEFAULTS[name];
    const documents = {
      metadata: orDefault('metadata'),
      context: orDefault('context'),
      configuration: orDefault('configuration'),
      conversation_data: orDefault('conversation_data'),
      runtime_metadata: orDefault('runtime_metadata'),
    };
    for (const [name, value] of Object.entries(documents)) checkSize(`/${name}`, value, DOCUMENT_KIB);
    checkedVectors(documents.configuration);
    checkSize('/checkpoint', input.checkpoint, CHECKPOINT_KIB);
    return {
      ...this.owner(input, caller),
      id: input.session_id ?? newId(),
      client_id: input.client_id ?? null,
      session_type: orDefault('session_type'),
      runtime_backend: orDefault('runtime_backend'),
      state: status === 'archived' ? 'active' : status,
      archived: status === 'archived',
      legal_hold: orDefault('legal_hold'),
      title: input.title ?? '',
      title_seq: input.title ? 0 : null,
      timeout_minutes: input.timeout_minutes ?? this.config.SESSION_TTL_MINUTES ?? null,
      heartbeat_timeout_seconds: input.heartbeat_timeout_seconds ?? null,
      auto_recover: orDefault('auto_recover'),
      description: input.description ?? null,
      tags: [...orDefault('tags')],
      checkpoint: input.checkpoint ?? null,
      lineage: null,
      wants_collection: vectorsFor(documents.configuration, this.config) !== null,
      ...documents,
    };
  }

  /** A user owns what he makes; a service names a user, an agent, or both. */
  private owner(input: { user_id?: string | null; agent_id?: string | null }, caller: Caller) {
    if (!isService(caller) && (input.user_id ?? caller.userId) !== caller.userId) {
      throw forbidden('A user acts for himself only.');
    }
    const user_id = caller.userId ?? input.user_id ?? null;
    const agent_id = input.agent_id ?? null;
    if (user_id === null && agent_id === null) throw ownerRequired('/user_id');
    return { user_id, agent_id };
  }
}

export const idTaken = () => new DomainError('conflict', 'session_id_taken', 'The session_id is taken.');

type Owner = Pick<NewSession, 'user_id' | 'agent_id'>;

/** A session without a user belongs to its agent. */
const sameOwner = (a: Owner, b: Owner) =>
  a.user_id === b.user_id && (a.user_id !== null || a.agent_id === b.agent_id);

/** What a session begins with. */
export const sessionCreated = ({
  agent_id,
  session_type,
  runtime_backend,
}: Pick<NewSession, 'agent_id' | 'session_type' | 'runtime_backend'>): NewEvent => ({
  type: 'session.created',
  payload: { agent_id, session_type, runtime_backend },
});

function eventsOf(session: NewSession): NewEvent[] {
  const created = sessionCreated(session);
  return session.checkpoint ? [created, { type: 'checkpoint.saved', payload: { n: 1 } }] : [created];
}
