import { Injectable } from '@nestjs/common';
import { Database } from '../database/database.js';
import { statement } from '../database/statement.js';
import { insertEvents, numberEvents } from '../events/events.sql.js';
import { hasLapsed } from './session.sql.js';

/** Changes of many sessions at once, each told as if it were the only one. All are held by the transaction. */
@Injectable()
export class SessionStepsRepository {
  constructor(private readonly database: Database) {}

  /** Holds those that no other transaction holds; answers their keys. */
  lock(keys: number[]): Promise<number[]> {
    return this.keysOf(LOCK, [keys]);
  }

  /** …one, which is waited for. @throws DomainError for which `isLockTimeout` holds */
  async lockPatiently(key: number, seconds: number): Promise<number[]> {
    await this.database.query(BE_PATIENT, [`${seconds}s`]);
    return this.keysOf(LOCK_PATIENTLY, [key]);
  }

  /** What time has done to them, and nobody has written down yet. */
  async findLapsed(keys: number[]): Promise<string[]> {
    const rows = await this.database.query<{ id: string }>(FIND_LAPSED, [keys]);
    return rows.map(({ id }) => id);
  }

  async archive(keys: number[]): Promise<void> {
    await this.database.query(ARCHIVE, [keys]);
  }

  async delete(keys: number[], reason: string): Promise<void> {
    await this.database.query(DELETE, [keys, reason]);
  }

  async purge(keys: number[], freedIds: string[]): Promise<void> {
    await this.database.query(PURGE, [keys, freedIds]);
  }

  private async keysOf(sql: ReturnType<typeof statement>, values: unknown[]): Promise<number[]> {
    return (await this.database.query<{ key: number }>(sql, values)).map(({ key }) => key);
  }
}

/** In the order of keys, as all do who hold several. */
const LOCK = statement(
  'steps.lock',
  `select key from sessions where key = any($1::bigint[]) and purged_at is null and busy_job is null and not legal_hold
   order by key for update skip locked`,
);

const BE_PATIENT = statement('steps.bePatient', `select set_config('lock_timeout', $1, true)`);

const LOCK_PATIENTLY = statement(
  'steps.lockPatiently',
  `select key from sessions where key = $1 and purged_at is null and busy_job is null and not legal_hold for update`,
);

const FIND_LAPSED = statement(
  'steps.findLapsed',
  `select s.id from sessions s where s.key = any($1::bigint[])
     and s.deleted_at is null and s.archived_at is null and ${hasLapsed('s', 'clock_timestamp()')}`,
);

/** The clock of what comes next begins, nobody was active: `last_activity_at` stays. */
const laidAside = (name: string, status: string, sets: string) =>
  statement(
    name,
    `with changed as (
       update sessions s set ${sets}, expires_at = null, overdue_at = null, version = s.version + 1,
         ${numberEvents('s', '2')}
       where s.key = any($1::bigint[])
       returning s.*
     ), d as (
       update session_details set updated_at = clock_timestamp() where key = any($1::bigint[])
     )
     ${insertEvents(`
       select c.key, c.event_seq - 2 + told.n, told.type, told.payload, c.event_tx, clock_timestamp()
       from changed c cross join lateral (values
         (1, 'session.updated', jsonb_build_object('agent_id', c.agent_id, 'status', '${status}', 'updates', array['status'])),
         (2, 'session.${status}', jsonb_build_object('agent_id', c.agent_id, 'status', '${status}'))
       ) told(n, type, payload)
       order by c.key, told.n`)}`,
  );

const ARCHIVE = laidAside('steps.archive', 'archived', 'archived_at = clock_timestamp()');

const DELETE = laidAside(
  'steps.delete',
  'deleted',
  'deleted_at = clock_timestamp(), deleted_reason = $2::text',
);

const PURGE = statement(
  'steps.purge',
  `with changed as (
     update sessions s set id = freed.id, purged_at = clock_timestamp(), ${numberEvents('s', '1')}
     from unnest($1::bigint[], $2::text[]) as freed(key, id) join sessions before on before.key = freed.key
     where s.key = freed.key
     returning s.key, s.event_seq, s.event_tx, s.agent_id, before.id as session_id
   )
   ${insertEvents(`
     select c.key, c.event_seq, 'session.purged',
       jsonb_build_object('session_id', c.session_id, 'agent_id', c.agent_id), c.event_tx, clock_timestamp()
     from changed c order by c.key`)}`,
);
