import { Injectable } from '@nestjs/common';
import { Database } from '../database/database.js';
import { statement } from '../database/statement.js';
import type { MemoryEntry, MemorySpace } from './memory.entity.js';
import type { Name } from './memory.repository.js';
import { isLive } from './memory.sql.js';

/** How many earlier versions of an entry are kept, and how many bytes of them. */
const KEPT = 100;
const KEPT_BYTES = 4 * 1024 * 1024;

/** What is written of an entry; `ttlSeconds` null: kept, undefined: as it was. */
export type Written = Pick<
  MemoryEntry,
  'memory_type' | 'value' | 'content' | 'metadata' | 'importance' | 'bytes'
> & {
  ttlSeconds: number | null | undefined;
};

export type HeldEntry = MemoryEntry & { is_live: boolean };

/** Entries removed at once: each may have 4 MiB of history. */
const BATCH = 100;

interface Deleted {
  deleted: number;
  live: number;
}

/** Changes memory, within a transaction that holds the space. */
@Injectable()
export class MemoryWritesRepository {
  constructor(private readonly database: Database) {}

  /** Holds a space until the transaction ends. */
  async lockSpace(key: number): Promise<MemorySpace> {
    const [space] = await this.database.query<MemorySpace>(LOCK_SPACE, [key]);
    return space!;
  }

  /** An entry, expired or not. */
  async findHeld(space: number, { name, memoryId }: Name): Promise<HeldEntry | null> {
    const [entry] = await this.database.query<HeldEntry>(
      name === null ? FIND_HELD_BY_ID : FIND_HELD_BY_NAME,
      [...[space, name ?? memoryId]],
    );
    return entry ?? null;
  }

  async findByKey(key: number): Promise<MemoryEntry | null> {
    const [entry] = await this.database.query<MemoryEntry>(FIND_BY_KEY, [key]);
    return entry ?? null;
  }

  async insert(
    space: number,
    { name, memoryId, createdBy }: { name: string | null; memoryId: string; createdBy: string | null },
    written: Written,
  ): Promise<MemoryEntry> {
    const values = [space, memoryId, name, createdBy, ...valuesOf(written), written.ttlSeconds ?? null];
    const [entry] = await this.database.query<MemoryEntry>(INSERT, values);
    return entry!;
  }

  /** Keeps what the entry was, and forgets what it was long ago. */
  async update(key: number, written: Written): Promise<MemoryEntry> {
    const { ttlSeconds } = written;
    const values = [
      key,
      ttlSeconds !== undefined,
      ttlSeconds ?? null,
      KEPT - 1,
      KEPT_BYTES,
      ...valuesOf(written),
    ];
    const [entry] = await this.database.query<MemoryEntry>(UPDATE, values);
    return entry!;
  }

  /** Removes an entry with its history. */
  async deleteOne(space: number, key: number): Promise<void> {
    await this.database.query(DELETE_ONE, [space, key]);
  }

  /** …some that have expired; answers how many. */
  async deleteExpired(space: number): Promise<number> {
    return (await this.database.query<Deleted>(DELETE_EXPIRED, [space, BATCH]))[0]!.deleted;
  }

  /** …some of all; answers how many of them had not expired. */
  async deleteSome(space: number): Promise<{ live: number; isMore: boolean }> {
    const [row] = await this.database.query<Deleted>(DELETE_SOME, [space, BATCH]);
    return { live: row!.live, isMore: row!.deleted === BATCH };
  }

  /** A space with entries that have expired, held for this transaction; those another holds are passed over. */
  async lockExpired(): Promise<number | null> {
    const [row] = await this.database.query<{ key: number }>(LOCK_EXPIRED);
    return row?.key ?? null;
  }

  /** Sessions of this user that have memory. */
  async sessionsOf(user: string): Promise<string[]> {
    const rows = await this.database.query<{ id: string }>(SESSIONS_OF, [user]);
    return rows.map((row) => row.id);
  }

  /** Removes at most `limit` entries of a purged session; answers how many. */
  async purge(key: number, limit: number): Promise<number> {
    return (await this.database.query(PURGE, [key, Math.min(limit, BATCH)])).length;
  }
}

const valuesOf = ({ memory_type, value, content, metadata, importance, bytes }: Written) => [
  ...[memory_type, JSON.stringify(value), content, JSON.stringify(metadata), importance, bytes],
];

const LOCK_SPACE = statement(
  'memory.lockSpace',
  `insert into memory_spaces (key, entries, last_version) values ($1, 0, 0)
   on conflict (key) do update set key = excluded.key
   returning *`,
);

