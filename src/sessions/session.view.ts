import { z } from 'zod';
import type { Role } from '../access/roles.js';
import { pageView } from '../common/page-request.js';
import type { Page, PageRequest } from '../common/paging.js';
import { olderSessionFields, withOlderSessionNames } from '../http/older-names.js';
import { offsetFields } from '../http/paging.js';
import { timestamp } from '../http/schemas.js';
import { STATUSES, type Status } from './lifecycle.js';
import type { Session, SessionDetails } from './session.entity.js';
import { sessionCollection } from './session-collection.js';

/** A session as read: both its rows, the status it has at this moment, and what the caller is to it. */
export type SessionRow = Session & Omit<SessionDetails, 'created_at'> & { status: Status; role: Role | null };

const text = z.string().nullable();
const json = z.record(z.string(), z.unknown());
const count = z.int().min(0);

const shape = {
  session_id: z.string(),
  user_id: text,
  agent_id: text,
  client_id: text,
  title: text,
  description: text,
  session_type: z.string(),
  status: z.enum(STATUSES),
  is_active: z.boolean().meta({ description: 'status is active' }),
  tags: z.array(z.string()),
  context: json,
  metadata: json,
  configuration: json,
  conversation_data: json,
  checkpoint: json.nullable(),
  runtime_backend: z.enum(['local', 'kubernetes', 'unknown']),
  runtime_metadata: json,
  message_count: count,
  total_tokens: count.meta({ description: 'sum of what the messages report' }),
  total_cost: z.number().meta({ description: 'US dollars, sum of what the messages report' }),
  session_summary: z.string(),
  timeout_minutes: z.int().nullable(),
  expires_at: timestamp.nullable(),
  heartbeat_timeout_seconds: z.int().nullable(),
  auto_recover: z.boolean(),
  legal_hold: z.boolean(),
  lineage: json.nullable(),
  collection: sessionCollection.nullable().meta({ description: 'its vector collection; null: none (yet)' }),
  version: z.int().min(1).meta({ description: 'counts edits; the ETag' }),
  created_at: timestamp,
  updated_at: timestamp.meta({ description: 'of the last edit' }),
  last_activity_at: timestamp,
  archived_at: timestamp.nullable(),
  deleted_at: timestamp.nullable(),
  deleted_reason: text.meta({ description: '`requested`, `expired` or `retention`' }),
};

const EXAMPLE = {
  session_id: 'support-4711',
  user_id: 'alice',
  agent_id: null,
  client_id: 'web',
  title: 'Why does my invoice show two items?',
  description: null,
  session_type: 'conversation',
  status: 'active',
  is_active: true,
  tags: ['billing'],
  context: { locale: 'en' },
  metadata: { ticket: 4711 },
  configuration: {},
  conversation_data: {},
  checkpoint: null,
  runtime_backend: 'unknown',
  runtime_metadata: {},
  message_count: 2,
  total_tokens: 57,
  total_cost: 0.00031,
  session_summary: '',
  timeout_minutes: 180,
  expires_at: '2026-01-31T15:00:01.250Z',
  heartbeat_timeout_seconds: null,
  auto_recover: false,
  legal_hold: false,
  lineage: null,
  collection: null,
  version: 1,
  created_at: '2026-01-31T12:00:00.000Z',
  updated_at: '2026-01-31T12:00:00.000Z',
  last_activity_at: '2026-01-31T12:00:01.250Z',
  archived_at: null,
  deleted_at: null,
  deleted_reason: null,
};

export const sessionFields = { ...shape, ...olderSessionFields(shape) };

export const sessionView = z
  .strictObject(sessionFields)
  .meta({ id: 'Session', example: withOlderSessionNames(EXAMPLE) });

export const aliveView = z
  .strictObject({
    session_id: z.string(),
    status: z.enum(STATUSES),
    last_activity_at: timestamp,
    expires_at: timestamp.nullable(),
  })
  .meta({ id: 'Heartbeat' });

export const sessionsPage = z
  .strictObject({ sessions: z.array(sessionView), ...offsetFields })
  .meta({ id: 'SessionsPage' });

const iso = (time: Date | null) => time?.toISOString() ?? null;

/** A session as the API shows it. */
export function toView(row: SessionRow) {
  const isExpired = row.status === 'deleted' && row.deleted_at === null;
  return withOlderSessionNames({
    session_id: row.id,
    user_id: row.user_id,
    agent_id: row.agent_id,
    client_id: row.client_id,
    title: row.title || null,
    description: row.description,
    session_type: row.session_type,
    status: row.status,
    is_active: row.status === 'active',
    tags: row.tags,
    context: row.context,
    metadata: row.metadata,
    configuration: row.configuration,
    conversation_data: row.conversation_data,
    checkpoint: row.checkpoint,
    runtime_backend: row.runtime_backend,
    runtime_metadata: row.runtime_metadata,
    message_count: row.message_count,
    total_tokens: row.total_tokens,
    total_cost: row.total_cost,
    session_summary: row.session_summary,
    timeout_minutes: row.timeout_minutes,
    expires_at: iso(row.expires_at),
    heartbeat_timeout_seconds: row.heartbeat_timeout_seconds,
    auto_recover: row.auto_recover,
    legal_hold: row.legal_hold,
    lineage: row.lineage,
    collection: row.collection,
    version: row.version,
    created_at: row.created_at.toISOString(),
    updated_at: row.updated_at.toISOString(),
    last_activity_at: row.last_activity_at.toISOString(),
    archived_at: iso(row.archived_at),
    deleted_at: iso(isExpired ? row.expires_at : row.deleted_at),
    deleted_reason: isExpired ? 'expired' : row.deleted_reason,
  });
}

/** What a heartbeat answers. */
export const toAliveView = (
  row: Pick<SessionRow, 'id' | 'status' | 'last_activity_at' | 'expires_at'>,
): z.output<typeof aliveView> => ({
  session_id: row.id,
  status: row.status,
  last_activity_at: row.last_activity_at.toISOString(),
  expires_at: iso(row.expires_at),
});

/** A page of sessions as the API shows it. */
export const toPageView = ({ request, page }: { request: PageRequest<unknown>; page: Page<SessionRow> }) => ({
  sessions: page.rows.map(toView),
  ...pageView(request, page),
});
