import { Injectable } from '@nestjs/common';
import { Database } from '../database/database.js';
import { statement } from '../database/statement.js';
import { statusOf } from '../sessions/session.sql.js';
import type { ServiceTotals } from './totals.entity.js';

/** A status, and the sum of the sessions that have it. */
export type Total = ServiceTotals;

/** Sums over sessions: of one user from their rows, of all from what has been folded. */
@Injectable()
export class TotalsRepository {
  constructor(private readonly database: Database) {}

  /** Counts the sessions as they are now instead of as they were when last folded. */
  async fold(keys: number[]): Promise<void> {
    await this.database.query(FOLD, [keys]);
  }

  folded(): Promise<Total[]> {
    return this.database.query<Total>(FOLDED);
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

const LAPSED = statement(
  'totals.lapsed',
  'select key from sessions where expires_at <= now() or overdue_at <= now()',
);

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