const held = (match: string) =>
  `select e.*, ${isLive('e')} as is_live from memory_entries e where e.space_key = $1 and ${match}`;
const FIND_HELD_BY_NAME = statement('memory.findHeldByName', held('e.name = $2::text'));
const FIND_HELD_BY_ID = statement('memory.findHeldById', held('e.memory_id = $2::uuid'));

const FIND_BY_KEY = statement(
  'memory.findByKey',
  `select e.* from memory_entries e where e.key = $1 and ${isLive('e')}`,
);

const expiry = (seconds: string) => `clock_timestamp() + make_interval(secs => ${seconds}::int)`;

/** A new entry goes on from the highest version of any that is gone: none is used twice for a key. */
const INSERT = statement(
  'memory.insert',
  `with space as (
     update memory_spaces set entries = entries + 1 where key = $1 returning last_version
   )
   insert into memory_entries (space_key, memory_id, name, created_by, memory_type, value, content, metadata, importance,
     bytes, expires_at, version, created_at, updated_at)
   select $1, $2, $3, $4, $5, $6::json, $7, $8::json, $9, $10, ${expiry('$11')}, space.last_version + 1,
     clock_timestamp(), clock_timestamp()
   from space
   returning *`,
);

const UPDATE = statement(
  'memory.update',
  `with before as (
     insert into memory_versions (entry_key, version, memory_type, value, content, metadata, importance, bytes, expires_at, updated_at)
     select key, version, memory_type, value, content, metadata, importance, bytes, expires_at, updated_at
     from memory_entries where key = $1
   ), forgotten as (
     delete from memory_versions where entry_key = $1 and version in (
       select version from (
         select version, row_number() over newest as n, sum(bytes) over newest as total
         from memory_versions where entry_key = $1 window newest as (order by version desc)) kept
       where n > $4::int or total > $5::int - (select bytes from memory_entries where key = $1))
   )
   update memory_entries set
     memory_type = $6, value = $7::json, content = $8, metadata = $9::json, importance = $10, bytes = $11,
     expires_at = case when $2::boolean then ${expiry('$3')} else expires_at end,
     version = version + 1, updated_at = clock_timestamp()
   where key = $1
   returning *`,
);

/**
 * SQL that removes entries of a space ($1), with what they were before. Which are removed is found out first: mixed into the delete, it may be looked for once for every entry there is.
 * @param doomed a query for the `key` of each
 * @param answer what is said of those that were there: of their `key`, `version`, `is_live`
 */
export const removing = (doomed: string, answer: string) => `
  with doomed as materialized (${doomed}), gone as (
    delete from memory_entries e using doomed where e.key = doomed.key returning e.key, e.version, ${isLive('e')} as is_live
  ), versions as (
    delete from memory_versions where entry_key in (select key from gone)
  ), space as (
    update memory_spaces set entries = entries - (select count(*) from gone),
      last_version = greatest(last_version, (select max(version) from gone))
    where key = $1
  )
  select ${answer} from gone`;
const remove = (doomed: string) =>
  removing(doomed, 'count(*)::int as deleted, (count(*) filter (where is_live))::int as live');
const some = (which: string) =>
  remove(`select o.key from memory_entries o where o.space_key = $1 ${which} order by o.key limit $2`);

const DELETE_ONE = statement(
  'memory.deleteOne',
  remove('select o.key from memory_entries o where o.space_key = $1 and o.key = $2'),
);
const DELETE_EXPIRED = statement('memory.deleteExpired', some(`and not ${isLive('o')}`));
const DELETE_SOME = statement('memory.deleteSome', some(''));

const LOCK_EXPIRED = statement(
  'memory.lockExpired',
  `select key from memory_spaces
   where key in (select space_key from memory_entries where expires_at <= now() order by expires_at limit 100)
   limit 1 for update skip locked`,
);

const SESSIONS_OF = statement(
  'memory.sessionsOf',
  `select s.id from sessions s join memory_spaces m on m.key = s.key
   where s.user_id = $1 and s.purged_at is null and m.entries > 0`,
);

const PURGE = statement(
  'memory.purge',
  `with doomed as materialized (
     select key from memory_entries where space_key = $1 limit $2
   ), gone as (
     delete from memory_entries e using doomed where e.key = doomed.key returning e.key
   ), versions as (
     delete from memory_versions where entry_key in (select key from gone)
   ), space as (
     delete from memory_spaces where key = $1 and not exists (select from gone)
   )
   select from gone`,
);
