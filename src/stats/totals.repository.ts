import { Injectable } from '@nestjs/common';
import { Database } from '../database/database.js';
import { statement } from '../database/statement.js';
import { OLDEST_RUNNING_TX, settledAfter, writtenAfter } from '../events/events.sql.js';
import { statusOf } from '../sessions/session.sql.js';
import type { ServiceTotals } from './totals.entity.js';

/** A status, and the sum of the sessions that have it. */
export type Total = ServiceTotals;

interface Position {
  tx: number;
  position: number;
}

/** The next events of the stream: whose they are, and how far they reach. */
interface Page extends Position {
  keys: number[];
  count: number;
  /** of the last of them */
  as_of: Date | null;
  /** what happened before is settled: nothing can appear before it any more */
  settled_as_of: Date;
}

/** Sums over sessions: of one user from their rows, of all from what has been folded. */
@Injectable()
export class TotalsRepository {
  constructor(private readonly database: Database) {}

  /** Where folding stands, held for this transaction; null: another process folds. */
  async lockPosition(): Promise<Position | null> {
    const [row] = await this.database.query<Position>(LOCK_POSITION);
    return row ?? null;
  }

  /** …waited for. */
  async waitForPosition(): Promise<Position> {
    const [row] = await this.database.query<Position>(WAIT_FOR_POSITION);
    return row!;
  }

  /** Events behind which none can appear any more. */
  async readOn({ tx, position }: Position, limit: number): Promise<Page> {
    const [page] = await this.database.query<Page>(READ_ON, [tx, position, limit]);
    return page!;
  }

  /** Whatever events are there: others may yet appear between them. */
  async readAll({ tx, position }: Position, limit: number): Promise<Page> {
    const [page] = await this.database.query<Page>(READ_ALL, [tx, position, limit]);
    return page!;
  }

  /** Counts the sessions as they are now instead of as they were when last folded. */
  async fold(keys: number[]): Promise<void> {
    await this.database.query(FOLD, [keys]);
  }

  async moveTo({ tx, position }: Position, asOf: Date): Promise<void> {
    await this.database.query(MOVE, [tx, position, asOf]);
  }

  async folded(): Promise<{ totals: Total[]; asOf: Date }> {
    const [position] = await this.database.query<{ as_of: Date }>(AS_OF);
    return { totals: await this.database.query<Total>(FOLDED), asOf: position!.as_of };
  }

  /** Counts rows: all of them, or those of one user. */
  recount(user: string | null): Promise<Total[]> {
    return this.database.query<Total>(user === null ? RECOUNT : RECOUNT_USER, user === null ? [] : [user]);
  }

  /** Sessions that time has ended, whether or not that is written down. */
  async lapsed(): Promise<number[]> {
    return (await this.database.query<{ key: number }>(LAPSED)).map(({ key }) => key);
  }

  /** Keeps everybody from changing sessions until the transaction ends. */
  async stopWrites(): Promise<void> {
    await this.database.query({ text: 'lock table sessions in share mode' });
  }
}

const position = `select tx, position from stream_positions where name = 'service_totals' for update`;
const LOCK_POSITION = statement('totals.lockPosition', `${position} skip locked`);
const WAIT_FOR_POSITION = statement('totals.waitForPosition', position);

const page = (which: string) => `
   with page as (
     select e.aggregate_key as session_key, e.tx, e.position, e.created_at from events e
     where ${which}
     order by e.tx, e.position limit $3::int)
   select coalesce(array_agg(distinct session_key)::text[]::float8[], '{}') as keys, count(*)::int as count,
     (array_agg(tx order by tx desc, position desc))[1] as tx,
     (array_agg(position order by tx desc, position desc))[1] as position,
     max(created_at) as as_of,
     coalesce((select created_at from events where tx >= ${OLDEST_RUNNING_TX} order by tx, position limit 1), now()) as settled_as_of
   from page`;
const READ_ON = statement('totals.readOn', page(settledAfter('e', '$1', '$2')));
const READ_ALL = statement('totals.readAll', page(writtenAfter('e', '$1', '$2')));

/** SQL for what a session counts for: what was copied from another counts there. */
const COUNTED = (s: string) => `
  ${s}.message_count - ${s}.copied_messages as messages, ${s}.total_tokens - ${s}.copied_tokens as tokens,
  ${s}.total_cost - ${s}.copied_cost as cost`;

const FOLD = statement(
  'totals.fold',
  `with fresh as (
     select s.key, ${statusOf('s')} as status, ${COUNTED('s')}
     from sessions s where s.key = any($1::bigint[]) and s.purged_at is null
   ), counting as (
     select * from fresh where status <> 'deleted'
   ), kept as (
     insert into session_totals (session_key, status, messages, tokens, cost)
     select * from counting
     on conflict (session_key) do update set
       status = excluded.status, messages = excluded.messages, tokens = excluded.tokens, cost = excluded.cost
   ), gone as (
     delete from session_totals
     where session_key = any($1::bigint[]) and session_key not in (select key from counting)
   ), difference as (
     select status, count(*) as sessions, sum(messages) as messages, sum(tokens) as tokens, sum(cost) as cost
     from counting group by status
     union all
     select status, -count(*), -sum(messages), -sum(tokens), -sum(cost)
     from session_totals where session_key = any($1::bigint[]) group by status
   )
   insert into service_totals as t (status, sessions, messages, tokens, cost)
   select status, sum(sessions), sum(messages), sum(tokens), sum(cost) from difference group by status order by status
   on conflict (status) do update set
     sessions = t.sessions + excluded.sessions, messages = t.messages + excluded.messages,
     tokens = t.tokens + excluded.tokens, cost = t.cost + excluded.cost`,
);

const MOVE = statement(
  'totals.move',
  `update stream_positions set tx = $1, position = $2, as_of = greatest(as_of, $3::timestamptz)
   where name = 'service_totals'`,
);

const LAPSED = statement(
  'totals.lapsed',
  'select key from sessions where expires_at <= now() or overdue_at <= now()',
);

const AS_OF = statement('totals.asOf', `select as_of from stream_positions where name = 'service_totals'`);

const FOLDED = statement(
  'totals.folded',
  'select status, sessions, messages, tokens, cost from service_totals where sessions > 0 order by status',
);

const recount = (whose: string) => `
  select status, count(*) as sessions, sum(messages) as messages, sum(tokens) as tokens, sum(cost) as cost
  from (
    select ${statusOf('s')} as status, ${COUNTED('s')}
    from sessions s where s.purged_at is null and ${whose}) counted
  where status <> 'deleted'
  group by status order by status`;

const RECOUNT = statement('totals.recount', recount('true'));
const RECOUNT_USER = statement('totals.recountUser', recount('s.user_id = $1'));
