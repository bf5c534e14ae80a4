import { Injectable } from '@nestjs/common';
import { Database } from '../database/database.js';
import { statement } from '../database/statement.js';

/** Seconds after which somebody else does it. */
const LEASE_SECONDS = 600;

/** Set times, as rows: whoever finds one due takes it. */
@Injectable()
export class SchedulesRepository {
  constructor(private readonly database: Database) {}

  /** Whether it is due, and nobody else does it; it is the caller's then until `done`. One that is new, or has other times now, waits for the next. */
  async take(name: string, cron: string): Promise<boolean> {
    const taken = await this.database.query(TAKE, [name, cron, LEASE_SECONDS]);
    if (taken.length > 0) return true;
    await this.database.query(SET, [name, cron, await next(cron)]);
    return false;
  }

  async done(name: string, cron: string): Promise<void> {
    await this.database.query(DONE, [name, cron, await next(cron)]);
  }
}

/** @throws when it is no cron expression */
async function next(cron: string): Promise<Date> {
  const { CronExpressionParser } = await import('cron-parser');
  return CronExpressionParser.parse(cron, { tz: 'UTC' }).next().toDate();
}

const TAKE = statement(
  'schedules.take',
  `update schedules set due_at = clock_timestamp() + make_interval(secs => $3)
   where name = $1 and cron = $2 and due_at <= clock_timestamp() returning 1`,
);

const SET = statement(
  'schedules.set',
  `insert into schedules (name, cron, due_at) values ($1, $2, $3)
   on conflict (name) do update set cron = excluded.cron, due_at = excluded.due_at where schedules.cron <> excluded.cron`,
);

const DONE = statement('schedules.done', 'update schedules set due_at = $3 where name = $1 and cron = $2');
