import { Injectable } from '@nestjs/common';
import { boundedPage, type Counted } from '../common/paging.js';
import { Database } from '../database/database.js';
import { statement } from '../database/statement.js';
import { settledAfter } from '../events/events.sql.js';
import type { Changed, SourceEntry, SourceMessage } from './changed.js';
import type { Due } from './due.entity.js';
import { ownerNumber } from './owner.sql.js';

interface Position {
  tx: number;
  position: number;
}

type Read<Source> = Source & Counted & { n: number };

/** Bytes of documents that are derived from at once. */
const BYTES = 2 * 1024 * 1024;

/** So much due is a long queue. */
const LONG = 50_000;

/**
 * What is to be derived from: noted from the stream of all events, then worked off in turn: what is long lets others
 * come first. It is read as it is when its turn comes, so whatever has changed is due once, at any place behind the change.
 */
@Injectable()
export class DueRepository {
  constructor(private readonly database: Database) {}

  /** Where noting stands, held for this transaction; null: another process derives. */
  async lockPosition(): Promise<Position | null> {
    const [row] = await this.database.query<Position>(LOCK_POSITION);
    return row ?? null;
  }

  /** …waited for. */
  async waitForPosition(): Promise<void> {
    await this.database.query(WAIT_FOR_POSITION);
  }

  /** Notes what the next events say has changed; answers how many events there were. */
  async note({ tx, position }: Position, limit: number): Promise<number> {
    const [page] = await this.database.query<Position & { count: number }>(NOTE, [tx, position, limit]);
    if (page!.count > 0) await this.database.query(MOVE, [page!.tx, page!.position]);
    return page!.count;
  }

  /** Everything there is. */
  async noteAll(): Promise<void> {
    await this.database.query(NOTE_ALL);
  }

  /** Whether something is due, but not so much that more had better wait in the stream. */
  async isShort(): Promise<boolean> {
    const [row] = await this.database.query<{ length: number }>(LENGTH, [LONG]);
    return row!.length > 0 && row!.length < LONG;
  }

  async count(): Promise<number> {
    return (await this.database.query<{ count: number }>(COUNT))[0]!.count;
  }

  /** What is due next, at most so many messages or entries, crossed off; null: nothing is. */
  async take(rows: number): Promise<Changed | null> {
    const due = await this.database.query<Due>(NEXT, [rows]);
    if (due.length === 0) return null;
    return due[0]!.memory_id === null ? this.takeMessages(due, rows) : this.takeEntries(due, rows);
  }

  /** The rest of a range of messages that is too long for once is due again behind all others; but one at a time they come in order, so that the one that failed is met. */
  private async takeMessages(due: Due[], rows: number): Promise<Changed> {
    const messages = await this.read<SourceMessage>(MESSAGES, due, rows);
    const last = messages.at(-1);
    const isCut = last !== undefined && (messages.length < last.found || last.found === rows);
    await this.crossOff(isCut ? due.filter(({ n }) => n < last.n) : due);
    if (isCut) await this.database.query(rows === 1 ? LEAVE : PUT_BACK, [last.n, last.seq]);
    return { messages: once(messages, ({ place_key, seq }) => `${place_key}/${seq}`), entries: [] };
  }

  private async takeEntries(due: Due[], rows: number): Promise<Changed> {
    const entries = await this.read<SourceEntry>(ENTRIES, due, rows);
    const last = entries.at(-1);
    const isCut = last !== undefined && entries.length < last.found;
    await this.crossOff(isCut ? due.filter(({ n }) => n <= last.n) : due);
    return { messages: [], entries: once(entries, ({ key }) => key) };
  }

  private read<Source>(sources: typeof MESSAGES, due: Due[], rows: number): Promise<Read<Source>[]> {
    return this.database.query(sources, [due.map(({ n }) => n), rows, BYTES]);
  }

  private async crossOff(due: Due[]): Promise<void> {
    await this.database.query(CROSS_OFF, [due.map(({ n }) => n)]);
  }
}

/** What is due more than once is as it is now each time. */
const once = <Source>(sources: Source[], nameOf: (source: Source) => unknown): Source[] => [
  ...new Map(sources.map((source) => [nameOf(source), source])).values(),
];

const position = `select tx, position from stream_positions where name = 'derived' for update`;
const LOCK_POSITION = statement('derived.lockPosition', `${position} skip locked`);
const WAIT_FOR_POSITION = statement('derived.waitForPosition', position);

const MOVE = statement(
  'derived.move',
  `update stream_positions set tx = $1, position = $2, as_of = now() where name = 'derived'`,
);

/** SQL for: all there is of a session is to be read: it was shown with others' history and memory in it, or it is somebody else's now. */
const isWhole = `told ? 'up_to_seq'
  and type in ('session.forked', 'session.merged', 'session.split', 'session.imported', 'session.transferred')`;

/**
 * Messages that were appended one after another are one range. A whole history that is due, and of which nothing is read yet, is
 * due only once, however often it is told; so is an entry of memory. Of one that is partly read all is due again.
 */
