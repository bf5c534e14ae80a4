import { type Caller, callerName, isService } from '../common/caller.js';
import { DomainError, forbidden } from '../common/errors.js';
import { derivedId, newId } from '../common/ids.js';
import { checkSize } from '../common/json.js';
import { digestOf } from '../idempotency/idempotency.service.js';
import { CONTENT_KIB, METADATA_KIB, type NewMessage } from './messages.schemas.js';
import { makeTitle, textOf } from './title.js';

/** A message ready to be written; `position` counts from 1 in its request. */
export interface PreparedMessage {
  position: number;
  message_id: string;
  /** digest of the request, when the id was made from its `Idempotency-Key` */
  request_digest: string | null;
  user_id: string | null;
  role: NewMessage['role'];
  content: unknown;
  message_type: NewMessage['message_type'];
  tool_calls: { id: string }[] | null;
  tool_call_id: string | null;
  /** position of the call it answers, when that is in the same request */
  answers_position: number | null;
  name: string | null;
  model: string | null;
  tokens_used: number | null;
  cost_usd: number | null;
  metadata: object;
  bytes: number;
}

/** What a caller asks to append. */
export interface AppendRequest {
  messages: NewMessage[];
  /** whether they came as a batch, were it of one */
  isBatch: boolean;
  expectedSeq: number | null;
}

/** A request to append, with all that its one statement needs. */
export interface PreparedAppend {
  messages: PreparedMessage[];
  expectedSeq: number | null;
  /** the message a title could be made from */
  title: { text: string; position: number } | null;
  calls: { call_id: string; position: number }[];
  /** ids of calls answered here but made before */
  answered: string[];
  /** JSON Pointer to each message in the body */
  pointers: string[];
}

/**
 * Makes a request's messages ready. Without `message_id` the ids come from session, caller, key and position, so that a
 * repeated request meets its own ids in the unique index, and not those a fork was given; without a key they are new.
 * @throws DomainError `too_large`, `forbidden`, `tool_call_answered`
 */
export function prepare(
  session: string,
  { messages: input, isBatch, expectedSeq }: AppendRequest,
  caller: Caller,
  key: string | null,
): PreparedAppend {
  const pointers = input.map((_, index) => (isBatch ? `/messages/${index}` : ''));
  const digest = key === null ? null : digestOf({ messages: input, isBatch });
  const messages = input.map((message, index) => {
    const position = index + 1;
    const isKeyed = message.message_id === undefined && key !== null;
    const id =
      message.message_id ??
      (isKeyed ? derivedId('append', session, callerName(caller), key, position) : newId());
    const request_digest = isKeyed ? digest : null;
    return { position, message_id: id, request_digest, ...fieldsOf(message, caller, pointers[index]!) };
  });
  const titled = messages.find((message) => message.role === 'user' && textOf(message.content) !== null);
  return {
    messages,
    pointers,
    expectedSeq,
    title: titled ? { text: makeTitle(textOf(titled.content)!), position: titled.position } : null,
    ...linkCalls(messages),
  };
}

function fieldsOf(input: NewMessage, caller: Caller, pointer: string) {
  if (!isService(caller) && (input.user_id ?? caller.userId) !== caller.userId) {
    throw forbidden('A user writes messages of his own only.');
  }
  const { content = null, tool_calls = null, metadata = {} } = input;
  const bytes =
    checkSize(`${pointer}/content`, content, CONTENT_KIB) +
    checkSize(`${pointer}/tool_calls`, tool_calls, CONTENT_KIB) +
    checkSize(`${pointer}/metadata`, metadata, METADATA_KIB);
  return {
    user_id: caller.userId ?? input.user_id ?? null,
    role: input.role,
    content,
    message_type: input.message_type,
    tool_calls,
    tool_call_id: input.tool_call_id ?? null,
    answers_position: null,
    name: input.name ?? null,
    model: input.model ?? null,
    tokens_used: input.tokens_used ?? null,
    cost_usd: input.cost_usd ?? null,
    metadata,
    bytes,
  };
}

/** An answer belongs to the newest earlier call with its id; those made in the same request are found here. */
function linkCalls(messages: PreparedMessage[]): Pick<PreparedAppend, 'calls' | 'answered'> {
  const newest = new Map<string, { position: number | null; answered: boolean }>();
  const calls: PreparedAppend['calls'] = [];
  const answered: string[] = [];
  for (const message of messages) {
    if (message.tool_call_id !== null) {
      const call = newest.get(message.tool_call_id);
      if (call?.answered) throw toolCallAnswered(message.tool_call_id);
      if (!call) answered.push(message.tool_call_id);
      message.answers_position = call?.position ?? null;
      newest.set(message.tool_call_id, { position: call?.position ?? null, answered: true });
    }
    for (const { id } of message.tool_calls ?? []) {
      calls.push({ call_id: id, position: message.position });
      newest.set(id, { position: message.position, answered: false });
    }
  }
  return { calls, answered };
}

export const toolCallAnswered = (id: string) =>
  new DomainError('conflict', 'tool_call_answered', 'The tool call has its answer already.', {
    extra: { tool_call_id: id },
  });
