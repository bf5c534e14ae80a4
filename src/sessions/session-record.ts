import { z } from 'zod';
import { checkSize } from '../common/json.js';
import { exactTime, jsonObject, pastTime, printableName } from '../http/schemas.js';
import { MOST_N } from './checkpoint-record.js';
import { CHECKPOINT_KIB } from './checkpoints.schemas.js';
import type { SessionRow } from './session.view.js';
import { checkedVectors } from './session-collection.js';
import { DEFAULTS, DOCUMENT_KIB, writableFields } from './sessions.schemas.js';

const LINEAGE_KIB = 64;
const { status: _, ...fields } = writableFields;

/** A session's own fields as an export carries them: what follows from its messages is not there, nor who it is shared with. */
export const sessionRecord = z
  .strictObject({
    ...fields,
    type: z.literal('session'),
    user_id: printableName.nullable(),
    title_seq: z.int().min(0).nullable(),
    state: z.enum(['active', 'paused', 'completed', 'crashed']),
    checkpoint_n: z.int().min(0).max(MOST_N),
    lineage: jsonObject(LINEAGE_KIB).nullable(),
    created_at: pastTime,
    updated_at: pastTime,
    last_activity_at: pastTime,
    archived_at: exactTime.nullable(),
  })
  .required()
  .superRefine(checkTogether);
export type SessionRecord = z.output<typeof sessionRecord>;

function checkTogether(record: SessionRecord, ctx: z.RefinementCtx) {
  const { title, title_seq, checkpoint, checkpoint_n, created_at, last_activity_at } = record;
  const fault = (path: string, message: string) => ctx.addIssue({ code: 'custom', path: [path], message });
  if ((title_seq === null) !== !title) fault('title_seq', 'must be there with a title, and only then');
  if (checkpoint !== null && checkpoint_n === 0) fault('checkpoint_n', 'must number the checkpoint');
  if (Date.parse(last_activity_at) < Date.parse(created_at))
    fault('last_activity_at', 'is before created_at');
}

const DOCUMENTS = ['metadata', 'context', 'configuration', 'conversation_data', 'runtime_metadata'] as const;

/** Fields of which nothing is left to be said: null is as good as the default. @throws DomainError `too_large` */
export function settled(record: SessionRecord) {
  for (const name of DOCUMENTS) checkSize(`/${name}`, record[name], DOCUMENT_KIB);
  checkSize('/checkpoint', record.checkpoint, CHECKPOINT_KIB);
  checkSize('/lineage', record.lineage, LINEAGE_KIB);
  checkedVectors(record.configuration ?? {});
  const or = <Name extends keyof typeof DEFAULTS>(name: Name) => record[name] ?? DEFAULTS[name];
  return {
    session_type: or('session_type'),
    runtime_backend: or('runtime_backend'),
    auto_recover: or('auto_recover'),
    legal_hold: or('legal_hold'),
    tags: [...or('tags')],
    metadata: or('metadata'),
    context: or('context'),
    configuration: or('configuration'),
    conversation_data: or('conversation_data'),
    runtime_metadata: or('runtime_metadata'),
  };
}

/** What goes along: a title stays with the message it was made from, and what the session shows with its checkpoints. */
export interface Along {
  messages: boolean;
  checkpoints: boolean;
}

export function toRecord(row: SessionRow, along: Along) {
  const isTitled = row.title !== '' && (along.messages || row.title_seq === 0);
  return {
    type: 'session',
    user_id: row.user_id,
    agent_id: row.agent_id,
    client_id: row.client_id,
    title: isTitled ? row.title : null,
    title_seq: isTitled ? row.title_seq : null,
    description: row.description,
    session_type: row.session_type,
    state: row.status === 'archived' || row.status === 'deleted' ? row.state : row.status,
    archived_at: row.archived_at?.toISOString() ?? null,
    tags: row.tags,
    context: row.context,
    metadata: row.metadata,
    configuration: row.configuration,
    conversation_data: row.conversation_data,
    checkpoint: along.checkpoints ? row.checkpoint : null,
    checkpoint_n: along.checkpoints ? row.checkpoint_n : 0,
    runtime_backend: row.runtime_backend,
    runtime_metadata: row.runtime_metadata,
    timeout_minutes: row.timeout_minutes,
    heartbeat_timeout_seconds: row.heartbeat_timeout_seconds,
    auto_recover: row.auto_recover,
    legal_hold: row.legal_hold,
    lineage: row.lineage,
    created_at: row.created_at.toISOString(),
    updated_at: row.updated_at.toISOString(),
    last_activity_at: row.last_activity_at.toISOString(),
  };
}
