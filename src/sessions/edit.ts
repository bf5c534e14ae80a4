import { isDeepStrictEqual } from 'node:util';
import type { Permission } from '../access/roles.js';
import { checkSize, type Json, type JsonObject, mergePatch } from '../common/json.js';
import type { NewEvent } from '../events/events.sql.js';
import { CHECKPOINT_KIB, type NewCheckpoint } from './checkpoints.schemas.js';
import { checkTransition, eventOf, type Status } from './lifecycle.js';
import type { SessionRow } from './session.view.js';
import { checkedVectors } from './session-collection.js';
import { type DetailChanges, NOW, type SessionChanges } from './sessions.repository.js';
import { DEFAULTS, DOCUMENT_KIB, type EditSession } from './sessions.schemas.js';

/** What an edit does to the rows, and how it is told. */
export interface Plan {
  session: SessionChanges;
  details: DetailChanges;
  /** a checkpoint to be saved: it gets the next number */
  checkpoint?: NewCheckpoint;
  /** the members that changed, in the names of the API; empty: nothing did */
  updates: string[];
  status: Status;
}

const SESSION_FIELDS = [
  'session_type',
  'runtime_backend',
  'client_id',
  'agent_id',
  'timeout_minutes',
  'heartbeat_timeout_seconds',
  'auto_recover',
  'legal_hold',
] as const;
const DETAIL_FIELDS = ['title', 'description', 'tags'] as const;
const MERGED_FIELDS = [
  'context',
  'metadata',
  'configuration',
  'conversation_data',
  'runtime_metadata',
] as const;

/** What an editor may set, by whichever route; every other member needs `manage`, a legal hold a service. */
const WORK_FIELDS: ReadonlySet<string> = new Set(['checkpoint', 'status']);
const WORK_STATUSES: ReadonlySet<string> = new Set(['active', 'paused', 'completed', 'crashed']);

/** The permission that an edit of these members needs. */
export function permissionFor(row: SessionRow, input: EditSession): Permission {
  const named = Object.keys(input).filter((name) => input[name as keyof EditSession] !== undefined);
  if (named.includes('legal_hold')) return 'serve';
  if (named.some((name) => !WORK_FIELDS.has(name))) return 'manage';
  const archival =
    row.status === 'archived' || (input.status !== undefined && !WORK_STATUSES.has(input.status));
  return input.status !== undefined && archival ? 'manage' : 'work';
}

/**
 * Works out an edit. PUT replaces the named members whole, PATCH merges into the JSON documents (RFC 7396); a
 * checkpoint is always replaced.
 * @throws DomainError `invalid_transition`, `too_large`
 */
export function planEdit(row: SessionRow, input: EditSession, merge: boolean): Plan {
  const plan: Plan = { session: {}, details: {}, updates: [], status: row.status };
  for (const field of SESSION_FIELDS) set(plan, plan.session, row, field, orDefault(field, input[field]));
  for (const field of DETAIL_FIELDS)
    set(
      plan,
      plan.details,
      row,
      field,
      field === 'title' ? blank(input.title) : orDefault(field, input[field]),
    );
  for (const field of MERGED_FIELDS) {
    const given = input[field];
    if (given === undefined) continue;
    const value = merge && given ? mergePatch(row[field] as Json, given) : orDefault(field, given);
    checkSize(`/${field}`, value, DOCUMENT_KIB);
    set(plan, plan.details, row, field, value);
  }
  const { configuration } = plan.details;
  if (configuration && !isDeepStrictEqual((configuration as JsonObject).vectors, row.configuration.vectors)) {
    plan.details.wants_collection = checkedVectors(configuration as JsonObject) !== null;
  }
  checkSize('/checkpoint', input.checkpoint, CHECKPOINT_KIB);
  if (input.checkpoint === null) set(plan, plan.details, row, 'checkpoint', null);
  else if (input.checkpoint && !isDeepStrictEqual(input.checkpoint, row.checkpoint)) {
    planCheckpoint(plan, row, { checkpoint: input.checkpoint, metadata: {} });
  }
  if (plan.details.title !== undefined) plan.session.title_seq = 0;
  if (input.status !== undefined) planStatus(plan, row, input.status);
  return plan;
}

/** RFC 7396: `null` takes a member away, which leaves it as it is in a session that was made without it. */
const orDefault = (field: string, value: unknown) =>
  value === null && field in DEFAULTS ? DEFAULTS[field as keyof typeof DEFAULTS] : value;

/** No title is stored as an empty one. */
const blank = (title: string | null | undefined) => (title === null ? '' : title);

function set(plan: Plan, changes: object, row: SessionRow, field: keyof SessionRow, value: unknown): void {
  if (value === undefined || isDeepStrictEqual(value, row[field])) return;
  Object.assign(changes, { [field]: value });
  plan.updates.push(field);
}

/** The next checkpoint of the session. */
export function planCheckpoint(plan: Plan, row: SessionRow, saved: NewCheckpoint): void {
  plan.checkpoint = saved;
  Object.assign(plan.details, { checkpoint: saved.checkpoint, checkpoint_n: row.checkpoint_n + 1 });
  plan.updates.push('checkpoint');
}

/** The state it is in already: nothing changes. */
export function planStatus(plan: Plan, row: SessionRow, to: Exclude<Status, 'deleted'>): void {
  if (row.status === to) return;
  checkTransition(row.status, to);
  if (to === 'archived') plan.session.archived_at = NOW;
  else
    Object.assign(plan.session, {
      state: to,
      archived_at: null,
      completed_at: to === 'completed' ? NOW : null,
    });
  plan.status = to;
  plan.updates.push('status');
}

/** `session.updated` at every change, and beside it a saved checkpoint, and the name of a change of status. */
export function eventsOf(row: SessionRow, plan: Plan): NewEvent[] {
  const agent_id =
    plan.session.agent_id === undefined ? row.agent_id : (plan.session.agent_id as string | null);
  const payload = { agent_id, status: plan.status, updates: plan.updates };
  const events: NewEvent[] = [{ type: 'session.updated', payload }];
  if (plan.checkpoint) events.push({ type: 'checkpoint.saved', payload: { n: row.checkpoint_n + 1 } });
  if (plan.status !== row.status) {
    events.push({ type: eventOf(row.status, plan.status), payload: { agent_id, status: plan.status } });
  }
  return events;
}
