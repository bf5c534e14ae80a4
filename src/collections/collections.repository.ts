import { Injectable } from '@nestjs/common';
import { roleIn } from '../access/access.sql.js';
import type { Seen } from '../access/verify.js';
import type { JsonObject } from '../common/json.js';
import { Database } from '../database/database.js';
import { statement } from '../database/statement.js';
import { statusOf } from '../sessions/session.sql.js';
import type { Collection } from './collection.entity.js';

/** Seconds that a sweep leaves to a request to make what it wants. */
export const ITS_OWN = 10;

/** A session, as far as its collection needs to know it. */
export interface Header extends Seen {
  key: number;
  id: string;
  busy_job: string | null;
  legal_hold: boolean;
  configuration: JsonObject;
  collection: Collection | null;
}

/** Sessions whose configuration asks for a collection that nobody has made yet. */
export interface Wanting {
  key: number;
  configuration: JsonObject;
}

export type NewCollection = Pick<
  Collection,
  'name' | 'session_key' | 'shape' | 'payload_indexes' | 'backend' | 'direct_writes'
>;

@Injectable()
export class CollectionsRepository {
  constructor(private readonly database: Database) {}

  async find(id: string, user: string | null): Promise<Header | null> {
    const [row] = await this.database.query<Header>(FIND, [id, user]);
    return row ?? null;
  }

  async findOf(session: number): Promise<Collection | null> {
    const [row] = await this.database.query<Collection>(FIND_OF, [session]);
    return row ?? null;
  }

  findAll(sessions: number[]): Promise<Collection[]> {
    return this.database.query(FIND_ALL, [sessions]);
  }

  /** One that is wanted; null: the session has one. For so many seconds it is left to whoever wants it. */
  async insert(collection: NewCollection, seconds: number): Promise<Collection | null> {
    const { name, session_key, shape, payload_indexes, backend, direct_writes } = collection;
    const documents = [JSON.stringify(shape), JSON.stringify(payload_indexes)];
    const [row] = await this.database.query<Collection>(INSERT, [
      ...[name, session_key, ...documents, backend, direct_writes, seconds],
    ]);
    return row ?? null;
  }

  /** A session that wants one, its row held for this transaction; those that another holds, or a job reads, are passed over. */
  async lockWanting(): Promise<Wanting | null> {
    const [row] = await this.database.query<Wanting>(LOCK_WANTING);
    return row ?? null;
  }

  /** Those that are to be made or dropped in one store; nobody else takes them for a while, the longer the more often they failed. */
  takeDue(backend: string, directWrites: boolean, limit: number): Promise<Collection[]> {
    return this.database.query(TAKE_DUE, [backend, directWrites, limit]);
  }

  /** It is to be made once more; false: the session has it no more. */
  async want(name: string): Promise<boolean> {
    return (await this.database.query(WANT, [name])).length > 0;
  }

  async setIndexes(name: string, indexes: Collection['payload_indexes']): Promise<void> {
    await this.database.query(SET_INDEXES, [name, JSON.stringify(indexes)]);
  }

  /** Whether a row knows it, even if only to drop it. */
  async knows(name: string): Promise<boolean> {
    return (await this.unknown([name])).length === 0;
  }

  /** False: it is not wanted any more, or was made already. */
  async ready(name: string): Promise<boolean> {
    return (await this.database.query(READY, [name])).length > 0;
  }

  async failed(name: string, error: string | null): Promise<boolean> {
    return (await this.database.query(FAILED, [name, error])).length > 0;
  }

  /** The session has it no more; the store is told later. */
  async letGo(name: string): Promise<void> {
    await this.database.query(LET_GO, [name]);
  }

  async dropped(name: string): Promise<void> {
    await this.database.query(DROPPED, [name]);
  }

  /** Those of the names that no row knows. */
  async unknown(names: string[]): Promise<string[]> {
    const rows = await this.database.query<{ name: string }>(UNKNOWN, [names]);
    return rows.map(({ name }) => name);
  }

  /** What these sessions had, and the store still has. */
  findDropping(sessions: number[]): Promise<Collection[]> {
    return this.database.query(FIND_DROPPING, [sessions]);
  }

  /** Lets go what a purged session has; answers how many. */
  async purge(session: number): Promise<number> {
    return (await this.database.query(PURGE, [session])).length;
  }
}

const FIND = statement(
  'collections.find',
  `select s.key, s.id, s.busy_job, s.legal_hold, ${statusOf('s')} as status, ${roleIn('s', '$2')} as role, d.configuration, to_json(c) as collection
   from sessions s
     join session_details d on d.key = s.key
     left join collections c on c.session_key = s.key and c.state <> 'dropping'
   where s.id = $1 and s.purged_at is null`,
);

const FIND_OF = statement(
  'collections.findOf',
  `select * from collections where session_key = $1 and state <> 'dropping'`,
);

const FIND_ALL = statement(
  'collections.findAll',
  `select * from collections where session_key = any($1::bigint[]) and state <> 'dropping'`,
);

const INSERT = statement(
  'collections.insert',
  `insert into collections (name, session_key, shape, payload_indexes, backend, direct_writes, state, due_at)
   values ($1, $2, $3, $4, $5, $6, 'wanted', clock_timestamp() + make_interval(secs => $7))
   on conflict (session_key) where state <> 'dropping' do nothing
   returning *`,
);

const LOCK_WANTING = statement(
  'collections.lockWanting',
  `select d.key, d.configuration from session_details d
     join sessions s on s.key = d.key and s.purged_at is null and s.busy_job is null
   where d.wants_collection order by d.key limit 1 for update of s skip locked`,
);

const TAKE_DUE = statement(
  'collections.takeDue',
  `update collections c
   set attempts = c.attempts + 1, due_at = clock_timestamp() + least(10 * 2 ^ least(c.attempts, 6), 300) * interval '1 s'
   where c.name in (
     select name from collections
     where due_at <= clock_timestamp() and backend = $1 and direct_writes = $2 and state <> 'ready'
     order by due_at limit $3 for update skip locked)
   returning *`,
);

const WANT = statement(
  'collections.want',
  `update collections set state = 'wanted', due_at = clock_timestamp() + make_interval(secs => ${ITS_OWN}), attempts = 0
   where name = $1 and state <> 'dropping' returning 1`,
);

const SET_INDEXES = statement(
  'collections.setIndexes',
  'update collections set payload_indexes = $2 where name = $1',
);

const READY = statement(
  'collections.ready',
  `update collections set state = 'ready', error = null, attempts = 0, due_at = null
   where name = $1 and state = 'wanted' returning 1`,
);

const FAILED = statement(
  'collections.failed',
  `update collections set error = $2 where name = $1 and state = 'wanted' and error is distinct from $2 returning 1`,
);

const LET_GO = statement(
  'collections.letGo',
  `update collections set state = 'dropping', error = null, attempts = 0, due_at = clock_timestamp() where name = $1`,
);

const DROPPED = statement(
  'collections.dropped',
  `delete from collections where name = $1 and state = 'dropping'`,
);

const UNKNOWN = statement(
  'collections.unknown',
  `select name from unnest($1::text[]) name where not exists (select from collections c where c.name = name.name)`,
);

const FIND_DROPPING = statement(
  'collections.findDropping',
  `select * from collections where session_key = any($1::bigint[]) and state = 'dropping' and due_at is not null`,
);

const PURGE = statement(
  'collections.purge',
  `update collections set state = 'dropping', error = null, attempts = 0, due_at = clock_timestamp()
   where session_key = $1 and state <> 'dropping' returning 1`,
);
