import { Injectable } from '@nestjs/common';
import { Database } from '../database/database.js';
import { statement } from '../database/statement.js';
import type { MessageSum } from './message-sums.entity.js';

/** Messages behind the sums that are read with them; where there are more, they are folded first. */
const TAIL = 1_000;

/** From so many on the sums are worth bringing up to date when nobody asks. */
const WORTH = 500;

/** Messages folded in one transaction. */
export const CHUNK = 10_000;

/** Models of a session that are told of: those that most messages name. */
export const MOST_MODELS = 1_000;

/** What some messages come to; the cost with all its digits. */
export interface Sum {
  messages: number;
  tokens: number;
  cost: string;
}

/** What the messages of a session come to, all of them and parted in three ways, as of one moment. */
export interface Sums {
  total: Sum;
  parts: (Sum & Pick<MessageSum, 'kind' | 'name'>)[];
}

type Row = Sum & { kind: MessageSum['kind'] | 'total'; name: string; is_behind: boolean };

/**
 * Sums over the messages of a session, derived: an append writes nothing for them. They reach up to `folded_seq`, and a reader
 * adds what stands behind it, in one statement, so in one snapshot.
 *
 * An edit of a message takes the fold's row after it has changed the message, and holds it to its end; a fold takes it before it
 * looks at any message, by a statement of its own. So a fold that had the row first has read the message as it was, and the edit then finds the
 * message folded and corrects the sums; one that comes later reads the message as it is now.
 */
@Injectable()
export class MessageSums {
  constructor(private readonly database: Database) {}

  /** Null: the session is gone. Where much is not folded yet that is done first, a bounded transaction at a time. */
  async read(session: number): Promise<Sums | null> {
    for (;;) {
      const rows = await this.database.query<Row>(READ, [session]);
      const total = rows.find(({ kind }) => kind === 'total');
      if (!total) return null;
      if (!total.is_behind) return { total, parts: rows.filter(isPart) };
      await this.fold(session);
    }
  }

  /** Takes the next messages into the sums; answers how many. */
  fold(session: number): Promise<number> {
    return this.database.run(async () => {
      await this.database.query(HOLD, [session]);
      return (await this.database.query<{ count: number }>(FOLD, [session]))[0]!.count;
    });
  }

  /** Those of the sessions whose sums are worth being brought up to date, in the order of their keys. */
  async behind(sessions: number[]): Promise<number[]> {
    return (await this.database.query<{ key: number }>(BEHIND, [sessions])).map(({ key }) => key);
  }

  /** A message that this transaction has changed, and what it came to before. */
  async correct(session: number, seq: number, before: { tokens: number; cost: number }): Promise<void> {
    await this.database.query(HOLD, [session]);
    await this.database.query(CORRECT, [session, seq, before.tokens, before.cost]);
  }

  /** Removes at most `limit` rows of a purged session; answers how many. A fold that began before is waited for. */
  async purge(key: number, limit: number): Promise<number> {
    await this.database.query(HOLD, [key]);
    const removed = await this.database.query(PURGE, [key, limit]);
    if (removed.length === 0) await this.database.query(PURGE_FOLD, [key]);
    return removed.length;
  }
}

const isPart = (row: Row): row is Row & Pick<MessageSum, 'kind'> => row.kind !== 'total';

/** SQL for the sums over messages, each in three ways. */
const summed = (messages: string) => `
  select case when grouping(role) = 0 then 'role' when grouping(model) = 0 then 'model' else 'day' end as kind,
    coalesce(role, model, day) as name, count(*) as messages, coalesce(sum(tokens_used), 0) as tokens,
    coalesce(sum(cost_usd), 0) as cost
  from (
    select role, coalesce(model, '') as model, ${dayOf('created_at')} as day, tokens_used, cost_usd from ${messages}) m
  group by grouping sets ((role), (model), (day))`;

function dayOf(time: string): string {
  return `to_char(${time} at time zone 'UTC', 'YYYY-MM-DD')`;
}

