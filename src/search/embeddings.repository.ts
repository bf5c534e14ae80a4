import { Injectable } from '@nestjs/common';
import { Database } from '../database/database.js';
import { statement } from '../database/statement.js';
import { statusOf } from '../sessions/session.sql.js';
import type { TextVector } from './embedding.entity.js';

/** A part of a text of which a vector is wanted. */
export type Wanted = Pick<TextVector, 'kind' | 'place_key' | 'item' | 'part' | 'owner' | 'version'>;

/** …and what a process that has taken it knows of it. */
export type Taken = Wanted & Pick<TextVector, 'state' | 'vector' | 'spaces'> & { is_deleted: boolean };

/** …with its vector, and the space it belongs in. */
export type Answered = Wanted & { hex: string; space: string };

/** A message or an entry whose parts are told anew. */
export type Item = Pick<TextVector, 'kind' | 'place_key' | 'item'>;

/**
 * What is known of embeddings. A row is taken for a while by the one process that works on it, and whatever comes of that is
 * written only if the row is still of the same version: what was changed or removed meanwhile wins, and is worked on as soon
 * as that process has let go, so that it never comes before what that process does in the vector store.
 */
@Injectable()
export class EmbeddingsRepository {
  constructor(private readonly database: Database) {}

  /** Notes the parts that these items have now, within the transaction that reads them. What is embedded already is not asked for again. */
  async note(items: Item[], parts: Wanted[]): Promise<void> {
    if (items.length > 0) await this.database.query(NOTE, [JSON.stringify(items), JSON.stringify(parts)]);
  }

  /** Takes some that nobody else is at, for so many seconds. */
  take(state: TextVector['state'], limit: number, seconds: number): Promise<Taken[]> {
    return this.database.query(TAKE, [state, limit, seconds]);
  }

  /** Lets others have what was taken. */
  async release(rows: Wanted[]): Promise<void> {
    await this.database.query(RELEASE, [keysOf(rows)]);
  }

  /** Sets aside what is due of deleted sessions, so that it is not taken again and again. */
  async wait(rows: Wanted[]): Promise<void> {
    if (rows.length > 0) await this.database.query(WAIT, [keysOf(rows)]);
  }

  /** Lets at most so many be due again whose sessions are restored; answers how many. */
  async wake(limit: number): Promise<number> {
    return (await this.database.query(WAKE, [limit])).length;
  }

  /** Keeps answers until the store has them. */
  async answered(rows: Answered[]): Promise<void> {
    await this.database.query(ANSWERED, [JSON.stringify(rows)]);
  }

  /** Notes that the store has nothing of them in these spaces any more. */
  async left(rows: Wanted[], spaces: string[]): Promise<void> {
    await this.database.query(LEFT, [keysOf(rows), spaces]);
  }

  async refused(rows: Wanted[]): Promise<void> {
    await this.database.query(REFUSED, [keysOf(rows)]);
  }

  /** Notes that the store has them; answers those of which it should have nothing any more. */
  stored(rows: Wanted[]): Promise<Wanted[]> {
    return this.database.query(STORED, [keysOf(rows)]);
  }

  /** Forgets what was to be removed, and is. */
  async removed(rows: Wanted[]): Promise<void> {
    await this.database.query(REMOVED, [keysOf(rows)]);
  }

  /** Those of the spaces in which no text belongs: whatever the store has there is of an older version, or was asked for anew. */
  async unheld(spaces: string[]): Promise<string[]> {
    const rows = await this.database.query<{ name: string }>(UNHELD, [spaces]);
    return rows.map(({ name }) => name);
  }

  /** Lets what belongs in these spaces be due again. */
  async askAgain(spaces: string[]): Promise<void> {
    await this.database.query(ASK_AGAIN, [spaces]);
  }

  /** Lets at most so many of a purged session go; answers how many. */
  async purge(place: number, limit: number): Promise<number> {
    return (await this.database.query(LET_GO, [place, limit])).length;
  }

  /** …of entries that are not there any more. */
  async letGoOrphans(limit: number): Promise<number> {
    return (await this.database.query(LET_GO_ORPHANS, [limit])).length;
  }

  /** Lets all be asked for again as soon as they are noted again. */
  async forget(): Promise<void> {
    await this.database.query(FORGET);
  }
}

/** The vectors themselves stay here. */
const keysOf = (rows: Wanted[]): string => JSON.stringify(rows, KEYS);
const KEYS = ['kind', 'place_key', 'item', 'part', 'owner', 'version'];

const PARTS = `json_to_recordset($1::json) as p(kind text, place_key bigint, item bigint, part int, owner bigint, version bigint)`;
const IS_PART = 'v.place_key = p.place_key and v.item = p.item and v.kind = p.kind and v.part = p.part';
const IS_SAME = "v.version = p.version and v.owner = p.owner and v.state = 'due'";
const COLUMNS = 'v.kind, v.place_key, v.item, v.part, v.owner::text, v.version';

/** SQL for: its session is deleted, or its time has run out. A user's memory has no session. */
const isDeleted = (key: string) =>
  `coalesce((select s.purged_at is not null or ${statusOf('s')} = 'deleted' from sessions s where s.key = ${key}), false)`;

