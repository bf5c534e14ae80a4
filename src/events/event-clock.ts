import { Injectable, type OnModuleInit } from '@nestjs/common';
import { Database } from '../database/database.js';
import { statement } from '../database/statement.js';

/**
 * The stream of all events is ordered by the transactions that wrote them, and a server numbers its own from the beginning. A
 * database that was dumped there and restored here would bring numbers that this server has yet to reach: its new
 * events would come before the old ones, where no reader looks any more. So the clock is set ahead at the start, by
 * as much as it takes; places in the stream stay good.
 */
@Injectable()
export class EventClock implements OnModuleInit {
  constructor(private readonly database: Database) {}

  async onModuleInit(): Promise<void> {
    await this.database.query(SET_AHEAD);
  }
}

const SET_AHEAD = statement(
  'events.setClockAhead',
  `update event_clock set ahead = last.tx + 1 - server.next
   from (select pg_snapshot_xmax(pg_current_snapshot())::text::bigint as next) server,
     (select greatest((select max(tx) from events), (select max(tx) from stream_positions)) as tx) last
   where last.tx >= server.next + ahead`,
);