const next = (session: string, after: string, limit: number) => `
  select m.seq, m.role, m.model, m.created_at, m.tokens_used, m.cost_usd from messages m
  where m.session_key = ${session} and m.seq > ${after} order by m.seq limit ${limit}`;

const READ = statement(
  'messageSums.read',
  `with s as materialized (
     select s.key, s.message_count, s.total_tokens, s.total_cost, coalesce(f.folded_seq, 0) as folded_seq,
       s.message_count - coalesce(f.folded_seq, 0) > ${TAIL} as is_behind
     from sessions s left join message_folds f on f.session_key = s.key
     where s.key = $1 and s.purged_at is null
   ), tail as materialized (
     select m.* from (select * from s where not is_behind) s cross join lateral (${next('s.key', 's.folded_seq', TAIL)}) m
   ), part as (
     select kind, name, sum(messages) as messages, sum(tokens) as tokens, sum(cost) as cost from (
       select kind, name, messages, tokens, cost from message_sums
       where session_key = (select key from s where not is_behind)
       union all ${summed('tail')}) part
     group by kind, name
   )
   select 'total' as kind, '' as name, message_count as messages, total_tokens as tokens,
     trim_scale(total_cost)::text as cost, is_behind
   from s
   union all
   select kind, name, messages, tokens, trim_scale(cost)::text, false
   from (select *, row_number() over (partition by kind order by messages desc, name) as place from part) ranked
   where kind <> 'model' or place <= ${MOST_MODELS}`,
);

const HOLD = statement(
  'messageSums.hold',
  `insert into message_folds (session_key, folded_seq) values ($1, 0)
   on conflict (session_key) do update set folded_seq = message_folds.folded_seq`,
);

/** Of a session that is gone nothing stays, not even the row that was made to hold it. */
const FOLD = statement(
  'messageSums.fold',
  `with page as materialized (
     select m.* from message_folds f join sessions s on s.key = f.session_key and s.purged_at is null
     cross join lateral (${next('f.session_key', 'f.folded_seq', CHUNK)}) m
     where f.session_key = $1
   ), sums as (
     insert into message_sums (session_key, kind, name, messages, tokens, cost)
     select $1::bigint, kind, name, messages, tokens, cost from (${summed('page')}) page
     on conflict (session_key, kind, name) do update set
       messages = message_sums.messages + excluded.messages, tokens = message_sums.tokens + excluded.tokens,
       cost = message_sums.cost + excluded.cost
   ), reached as (
     update message_folds set folded_seq = (select max(seq) from page)
     where session_key = $1 and exists (select from page)
   ), gone as (
     delete from message_folds where session_key = $1 and not exists (select from sessions where key = $1)
   )
   select count(*)::int as count from page`,
);

const BEHIND = statement(
  'messageSums.behind',
  `select s.key from sessions s left join message_folds f on f.session_key = s.key
   where s.key = any($1::bigint[]) and s.purged_at is null
     and s.message_count - coalesce(f.folded_seq, 0) >= ${WORTH}
   order by s.key`,
);

const CORRECT = statement(
  'messageSums.correct',
  `update message_sums sum set
     tokens = sum.tokens + coalesce(m.tokens_used, 0) - $3::bigint, cost = sum.cost + coalesce(m.cost_usd, 0) - $4::numeric
   from messages m, message_folds f
   where m.session_key = $1 and m.seq = $2 and f.session_key = $1 and f.folded_seq >= $2 and sum.session_key = $1
     and (sum.kind, sum.name) in
       (('role', m.role), ('model', coalesce(m.model, '')), ('day', ${dayOf('m.created_at')}))`,
);

const PURGE = statement(
  'messageSums.purge',
  `delete from message_sums where session_key = $1 and (kind, name) in
     (select kind, name from message_sums where session_key = $1 limit $2)
   returning 1`,
);

const PURGE_FOLD = statement('messageSums.purgeFold', 'delete from message_folds where session_key = $1');
