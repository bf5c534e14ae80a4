import type { JsonObject } from '../../../common/json.js';
import type { Database } from '../../../database/database.js';
import { statement } from '../../../database/statement.js';
import type { Shape, With } from '../../vector-store.js';

/** What a space holds. */
export interface Size {
  points: number;
  bytes: number;
  gone: number;
}

export interface HeldSpace extends Size {
  key: number;
  shape: Shape;
}

/** A page of points ends where so many bytes of them are reached. */
export const PAGE_BYTES = 16 * 1024 * 1024;

export interface PointFound {
  id: string;
  /** of vectors and payload */
  bytes: number;
  payload: JsonObject | null;
  vectors: Buffer | null;
}

/** Points as they are written: ids in stored form, all vectors in one piece, payloads as a JSON list. */
export interface Written {
  ids: string[];
  vectors: Buffer;
  stride: number;
  payloads: string;
}

/** What the space then holds that a page was copied to, and what became of the page; see `CopiedPage`. */
export interface PageCopied extends Size {
  read: number;
  last: string | null;
  taken: string[];
}

/** Rows of points. Ids are in stored form. */
export class PointsRepository {
  constructor(private readonly database: Database) {}

  /** Holds the space's row for this transaction; null: there is no such space. */
  async lockSpace(name: string): Promise<HeldSpace | null> {
    const [row] = await this.database.query<HeldSpace>(LOCK_SPACE, [name]);
    return row ?? null;
  }

  /** Answers what the space then holds. Its row must be held. */
  async put(space: number, { ids, vectors, stride, payloads }: Written): Promise<Size> {
    const [size] = await this.database.query<Size>(PUT, [space, ids, vectors, stride, payloads]);
    return size!;
  }

  /**
   * Deletes those that are as they were at `revision`, if one is given; answers how many.
   * The space's row must be held.
   */
  async remove(space: number, ids: string[], revision: number | null): Promise<Size & { removed: number }> {
    const [result] = await this.database.query<Size & { removed: number }>(REMOVE, [space, ids, revision]);
    return result!;
  }

  /** Removes the rows that deleted points have left. */
  async sweep(space: number): Promise<void> {
    await this.database.query(SWEEP, [space]);
  }

  /** In the order of `ids`; null: there is no such space. */
  find(name: string, ids: string[], what: With): Promise<PointFound[] | null> {
    return this.read(FIND, [name, ids, what.payload, what.vectors]);
  }

  /** The first behind `after`, in order, as many as `PAGE_BYTES` allow; null: there is no such space. */
  findPage(name: string, after: string, limit: number, what: With): Promise<PointFound[] | null> {
    return this.read(FIND_PAGE, [name, after, what.payload, what.vectors, limit, PAGE_BYTES]);
  }

  /** Copies such a page to the space with this key, whose row must be held; null: there is no space of that name. */
  async copyPage(from: string, to: number, after: string, limit: number): Promise<PageCopied | null> {
    const [page] = await this.database.query<PageCopied>(COPY_PAGE, [from, after, limit, PAGE_BYTES, to]);
    return page ?? null;
  }

  private async read(sql: typeof FIND, values: unknown[]): Promise<PointFound[] | null> {
    const rows = await this.database.query<PointFound & { id: string | null }>(sql, values);
    return rows.length === 0 ? null : rows.filter(({ id }) => id !== null);
  }
}

const LOCK_SPACE = statement(
  'vectors.lockSpace',
  'select key, shape, points, bytes, gone from vector_spaces where name = $1 for update',
);

const PUT = statement(
  'vectors.put',
  `with given as (
     select i.id, substr($3::bytea, (i.n::int - 1) * $4::int + 1, $4::int) as vectors, p.payload,
       $4::int + octet_length(p.payload::text) as bytes
     from unnest($2::text[]) with ordinality as i(id, n)
     join json_array_elements($5::json) with ordinality as p(payload, n) using (n)
   ), before as (
     select count(payload)::int as points, coalesce(sum(bytes) filter (where payload is not null), 0) as bytes,
       count(*)::int - count(payload)::int as gone
     from vector_points where space_key = $1 and id = any ($2::text[])
   ), space as (
     select revision + 1 as revision from vector_spaces where key = $1
   ), written as (
     insert into vector_points (space_key, id, revision, vectors, payload, bytes)
     select $1, given.id, space.revision, given.vectors, given.payload, given.bytes from given, space
     on conflict (space_key, id) do update
     set revision = excluded.revision, vectors = excluded.vectors, payload = excluded.payload, bytes = excluded.bytes
     returning bytes
   ), after as (
     select count(*)::int as points, coalesce(sum(bytes), 0) as bytes from written
   )
   update vector_spaces s set revision = space.revision, points = s.points + after.points - before.points,
     bytes = s.bytes + after.bytes - before.bytes, gone = s.gone - before.gone
   from before, after, space where s.key = $1 returning s.points, s.bytes, s.gone`,
);

