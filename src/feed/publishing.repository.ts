import { Injectable } from '@nestjs/common';
import { Database } from '../database/database.js';
import { statement } from '../database/statement.js';
import { OLDEST_RUNNING_TX } from '../events/events.sql.js';
import type { Position } from './position.js';

/** How far the stream of all events has been published; one process at a time goes on. */
@Injectable()
export class PublishingRepository {
  constructor(private readonly database: Database) {}

  /** Unless it has been begun before, it begins with what happens from now on. */
  async begin(): Promise<void> {
    await this.database.query(BEGIN);
  }

  /** Where it stands, held for so many seconds; null: another process publishes. */
  async claim(holder: string, seconds: number): Promise<Position | null> {
    const [row] = await this.database.query<{ tx: number; position: number }>(CLAIM, [holder, seconds]);
    return row ? [row.tx, row.position] : null;
  }

  /** False: another process has taken over meanwhile. */
  async moveTo([tx, position]: Position, holder: string): Promise<boolean> {
    return (await this.database.query(MOVE, [tx, position, holder])).length > 0;
  }

  async release(holder: string): Promise<void> {
    await this.database.query(RELEASE, [holder]);
  }
}

const BEGIN = statement(
  'publishing.begin',
  `insert into stream_positions (name, tx, position, as_of)
   values ('published', ${OLDEST_RUNNING_TX} - 1, ${Number.MAX_SAFE_INTEGER}, now())
   on conflict (name) do nothing`,
);

const CLAIM = statement(
  'publishing.claim',
  `update stream_positions set holder = $1::uuid, held_until = clock_timestamp() + make_interval(secs => $2)
   where name = 'published' and (holder = $1::uuid or held_until is null or held_until <= clock_timestamp())
   returning tx, position`,
);

const MOVE = statement(
  'publishing.move',
  `update stream_positions set tx = $1, position = $2, as_of = now()
   where name = 'published' and holder = $3::uuid returning 1`,
);

const RELEASE = statement(
  'publishing.release',
  `update stream_positions set held_until = null where name = 'published' and holder = $1::uuid`,
);
