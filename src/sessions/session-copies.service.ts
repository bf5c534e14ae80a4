import { Inject, Injectable } from '@nestjs/common';
import type { Caller } from '../common/caller.js';
import { newId } from '../common/ids.js';
import { CONFIG, type Config } from '../config/config.js';
import type { SessionRow } from './session.view.js';
import { vectorsFor } from './session-collection.js';
import type { NewSession } from './sessions.repository.js';
import { DEFAULTS } from './sessions.schemas.js';
import { SessionsService } from './sessions.service.js';

/** What a fork is told beside what it takes over of its source. */
export interface Fork {
  session_id?: string | undefined;
  title?: string | null | undefined;
  /** the last message of the source that is copied */
  up_to_seq: number;
}

/** Makes sessions out of others, within the transaction that copies what hangs on them. */
@Injectable()
export class SessionCopiesService {
  constructor(
    private readonly sessions: SessionsService,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  /**
   * The caller's own, for a service the owner's: active, with what the source is about, but not who it is shared with,
   * what ran it and when it ends. Answers its key.
   * @throws DomainError `session_id_taken`
   */
  fork(source: SessionRow, { session_id, up_to_seq, title }: Fork, caller: Caller): Promise<number> {
    const { agent_id, session_type, description, tags, context, metadata, configuration } = source;
    const { runtime_backend, runtime_metadata, conversation_data, auto_recover, legal_hold } = DEFAULTS;
    const from = { session_id: source.id, up_to_seq };
    const session: NewSession = {
      ...{ agent_id, session_type, description, tags, context, metadata, configuration },
      ...{ runtime_backend, runtime_metadata, conversation_data, auto_recover, legal_hold },
      ...titleOf(source, title, up_to_seq),
      ...{ client_id: null, checkpoint: null, heartbeat_timeout_seconds: null },
      id: session_id ?? newId(),
      user_id: caller.userId ?? source.user_id,
      state: 'active',
      archived: false,
      timeout_minutes: this.config.SESSION_TTL_MINUTES ?? null,
      lineage: { kind: 'fork', ...from },
      wants_collection: vectorsFor(configuration, this.config) !== null,
    };
    return this.sessions.derive(session, [{ type: 'session.forked', payload: from }], caller);
  }
}

/**
 * A title made from a message stays with that message, so that a redaction takes it along; where the message is not
 * copied, neither is what the title says of it.
 */
function titleOf(source: SessionRow, given: string | null | undefined, upToSeq: number) {
  if (given) return { title: given, title_seq: 0 };
  const isCopied = source.title_seq !== null && source.title_seq <= upToSeq;
  return isCopied ? { title: source.title, title_seq: source.title_seq } : { title: '', title_seq: null };
}
