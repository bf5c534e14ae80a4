import { Inject, Injectable } from '@nestjs/common';
import type { Caller } from '../common/caller.js';
import { newId } from '../common/ids.js';
import type { JsonObject } from '../common/json.js';
import { CONFIG, type Config } from '../config/config.js';
import type { NewSession } from './new-session.js';
import type { SessionRow } from './session.view.js';
import { vectorsFor } from './session-collection.js';
import { DEFAULTS } from './sessions.schemas.js';
import { SessionsService } from './sessions.service.js';

/** What a fork is told beside what it takes over of its source. */
export interface Fork {
  session_id?: string | undefined;
  title?: string | null | undefined;
  /** the last message of the source that is copied */
  up_to_seq: number;
}

/** What a session made out of others is, beside what it takes over of the first of them. */
export type Derived = Pick<NewSession, 'id' | 'user_id' | 'title' | 'title_seq'> &
  Partial<Pick<NewSession, 'agent_id' | 'description' | 'tags' | 'context' | 'metadata'>> & {
    lineage: JsonObject;
  };

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
    const { description, tags, context, metadata } = source;
    const from = { session_id: source.id, up_to_seq };
    const session = this.derived(source, {
      ...{ description, tags, context, metadata },
      ...titleOf(source, title, up_to_seq),
      id: session_id ?? newId(),
      user_id: caller.userId ?? source.user_id,
      lineage: { kind: 'fork', ...from },
    });
    return this.sessions.derive(session, [{ type: 'session.forked', payload: from }], caller);
  }

  /** Active, of the same type and configuration as its source, but without what ran it and when it ends. */
  derived({ agent_id, session_type, configuration }: SessionRow, own: Derived): NewSession {
    const { runtime_backend, runtime_metadata, conversation_data, auto_recover, legal_hold } = DEFAULTS;
    const { context, metadata, tags } = DEFAULTS;
    return {
      ...{ agent_id, session_type, configuration, context, metadata, tags: [...tags], description: null },
      ...{ runtime_backend, runtime_metadata, conversation_data, auto_recover, legal_hold },
      ...{ client_id: null, checkpoint: null, heartbeat_timeout_seconds: null },
      state: 'active',
      archived: false,
      timeout_minutes: this.config.SESSION_TTL_MINUTES ?? null,
      wants_collection: vectorsFor(configuration, this.config) !== null,
      ...own,
    };
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
