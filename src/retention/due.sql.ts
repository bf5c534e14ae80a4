import { isRecoverable, statusOf } from '../sessions/session.sql.js';
import { COUNTED, type FieldName, RULES } from './rules.js';

const NAMES = [...Object.keys(RULES), 'max_sessions_per_user'] as FieldName[];

/** Older than so many days is nothing, and more would leave the times that PostgreSQL knows. */
const MOST_DAYS = 1_000_000;

const list = (texts: readonly string[]) => texts.map((text) => `'${text}'`).join(', ');

/**
 * SQL for what holds for an owner, as one row with a column for each field; to be joined laterally.
 * @param owner SQL for his name; null where there is none
 */
export const effectivePolicy = (owner: string) => `(
  select ${NAMES.map((name) => `(case when own.policy ? '${name}' then own.policy else service.policy end ->> '${name}')::int as ${name}`).join(',\n    ')}
  from retention_policies service
  left join retention_policies own on own.user_id = ${owner} and own.user_id <> ''
  where service.user_id = '')`;

/** Nobody lays a hand on it: held by law, read by a job, still being made, or gone. */
const isFree = 's.purged_at is null and not s.legal_hold and s.busy_job is null';

/** Its silence is a crash that it recovers from by itself at its next change: that counts as an activity. */
const stands = `${isFree} and not ${isRecoverable('s')}`;

/**
 * SQL for the status that a row \`s\` of sessions shows, and the step that is due for it by \`p\`, its owner's policy: to be
 * joined laterally, as \`st\` and \`v\`, where no step is due with nulls. The rules are held against the moment of the run, the
 * status is that of this moment.
 * @param now the parameter with the moment of the run
 */
export const judged = (now: string) => `
  cross join lateral (select ${statusOf('s', 'clock_timestamp()')} as status) st
  left join lateral (
    select r.action, r.rule, due.since as due_since
    from (values ${Object.entries(RULES).map(rowOf).join(',')}) as r(place, action, rule, since, days)
    cross join lateral (select r.since + least(r.days, ${MOST_DAYS}) * interval '24 hours' as since) due
    where due.since <= ${now}::timestamptz
    order by r.action = 'archive', due.since, r.place
    limit 1
  ) v on ${isFree}`;

const rowOf = ([name, rule]: [string, (typeof RULES)[keyof typeof RULES]], place: number) => `
      (${place}, '${rule.action}', '${name}',
       case when st.status in (${list(rule.statuses)}) ${rule.action === 'archive' ? `and ${stands}` : ''} then ${rule.since} end, p.${name})`;

/** SQL for: it counts for \`max_sessions_per_user\`; what another rule lays aside in the same run does not. */
export const isCounted = `(s.purged_at is null and st.status in (${list(COUNTED)}) and v.action is null)`;

/** SQL for: …and may be archived by it; who was active since the run began is not. */
export const mayGiveWay = (now: string) => `(${stands} and s.last_activity_at <= ${now}::timestamptz)`;
