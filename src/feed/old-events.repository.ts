import { Injectable } from '@nestjs/common';
import { Database } from '../database/database.js';
import { statement } from '../database/statement.js';
import { writtenAfter } from '../events/events.sql.js';
import type { Position } from './position.js';

/** The oldest events, in the order of the stream of all. */
@Injectable()
export class OldEventsRepository {
  constructor(private readonly database: Database) {}

  /** How far events have been removed, held for this transaction; null: another process is at it. */
  async lockPosition(): Promise<Position | null> {
    const [row] = await this.database.query<{ tx: number; position: number }>(LOCK);
    return row ? [row.tx, row.position] : null;
  }

  /**
   * Removes the next events, as long as they are older than so many days, and every reader that keeps its place has
   * read them. Those of a session under legal hold stay.
   * @returns how many were looked at, and how far
   */
  async removeNext([tx, position]: Position, days: number, isPublished: boolean, limit: number) {
    const [row] = await this.database.query<{ count: number; tx: number; position: number }>(REMOVE, [
      ...[tx, position, days, isPublished, limit],
    ]);
    const { count, ...end } = row!;
    return { count, end: [end.tx, end.position] as Position };
  }

  async moveTo([tx, position]: Position): Promise<void> {
    await this.database.query(MOVE, [tx, position]);
  }
}

const LOCK = statement(
  'oldEvents.lock',
  `select tx, position from stream_positions where name = 'removed' for update skip locked`,
);

/**
 * With an event go all before it in its session, or its user: some may have stayed behind while the session was held.
 * So of each what is left begins at one number, and has no gap.
 *
 * $1 tx, $2 position, $3 days, $4 whether the stream is published, $5 limit
 */
const REMOVE = statement(
  'oldEvents.remove',
  `with follower as materialized (
     select tx, position from stream_positions where name <> 'removed' and (name <> 'published' or $4::boolean)
     order by tx, position limit 1
   ), page as materialized (
     select e.aggregate_key, e.seq, e.tx, e.position, e.created_at from events e
     where ${writtenAfter('e', '$1', '$2')} order by e.tx, e.position limit $5::int
   ), old as materialized (
     select * from (
       select page.*, bool_and(page.created_at < now() - make_interval(days => $3::int)
         and (page.tx, page.position) <= (follower.tx, follower.position)) over (order by page.tx, page.position) as is_old
       from page, follower) p
     where is_old
   ), removed as (
     delete from events e using (select aggregate_key, max(seq) as seq from old group by aggregate_key) o
     where e.aggregate_key = o.aggregate_key and e.seq <= o.seq
       and not exists (select from sessions s where s.key = o.aggregate_key and s.legal_hold)
   )
   select count(*)::int as count, (array_agg(tx order by tx desc, position desc))[1] as tx,
     (array_agg(position order by tx desc, position desc))[1] as position
   from old`,
);

const MOVE = statement(
  'oldEvents.move',
  `update stream_positions set tx = $1, position = $2, as_of = now() where name = 'removed'`,
);
