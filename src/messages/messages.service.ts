import { Injectable } from '@nestjs/common';
import { verify } from '../access/verify.js';
import type { Caller } from '../common/caller.js';
import { DomainError, invalid, unavailable } from '../common/errors.js';
import { isOutOfRange, violates } from '../database/failures.js';
import { keyReused } from '../idempotency/idempotency.service.js';
import { checkFree } from '../sessions/lifecycle.js';
import { LivenessService, sessionNotOpen } from '../sessions/liveness.service.js';
import type { StoredMessage } from './message.entity.js';
import { type Appended, type Explanation, MessagesRepository, type Range } from './messages.repository.js';
import { type AppendRequest, type PreparedAppend, prepare, toolCallAnswered } from './prepare.js';

/** An append's messages as stored; `replayed`: they had been before. */
export interface AppendResult {
  messages: StoredMessage[];
  messageCount: number;
  replayed: boolean;
}

/** How often an append is tried again because tool calls were made while it waited for the session's row. */
const ATTEMPTS = 20;

/** What a session is answered with when its messages are asked for too. */
const NEWEST: Range = {
  descending: true,
  afterSeq: 0,
  beforeSeq: null,
  role: null,
  messageType: null,
  offset: 0,
  isByOffset: false,
  limit: 100,
};

/** The history of a session: appended to once and in order, never rewritten. */
@Injectable()
export class MessagesService {
  constructor(
    private readonly messages: MessagesRepository,
    private readonly liveness: LivenessService,
  ) {}

  /**
   * Appends all messages or none. Access is checked first, a replay recognised second, state and `expectedSeq` last.
   * @throws DomainError `session_not_found`, `session_deleted`, `forbidden`, `message_id_conflict`, `key_reused`,
   *   `session_busy`, `session_not_open`, `seq_moved`, `unknown_tool_call`, `tool_call_answered`, `too_large`
   */
  async append(
    id: string,
    request: AppendRequest,
    caller: Caller,
    key: string | null,
  ): Promise<AppendResult> {
    const append = prepare(id, request, caller, key);
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const appended = await this.tryAppend(id, append, caller);
      if (appended.length) return written(append, appended);
      const replay = await this.recognise(id, append, caller);
      if (replay) return replay;
    }
    throw unavailable('session');
  }

  /** A page of the history; of `counted` the total, else the session's. */
  async page(id: string, range: Range, counted: Range | null, caller: Caller) {
    const { header, rows } = await this.messages.findPage(id, caller.userId, range);
    const { key, message_count } = verify(header, 'read');
    const total = counted ? await this.messages.count(key, counted) : { count: message_count, capped: false };
    return { rows, session: key, messageCount: message_count, total };
  }

  /** The end of the history, oldest first. */
  async newest(id: string, caller: Caller): Promise<StoredMessage[]> {
    const { header, rows } = await this.messages.findPage(id, caller.userId, NEWEST);
    verify(header, 'read');
    return rows.slice(0, NEWEST.limit).reverse();
  }

  /** @throws DomainError `message_not_found` */
  async get(id: string, messageId: string, caller: Caller): Promise<StoredMessage> {
    const { header, row } = await this.messages.find(id, caller.userId, messageId);
    verify(header, 'read');
    if (!row)
      throw new DomainError('not-found', 'message_not_found', 'There is no such message in the session.');
    return row;
  }

  private async tryAppend(id: string, append: PreparedAppend, caller: Caller): Promise<Appended[]> {
    try {
      return await this.messages.append(id, caller.userId, append);
    } catch (error) {
      if (violates(error, 'messages_id') || violates(error, 'messages_answer')) return [];
      if (isOutOfRange(error))
        throw invalid([{ pointer: '/cost_usd', detail: 'the session’s total would be out of range' }]);
      throw error;
    }
  }

  /** Answers a replay, or throws why the append cannot be; null: what stood in its way has passed, try again. */
  private async recognise(id: string, append: PreparedAppend, caller: Caller): Promise<AppendResult | null> {
    const reason = verify(await this.messages.explain(id, caller.userId, append), 'work');
    if (reason.known.length) {
      checkReplay(append, reason);
      const ids = append.messages.map((message) => message.message_id);
      const messages = await this.messages.findByIds(reason.key, ids);
      // deleted for good in between: the next attempt finds that out
      if (messages.length < ids.length) return null;
      return { messages, messageCount: reason.message_count, replayed: true };
    }
    if (reason.is_recoverable && (await this.liveness.wake(id, caller))) return null;
    checkState(append, reason);
    checkCalls(append, reason);
    return null;
  }
}

function checkReplay(append: PreparedAppend, { known }: Explanation): void {
  const same = known.filter((message) => message.same).length;
  if (same === known.length && same === append.messages.length) return;
  const { message_id } = known.find((message) => !message.same) ?? known[0]!;
  const given = append.messages.find((message) => message.message_id === message_id);
  if (given?.request_digest) throw keyReused();
  throw new DomainError('conflict', 'message_id_conflict', 'A message_id is taken by another message.', {
    extra: { message_id },
  });
}

function checkState({ expectedSeq }: PreparedAppend, explanation: Explanation): void {
  const { status, message_count } = explanation;
  checkFree(explanation);
  if (status !== 'active' && status !== 'paused') throw sessionNotOpen(status);
  if (expectedSeq !== null && expectedSeq !== message_count) {
    throw new DomainError('conflict', 'seq_moved', `The last seq is ${message_count}.`, {
      extra: { seq: message_count },
    });
  }
}

function checkCalls(append: PreparedAppend, { calls }: Explanation): void {
  for (const { call_id, seq, answered } of calls) {
    if (seq === null) {
      const index = append.messages.findIndex((message) => message.tool_call_id === call_id);
      const fault = {
        pointer: `${append.pointers[index]}/tool_call_id`,
        detail: `no earlier message calls ${call_id}`,
      };
      throw invalid([fault], 'unknown_tool_call');
    }
    if (answered) throw toolCallAnswered(call_id);
  }
}

/** What comes to a message later. */
const UNTOUCHED = { token_count: null, origin: null, redacted_at: null };

function written(append: PreparedAppend, appended: Appended[]): AppendResult {
  const messages = append.messages.map((message, index) =>
    Object.assign(message, appended[index]!, UNTOUCHED),
  );
  return {
    messages: messages as unknown as StoredMessage[],
    messageCount: appended.at(-1)!.seq,
    replayed: false,
  };
}