const NOTE = statement(
  'embeddings.note',
  `with items as (select * from json_to_recordset($1::json) as i(kind text, place_key bigint, item bigint)),
   parts as (select * from json_to_recordset($2::json)
     as p(kind text, place_key bigint, item bigint, part int, owner bigint, version bigint)),
   gone as (
     update text_vectors v set state = 'gone', vector = null
     from items i
     where v.place_key = i.place_key and v.item = i.item and v.kind = i.kind and v.state <> 'gone'
       and not exists (select from parts p where ${IS_PART})
   )
   insert into text_vectors as v (kind, place_key, item, part, owner, version, state)
   select kind, place_key, item, part, owner, version, 'due' from parts
   on conflict (place_key, item, kind, part) do update
     set state = 'due', version = excluded.version, owner = excluded.owner, vector = null
     where v.version <> excluded.version or v.owner <> excluded.owner or v.state = 'gone'`,
);

/** By their place on disk, in the order of the index: whatever PostgreSQL thinks of $2, it reads no more than these rows. */
const TAKE = statement(
  'embeddings.take',
  `update text_vectors v set taken_until = clock_timestamp() + make_interval(secs => $3)
   where v.ctid = any(array(
     select ctid from text_vectors
     where state = $1 and state in ('due', 'answered', 'gone') and (taken_until is null or taken_until < clock_timestamp())
     order by taken_until limit $2 for update skip locked))
   returning ${COLUMNS}, v.state, v.vector, v.spaces, ${isDeleted('v.place_key')} as is_deleted`,
);

const WAIT = statement(
  'embeddings.wait',
  `update text_vectors v set taken_until = null, state = case when ${IS_SAME} then 'waiting' else v.state end
   from ${PARTS} where ${IS_PART}`,
);

/** Looks at every place once, however many rows of it wait. */
const WAKE = statement(
  'embeddings.wake',
  `with recursive place(key) as (
     select min(place_key) from text_vectors where state = 'waiting'
     union all
     select (select min(place_key) from text_vectors where state = 'waiting' and place_key > place.key)
     from place where place.key is not null
   )
   update text_vectors v set state = 'due'
   where v.ctid = any(array(
     select ctid from text_vectors
     where state = 'waiting' and place_key = any(array(
       select key from place where key is not null and not ${isDeleted('place.key')}))
     limit $1 for update skip locked))
   returning 1`,
);

const RELEASE = statement(
  'embeddings.release',
  `update text_vectors v set taken_until = null from ${PARTS} where ${IS_PART}`,
);

const ANSWERED = statement(
  'embeddings.answered',
  `update text_vectors v set taken_until = null,
     state = case when ${IS_SAME} then 'answered' else v.state end,
     vector = case when ${IS_SAME} then decode(p.hex, 'hex') end,
     spaces = case when ${IS_SAME} then array_remove(v.spaces, p.space) || p.space else v.spaces end
   from json_to_recordset($1::json)
     as p(kind text, place_key bigint, item bigint, part int, owner bigint, version bigint, hex text, space text)
   where ${IS_PART}`,
);

const BELONGS_IN = 'v.spaces[cardinality(v.spaces)]';

const UNHELD = statement(
  'embeddings.unheld',
  `select name from unnest($1::text[]) name
   where not exists (select from text_vectors v where v.state in ('answered', 'stored') and ${BELONGS_IN} = name)`,
);

const ASK_AGAIN = statement(
  'embeddings.askAgain',
  `update text_vectors v set state = 'due', vector = null
   where ${BELONGS_IN} = any($1::text[]) and v.state in ('answered', 'stored')`,
);

const LEFT = statement(
  'embeddings.left',
  `update text_vectors v set spaces = array(
     select name from unnest(v.spaces) with ordinality as space(name, n) where name <> all($2::text[]) order by n)
   from ${PARTS} where ${IS_PART}`,
);

const REFUSED = statement(
  'embeddings.refused',
  `update text_vectors v set taken_until = null,
     state = case when v.version = p.version and v.state in ('due', 'answered') then 'refused' else v.state end
   from ${PARTS} where ${IS_PART}`,
);

const STORED = statement(
  'embeddings.stored',
  `with parts as (select * from ${PARTS}), done as (
     update text_vectors v set taken_until = null, vector = null,
       state = case when v.version = p.version and v.state = 'answered' then 'stored' else v.state end
     from parts p where ${IS_PART}
   )
   select p.* from parts p
   where not exists (select from text_vectors v where ${IS_PART} and v.state <> 'gone')`,
);

const REMOVED = statement(
  'embeddings.removed',
  `delete from text_vectors v using ${PARTS} where ${IS_PART} and v.state = 'gone'`,
);

const LET_GO = statement(
  'embeddings.letGo',
  `with p as materialized (
     select place_key, item, kind, part from text_vectors where place_key = $1 and state <> 'gone' limit $2 for update)
   update text_vectors v set state = 'gone', vector = null from p where ${IS_PART} returning 1`,
);

const LET_GO_ORPHANS = statement(
  'embeddings.letGoOrphans',
  `with p as materialized (
     select place_key, item, kind, part from text_vectors v
     where kind = 'entry' and state <> 'gone' and not exists (select from memory_entries e where e.key = v.item)
     limit $1 for update)
   update text_vectors v set state = 'gone', vector = null from p where ${IS_PART} returning 1`,
);

const FORGET = statement(
  'embeddings.forget',
  `update text_vectors set version = -1 where state not in ('due', 'waiting', 'gone')`,
);
