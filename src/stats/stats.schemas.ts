import { z } from 'zod';
import { olderSessionFields, withOlderSessionNames } from '../http/older-names.js';
import { timestamp } from '../http/schemas.js';
import { STATUSES } from '../sessions/lifecycle.js';
import type { SessionRow } from '../sessions/session.view.js';
import type { Total } from './totals.repository.js';

const count = z.int().min(0);

const summary = {
  session_id: z.string(),
  user_id: z.string().nullable(),
  status: z.enum(STATUSES),
  is_active: z.boolean(),
  message_count: count,
  total_tokens: count,
  total_cost: z.number().meta({ description: 'US dollars' }),
  has_memory: z.boolean().meta({ description: 'whether facts are kept for the session' }),
  duration_seconds: z.number().min(0).meta({ description: 'from its making to its last activity' }),
  created_at: timestamp,
  last_activity_at: timestamp,
};

export const sessionSummary = z
  .strictObject({ ...summary, ...olderSessionFields(summary) })
  .meta({ id: 'SessionSummary' });

export const serviceStats = z
  .strictObject({
    total_sessions: count,
    active_sessions: count,
    sessions_by_status: z.record(z.string(), count).meta({
      description: 'by each status but `deleted`: deleted sessions are not counted',
    }),
    total_messages: count,
    total_tokens: count,
    total_cost: z.number().meta({ description: 'US dollars' }),
    average_messages_per_session: z.number(),
    as_of: timestamp.meta({ description: 'what happened before is counted' }),
  })
  .meta({
    id: 'ServiceStats',
    example: {
      total_sessions: 4,
      active_sessions: 3,
      sessions_by_status: { active: 3, paused: 0, completed: 1, crashed: 0, archived: 0 },
      total_messages: 10,
      total_tokens: 570,
      total_cost: 0.0031,
      average_messages_per_session: 2.5,
      as_of: '2026-01-31T12:00:00.250Z',
    },
  });

/** A session in figures. */
export const toSummary = (row: SessionRow, hasMemory: boolean) =>
  withOlderSessionNames({
    session_id: row.id,
    user_id: row.user_id,
    status: row.status,
    is_active: row.status === 'active',
    message_count: row.message_count,
    total_tokens: row.total_tokens,
    total_cost: row.total_cost,
    has_memory: hasMemory,
    duration_seconds: (row.last_activity_at.getTime() - row.created_at.getTime()) / 1000,
    created_at: row.created_at.toISOString(),
    last_activity_at: row.last_activity_at.toISOString(),
  });

const COUNTED = STATUSES.filter((status) => status !== 'deleted');

/** Totals by status as the API shows them. */
export function toStats({ totals, asOf }: { totals: Total[]; asOf: Date }) {
  const sum = (member: Exclude<keyof Total, 'status'>) =>
    totals.reduce((all, total) => all + total[member], 0);
  const sessionsOf = (status: string) => totals.find((total) => total.status === status)?.sessions ?? 0;
  const sessions = sum('sessions');
  return {
    total_sessions: sessions,
    active_sessions: sessionsOf('active'),
    sessions_by_status: Object.fromEntries(COUNTED.map((status) => [status, sessionsOf(status)])),
    total_messages: sum('messages'),
    total_tokens: sum('tokens'),
    total_cost: Number(sum('cost').toFixed(10)),
    average_messages_per_session: sessions === 0 ? 0 : sum('messages') / sessions,
    as_of: asOf.toISOString(),
  };
}