const NOTE = statement(
  'derived.note',
  `with page as materialized (
     select e.aggregate_key as place, e.event_type as type, e.payload as told, e.tx, e.position from events e
     where ${settledAfter('e', '$1', '$2')}
     order by e.tx, e.position limit $3::int
   ), whole as materialized (
     select place, max((told ->> 'up_to_seq')::bigint) as up_to from page where ${isWhole} group by place
   ), untouched as materialized (
     select distinct on (place) place, up_to, d.n
     from whole join derived_due d on d.place_key = place and d.memory_id is null and d.from_seq = 1
     order by place, d.to_seq desc
   ), widened as (
     update derived_due d set to_seq = greatest(d.to_seq, up_to) from untouched where d.n = untouched.n
   ), entries as (
     select place, substr(told ->> 'memory_id', 5)::uuid as memory_id from page where type = 'memory.saved'
     union
     select place, e.memory_id from whole join memory_entries e on e.space_key = place
   ), noted as (
     insert into derived_due (place_key, from_seq, to_seq, memory_id)
     select place, min((told ->> 'from_seq')::bigint), max((told ->> 'to_seq')::bigint), null::uuid
     from page where type = 'message.appended' group by place
     union all
     select place, 1, up_to, null from whole where up_to > 0 and place not in (select place from untouched)
     union all
     select place, (told ->> 'seq')::bigint, (told ->> 'seq')::bigint, null from page where type = 'message.redacted'
     union all
     select place, null, null, memory_id from entries
     where not exists (select from derived_due d where d.place_key = place and d.memory_id = entries.memory_id)
   )
   select count(*)::int as count, (array_agg(tx order by tx desc, position desc))[1] as tx,
     (array_agg(position order by tx desc, position desc))[1] as position
   from page`,
);

const NOTE_ALL = statement(
  'derived.noteAll',
  `with messages as (
     insert into derived_due (place_key, from_seq, to_seq)
     select key, 1, message_count from sessions where message_count > 0 and purged_at is null order by key
   )
   insert into derived_due (place_key, memory_id) select space_key, memory_id from memory_entries order by key`,
);

const LENGTH = statement(
  'derived.length',
  'select count(*)::int as length from (select from derived_due limit $1::int) due',
);

const COUNT = statement(
  'derived.count',
  'select coalesce(sum(coalesce(to_seq - from_seq, 0) + 1), 0)::float8 as count from derived_due',
);

/** The first ones, as long as they are all of messages, or all of memory. */
const NEXT = statement(
  'derived.next',
  `select * from (
     select d.*, sum(coalesce(to_seq - from_seq, 0) + 1) over (order by n) - (coalesce(to_seq - from_seq, 0) + 1) as rows_before
     from (select * from derived_due order by n limit $1::int) d
     where (memory_id is null) = (select memory_id is null from derived_due order by n limit 1)
   ) due where rows_before < $1::int order by n`,
);

/** $1 what is due, $2 rows, $3 bytes */
const MESSAGES = statement(
  'derived.messages',
  boundedPage(
    `select d.n, m.* from derived_due d join sessions s on s.key = d.place_key and s.purged_at is null
     cross join lateral (
       select m.session_key as place_key, m.seq, ${ownerNumber('s.user_id')}::text as owner, m.name, m.content, m.tool_calls,
         m.redacted_at is not null as is_redacted, m.bytes as size
       from messages m where m.session_key = d.place_key and m.seq between d.from_seq and d.to_seq
       order by m.seq limit $2::int
     ) m
     where d.n = any($1::bigint[]) order by d.n, m.seq limit $2::int`,
    'n, seq',
    '$3',
  ),
);

/** Held before their words are, as by whoever deletes them. */
const ENTRIES = statement(
  'derived.entries',
  boundedPage(
    `select d.n, e.space_key as place_key, e.key, e.version, ${ownerNumber('coalesce(u.id, s.user_id)')}::text as owner,
       e.name, e.value, e.bytes as size
     from derived_due d join memory_entries e on e.space_key = d.place_key and e.memory_id = d.memory_id
     left join users u on u.key = e.space_key left join sessions s on s.key = e.space_key
     where d.n = any($1::bigint[]) order by d.n limit $2::int for key share of e`,
    'n',
    '$3',
  ),
);

const LEAVE = statement('derived.leave', 'update derived_due set from_seq = $2::bigint + 1 where n = $1');

/** Whole histories of the same place that are not begun stay behind the one that is, so that it comes to its end. */
const PUT_BACK = statement(
  'derived.putBack',
  `with place as (select place_key as key from derived_due where n = $1), put as (
     delete from derived_due
     where n = $1 or (place_key = (select key from place) and memory_id is null and from_seq = 1)
     returning *
   )
   insert into derived_due (place_key, from_seq, to_seq)
   select place_key, case when n = $1 then $2::bigint + 1 else from_seq end, to_seq from put
   where n <> $1 or $2::bigint < to_seq order by n`,
);

const CROSS_OFF = statement('derived.crossOff', 'delete from derived_due where n = any($1::bigint[])');
