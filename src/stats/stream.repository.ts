import { Injectable } from '@nestjs/common';
import { Database } from '../database/database.js';
import { statement } from '../database/statement.js';
import { OLDEST_RUNNING_TX, settledAfter, writtenAfter } from '../events/events.sql.js';

/** Who follows the stream of all events here; each has a place of its own in it. */
export type Follower = 'service_totals' | 'message_sums';

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

/** The stream of all events, by the sessions that they are of. */
@Injectable()
export class StreamRepository {
  constructor(private readonly database: Database) {}

  /** Where a follower stands, held for this transaction; null: another process follows. */
  async lock(follower: Follower): Promise<Position | null> {
    const [row] = await this.database.query<Position>(LOCK, [follower]);
    return row ?? null;
  }

  /** …waited for. */
  async waitFor(follower: Follower): Promise<Position> {
    const [row] = await this.database.query<Position>(WAIT_FOR, [follower]);
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

  async move(follower: Follower, { tx, position }: Position, asOf: Date): Promise<void> {
    await this.database.query(MOVE, [follower, tx, position, asOf]);
  }

  async asOf(follower: Follower): Promise<Date> {
    return (await this.database.query<{ as_of: Date }>(AS_OF, [follower]))[0]!.as_of;
  }
}

const position = 'select tx, position from stream_positions where name = $1 for update';
const LOCK = statement('stream.lock', `${position} skip locked`);
const WAIT_FOR = statement('stream.waitFor', position);

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
const READ_ON = statement('stream.readOn', page(settledAfter('e', '$1', '$2')));
const READ_ALL = statement('stream.readAll', page(writtenAfter('e', '$1', '$2')));

const MOVE = statement(
  'stream.move',
  `update stream_positions set tx = $2, position = $3, as_of = greatest(as_of, $4::timestamptz) where name = $1`,
);

const AS_OF = statement('stream.asOf', 'select as_of from stream_positions where name = $1');