/** Rows are found by the list alone: a plan that joins it with a table of unknown size can take forever. */
const REMOVE = statement(
  'vectors.remove',
  `with space as (
     select revision + 1 as revision from vector_spaces where key = $1
   ), removed as (
     update vector_points set revision = (select revision from space), vectors = '', payload = null
     where space_key = $1 and id = any ($2::text[]) and payload is not null and ($3::bigint is null or revision <= $3)
     returning bytes
   ), total as (
     select count(*)::int as removed, coalesce(sum(bytes), 0) as bytes from removed
   )
   update vector_spaces s set revision = space.revision, points = s.points - total.removed,
     bytes = s.bytes - total.bytes, gone = s.gone + total.removed
   from total, space where s.key = $1 returning s.points, s.bytes, s.gone, total.removed`,
);

const SWEEP = statement(
  'vectors.sweep',
  `with swept as (delete from vector_points where space_key = $1 and payload is null)
   update vector_spaces set gone = 0, floor = revision where key = $1`,
);

const columns = `p.id, p.bytes, case when $3::boolean then p.payload end as payload,
  case when $4::boolean then p.vectors end as vectors`;

const FIND = statement(
  'vectors.find',
  `select ${columns} from vector_spaces s left join (
     unnest($2::text[]) with ordinality as i(id, n) join vector_points p using (id)
   ) on p.space_key = s.key and p.payload is not null
   where s.name = $1 order by i.n`,
);

/** SQL for the points of a space behind an id, in order, so many or as many as have so many bytes. */
const page = (space: string, after: string, limit: string, bytes: string) => `
     select * from (
       select first.*, sum(bytes) over (order by id) - bytes as before from (
         select * from vector_points where space_key = ${space} and id > ${after} and payload is not null
         order by id limit ${limit}
       ) first
     ) summed where before < ${bytes}::int`;

const FIND_PAGE = statement(
  'vectors.findPage',
  `select ${columns} from vector_spaces s left join lateral (${page('s.key', '$2', '$5', '$6')}
   ) p on true
   where s.name = $1 order by p.id`,
);

/** A row that a deleted point has left is none of the target's points. No plan joins two lists: the target is new, and its size unknown. */
const COPY_PAGE = statement(
  'vectors.copyPage',
  `with source as (
     select key from vector_spaces where name = $1
   ), page as materialized (
     select p.* from source cross join lateral (${page('source.key', '$2', '$3', '$4')}) p
   ), space as (
     select revision + 1 as revision from vector_spaces where key = $5
   ), gone as (
     select count(*)::int as gone from vector_points
     where space_key = $5 and id = any (array(select id from page)) and payload is null
   ), written as (
     insert into vector_points (space_key, id, revision, vectors, payload, bytes)
     select $5, page.id, space.revision, page.vectors, page.payload, page.bytes from page, space order by page.id
     on conflict (space_key, id) do update
     set revision = excluded.revision, vectors = excluded.vectors, payload = excluded.payload, bytes = excluded.bytes
     where vector_points.payload is null
     returning id, bytes
   ), after as (
     select count(*)::int as points, coalesce(sum(bytes), 0) as bytes from written
   ), changed as (
     update vector_spaces s set revision = space.revision, points = s.points + after.points,
       bytes = s.bytes + after.bytes, gone = s.gone - gone.gone
     from gone, after, space where s.key = $5 returning s.points, s.bytes, s.gone
   )
   select changed.*, (select count(*)::int from page) as read, (select max(id) from page) as last,
     array(select id from page where id not in (select id from written) order by id) as taken
   from source, changed`,
);
