import { isDeepStrictEqual } from 'node:util';

/** What sessions are compared by: members of their view, and the models their messages name. */
export const COMPARED = [
  ...['title', 'description', 'status', 'session_type', 'user_id', 'agent_id', 'client_id'],
  ...['runtime_backend', 'tags', 'models', 'timeout_minutes', 'heartbeat_timeout_seconds', 'auto_recover'],
  ...['legal_hold', 'configuration', 'context', 'metadata', 'message_count', 'total_tokens', 'total_cost'],
  ...['created_at', 'last_activity_at'],
] as const;

/** A session as it is compared. */
export type Compared = Record<string, unknown> & { session_id: string; tags: string[]; models: string[] };

/** Of every field that is not the same in all of them, what it is in each. */
export function differencesOf(sessions: Compared[]): Record<string, Record<string, unknown>> {
  const differing = COMPARED.filter((field) =>
    sessions.some((session) => !isSame(field, session[field], sessions[0]![field])),
  );
  return Object.fromEntries(differing.map((field) => [field, valuesOf(sessions, field)]));
}

/** What all lists have, in the order of the first. */
export function commonOf([first = [], ...others]: string[][]): string[] {
  const sets = others.map((list) => new Set(list));
  return first.filter((item) => sets.every((set) => set.has(item)));
}

const valuesOf = (sessions: Compared[], field: string) =>
  Object.fromEntries(sessions.map((session) => [session.session_id, session[field]]));

/** The order of tags means nothing, as that of members of an object. */
const isSame = (field: string, a: unknown, b: unknown): boolean =>
  field === 'tags'
    ? isDeepStrictEqual(new Set(a as string[]), new Set(b as string[]))
    : isDeepStrictEqual(a, b);
