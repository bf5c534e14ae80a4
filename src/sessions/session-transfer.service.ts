import { Inject, Injectable } from '@nestjs/common';
import { type Caller, isService } from '../common/caller.js';
import { forbidden } from '../common/errors.js';
import { newId } from '../common/ids.js';
import type { JsonObject } from '../common/json.js';
import { CONFIG, type Config } from '../config/config.js';
import { HiddenSessionsService } from './hidden-sessions.service.js';
import type { NewSession } from './new-session.js';
import type { SessionRow } from './session.view.js';
import { vectorsFor } from './session-collection.js';
import { ownerRequired, SessionEditsService } from './session-edits.service.js';
import { type SessionRecord, settled } from './session-record.js';
import { SessionTransferRepository } from './session-transfer.repository.js';
import { idTaken, SessionsService } from './sessions.service.js';

/** What whoever imports says of the session. */
export interface Wishes {
  session_id?: string | undefined;
  user_id?: string | undefined;
  title?: string | undefined;
}

/** Where an imported session is from. */
export interface Former {
  /** null: it had an id that none may have here */
  session_id: string | null;
  exported_at: string;
}

/** A transaction takes no longer. */
const SHOWING_SECONDS = 60;

/** Sessions out of exports: checked, made where nobody sees them, shown. */
@Injectable()
export class SessionTransferService {
  constructor(
    private readonly sessions: SessionsService,
    private readonly edits: SessionEditsService,
    private readonly hidden: HiddenSessionsService,
    private readonly rows: SessionTransferRepository,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  /** @throws DomainError as `SessionsService.get` */
  find(id: string, caller: Caller): Promise<SessionRow> {
    return this.sessions.get(id, caller);
  }

  /** @throws DomainError when the caller may not read it any more */
  async checkReadable(key: number, caller: Caller): Promise<void> {
    await this.sessions.getByKey(key, caller);
  }

  /** @throws DomainError `forbidden` when a user names somebody else */
  checkWishes({ user_id }: Wishes, caller: Caller): void {
    if (!isService(caller) && (user_id ?? caller.userId) !== caller.userId)
      throw forbidden('A user acts for himself only.');
  }

  /**
   * The session that a record describes, as the caller's own; a service may name the owner, or leave it as it was.
   * @throws DomainError `forbidden`, `owner_required`, `invalid`, `too_large`
   */
  plan(record: SessionRecord, wishes: Wishes, from: Former, caller: Caller): NewSession {
    const user_id = caller.userId ?? wishes.user_id ?? record.user_id;
    if (user_id === null && record.agent_id === null) throw ownerRequired('?user_id');
    if (record.legal_hold && !isService(caller)) throw forbidden('Only a service sets a legal hold.');
    this.edits.checkTimeout(record.timeout_minutes);
    const documents = settled(record);
    const title = wishes.title || record.title || '';
    return {
      ...documents,
      id: wishes.session_id ?? from.session_id ?? newId(),
      user_id,
      agent_id: record.agent_id,
      client_id: record.client_id,
      state: record.state,
      archived: record.archived_at !== null,
      title,
      title_seq: wishes.title ? 0 : title ? record.title_seq : null,
      description: record.description,
      timeout_minutes: record.timeout_minutes ?? this.config.SESSION_TTL_MINUTES ?? null,
      heartbeat_timeout_seconds: record.heartbeat_timeout_seconds,
      checkpoint: null,
      lineage: lineageOf(record, from),
      wants_collection: vectorsFor(documents.configuration, this.config) !== null,
    };
  }

  /**
   * Makes it under an id of its own: the one it is to have is taken when it is shown, so that an import that fails takes
   * none away. Answers the key.
   * @throws DomainError `session_id_taken` for one that is wished for and could not be had now
   */
  async begin(session: NewSession, isWished: boolean, seconds: number, caller: Caller): Promise<number> {
    if (isWished) await this.sessions.checkFreeId(session.id, session, caller);
    return this.hidden.begin({ ...session, id: newId() }, seconds, caller);
  }

  /**
   * Gives it back what it was, and its id (one that is taken is not, unless it was wished for), and shows it, within a transaction.
   * @throws DomainError kind `invalid`, `session_id_taken`, `session_given_up`
   */
  async show(
    key: number,
    record: SessionRecord,
    { session, isWished }: { session: NewSession; isWished: boolean },
    caller: Caller,
    told: JsonObject,
  ): Promise<void> {
    await this.hidden.write(key, SHOWING_SECONDS, async () => {
      await this.rows.restore(key, record);
      if (await this.sessions.vacate(session.id, session, caller)) await this.rows.rename(key, session.id);
      else if (isWished) throw idTaken();
      await this.hidden.show(key, [{ type: 'session.imported', payload: told }]);
    });
  }
}

/** What it was before an import stays known, however often it is carried on. */
function lineageOf({ lineage }: SessionRecord, { session_id, exported_at }: Former): JsonObject {
  const before = lineage?.kind === 'import' ? (lineage.lineage ?? null) : lineage;
  return { kind: 'import', session_id, exported_at, lineage: before };
}
