/**
 * What the time is. A statement that may wait for a row takes `clock_timestamp()`: `now()` is from before the wait, and
 * what ran out meanwhile would come back to life.
 */
export type Clock = 'now()' | 'clock_timestamp()' | 'at.now';

/**
 * SQL for: an active session was silent for longer than its heartbeat time-out, and that before its time ran out.
 * `overdue_at` is null but for active sessions with such a time-out. Time waits for a job that reads the session.
 */
const overdue = (s: string, clock: Clock) =>
  `(coalesce(${s}.overdue_at <= ${clock} and (${s}.legal_hold or ${s}.expires_at is null or ${s}.overdue_at < ${s}.expires_at), false) and ${s}.busy_job is null)`;

/** SQL for: the time of this session has run out. `expires_at` is null where nothing expires. */
const expired = (s: string, clock: Clock) =>
  `(coalesce(${s}.expires_at <= ${clock}, false) and not ${s}.legal_hold and ${s}.busy_job is null)`;

/**
 * SQL for the status a session has at this moment, whether or not a sweep has come by to write it down. One
 * expression serves reads, filters and writes.
 */
export const statusOf = (s: string, clock: Clock = 'now()') => `
  case
    when ${s}.deleted_at is not null then 'deleted'
    when ${s}.archived_at is not null then 'archived'
    when ${overdue(s, clock)} then 'crashed'
    when ${expired(s, clock)} then 'deleted'
    else ${s}.state
  end`;

/** SQL for: its time or its silence has run out, and nobody has written that down yet. */
export const hasLapsed = (s: string, clock: Clock) => `(${overdue(s, clock)} or ${expired(s, clock)})`;

/** How often a session recovers by itself without a heartbeat between. */
export const MAX_RECOVERIES = 3;

/** SQL for: it is crashed by silence, and the next write or sweep recovers it. */
export const isRecoverable = (s: string) =>
  `(${statusOf(s)} = 'crashed' and ${s}.state = 'active' and ${s}.auto_recover and ${s}.recoveries < ${MAX_RECOVERIES})`;

/** SQL for: messages, heartbeats and points are taken; for the statement that takes them. */
export const isOpen = (s: string) => `${statusOf(s, 'clock_timestamp()')} in ('active', 'paused')`;

/** SQL for the `set` list of whatever counts as activity in an open session: renews activity, expiry, and the watch for a crash. */
export const renewActivity = (s: string) => `
  last_activity_at = greatest(${s}.last_activity_at, clock_timestamp()),
  expires_at = clock_timestamp() + make_interval(mins => ${s}.timeout_minutes),
  overdue_at = case when ${s}.state = 'active' then clock_timestamp() + make_interval(secs => ${s}.heartbeat_timeout_seconds) end`;
