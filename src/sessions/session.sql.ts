/**
 * SQL for: an active session was silent for longer than its heartbeat time-out, and that before its time ran out.
 * `overdue_at` is null but for active sessions with such a time-out.
 */
const overdue = (s: string) =>
  `coalesce(${s}.overdue_at <= now() and (${s}.legal_hold or ${s}.expires_at is null or ${s}.overdue_at < ${s}.expires_at), false)`;

/** SQL for: the time of this session has run out. `expires_at` is null where nothing expires. */
const expired = (s: string) => `coalesce(${s}.expires_at <= now() and not ${s}.legal_hold, false)`;

/**
 * SQL for the status a session has at this moment, whether or not a sweep has come by to write it down. One
 * expression serves reads, filters and writes.
 */
export const statusOf = (s: string) => `
  case
    when ${s}.deleted_at is not null then 'deleted'
    when ${s}.archived_at is not null then 'archived'
    when ${overdue(s)} then 'crashed'
    when ${expired(s)} then 'deleted'
    else ${s}.state
  end`;

/** SQL for: its time or its silence has run out, and nobody has written that down yet. */
export const hasLapsed = (s: string) => `(${overdue(s)} or ${expired(s)})`;

/** How often a session recovers by itself without a heartbeat between. */
export const MAX_RECOVERIES = 3;

/** SQL for: it is crashed by silence, and the next write or sweep recovers it. */
export const isRecoverable = (s: string) =>
  `(${statusOf(s)} = 'crashed' and ${s}.state = 'active' and ${s}.auto_recover and ${s}.recoveries < ${MAX_RECOVERIES})`;

/** SQL for: messages, heartbeats and points are taken. */
export const isOpen = (s: string) => `${statusOf(s)} in ('active', 'paused')`;

/** SQL for the `set` list of whatever counts as activity in an open session: renews activity, expiry, and the watch for a crash. */
export const renewActivity = (s: string) => `
  last_activity_at = greatest(${s}.last_activity_at, clock_timestamp()),
  expires_at = clock_timestamp() + make_interval(mins => ${s}.timeout_minutes),
  overdue_at = case when ${s}.state = 'active' then clock_timestamp() + make_interval(secs => ${s}.heartbeat_timeout_seconds) end`;
