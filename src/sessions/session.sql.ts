/** SQL for: the time of this session has run out, whether or not a sweep has come by. */
export const expired = (s: string) => `coalesce(${s}.expires_at <= now() and not ${s}.legal_hold, false)`;

/** SQL for the status a session has at this moment. One expression serves reads, filters and writes. */
export const statusOf = (s: string) => `
  case
    when ${s}.deleted_at is not null or ${expired(s)} then 'deleted'
    when ${s}.archived_at is not null then 'archived'
    else ${s}.state
  end`;

/** SQL for: messages, heartbeats and points are taken. */
export const isOpen = (s: string) => `${statusOf(s)} in ('active', 'paused')`;

/** SQL for the `set` list of whatever counts as activity in an open session: renews activity and expiry. */
export const renewActivity = (s: string) => `
  last_activity_at = greatest(${s}.last_activity_at, clock_timestamp()),
  expires_at = clock_timestamp() + make_interval(mins => ${s}.timeout_minutes)`;
