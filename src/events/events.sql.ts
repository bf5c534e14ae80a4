import type { JsonObject } from '../common/json.js';

/** An event before it is written. The payload holds ids, numbers and field names, never content. */
export interface NewEvent {
  type: string;
  payload: JsonObject;
}

/** What every statement that writes events has in its text: so it is known which do (`EventBus`). */
export const WRITES_EVENTS = 'insert into events';

const AHEAD = '(select ahead from event_clock)';

/** SQL for the number of this transaction in the stream of all events (see `EventClock`). */
export const CURRENT_TX = `pg_current_xact_id()::text::bigint + ${AHEAD}`;

/** SQL for the number of the oldest transaction that still runs, or if none does of the next. */
export const OLDEST_RUNNING_TX = `pg_snapshot_xmin(pg_current_snapshot())::text::bigint + ${AHEAD}`;

/** SQL for a number that no event has yet; some transactions that still run may have it. */
export const NEXT_TX = `pg_snapshot_xmax(pg_current_snapshot())::text::bigint + ${AHEAD}`;

/**
 * SQL for the `set` list of an update of a session's row that writes `count` events: numbers them under the row's
 * lock. `event_tx` is what the stream of all sessions is ordered by. It may not fall while `seq` rises, and a
 * transaction that waited for the lock is older than the one it waited for, so it takes the greater of both.
 */
export const numberEvents = (session: string, count: string) => `
  event_seq = ${session}.event_seq + ${count},
  event_tx = greatest(${session}.event_tx, ${CURRENT_TX})`;

/** SQL for: behind this position in the stream of all events. */
export const writtenAfter = (e: string, tx: string, position: string) =>
  `(${e}.tx, ${e}.position) > (${tx}::bigint, ${position}::bigint)`;

/**
 * SQL for: behind this position in the stream of all events, and settled. A transaction that still runs may write
 * events that come before ones already there; so reading stops at the oldest that runs, and what lies before it
 * will not change any more.
 * @param e alias of a row of `events`
 */
export const settledAfter = (e: string, tx: string, position: string) => `
  ${writtenAfter(e, tx, position)} and ${e}.tx < ${OLDEST_RUNNING_TX}`;

/**
 * SQL that inserts events.
 * @param source a query that yields `aggregate_key, seq, event_type, payload (jsonb), tx, created_at` in order of seq
 */
export const insertEvents = (source: string) => `
  ${WRITES_EVENTS} (aggregate_key, seq, event_type, payload, tx, created_at)
  ${source}`;

/**
 * SQL that inserts a list of events of one session.
 * @param session name of a returned row with `key, event_seq, event_tx` after `numberEvents`
 * @param events the parameter (jsonb) with an array of `NewEvent`
 */
export const insertEventList = (session: string, events: string) =>
  insertEvents(`
  select ${session}.key, ${session}.event_seq - jsonb_array_length(${events}::jsonb) + e.ordinality,
         e.event ->> 'type', e.event -> 'payload', ${session}.event_tx, clock_timestamp()
  from ${session}, jsonb_array_elements(${events}::jsonb) with ordinality as e(event, ordinality)
  order by e.ordinality`);
