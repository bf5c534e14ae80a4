import { Injectable } from '@nestjs/common';
import type { Seen } from '../access/verify.js';
import { boundedPage, type Counted, pageBytes } from '../common/paging.js';
import { Database } from '../database/database.js';
import { statement } from '../database/statement.js';
import type { MemoryVersion } from './memory.entity.js';
import { HEADER, isLive, ofSession, ofUser, ofUserBeside, READABLE } from './memory.sql.js';
import type { MemoryRow } from './memory.view.js';

/** Whose memory: a user's, or a session's. */
export interface Place {
  scope: 'user' | 'session';
  id: string;
}

/** An entry by its key, or by its `memory_id`. */
export interface Name {
  name: string | null;
  memoryId: string | null;
}

/** Where a page goes on: a session's own entries go before the user's. */
export type ListKey = [rank: number, key: number];

export interface ListRequest {
  /** the caller; null: a service */
  user: string | null;
  includeUser: boolean;
  memoryType: string | null;
  prefix: string | null;
  namedOnly: boolean;
  after: ListKey | null;
  limit: number;
}

export type ListedRow = MemoryRow & Counted & { rank: number };

/** Reads memory; a session's together with what the caller is to the session. Expired entries are not there. */
@Injectable()
export class MemoryRepository {
  constructor(private readonly database: Database) {}

  async find(place: Place, { name, memoryId }: Name, user: string | null, includeUser: boolean) {
    const by = name === null ? 'id' : 'name';
    const [row] =
      place.scope === 'user'
        ? await this.database.query<MemoryRow>(FIND_OF_USER[by], [place.id, name ?? memoryId])
        : await this.database.query<Seen & MemoryRow>(FIND_OF_SESSION[by], [
            ...[place.id, user, name ?? memoryId, includeUser],
          ]);
    return { header: (row as Seen | undefined) ?? null, entry: row?.memory_id ? (row as MemoryRow) : null };
  }

  async findPage(place: Place, request: ListRequest) {
    const { user, includeUser, memoryType, prefix, namedOnly, after, limit } = request;
    const [rank, key] = after ?? [-1, 0];
    const filters = [limit + 1, pageBytes(false), memoryType, prefix, namedOnly, key];
    const rows = await (place.scope === 'user'
      ? this.database.query<ListedRow>(PAGE_OF_USER, [place.id, ...filters])
      : includeUser
        ? this.database.query<Seen & ListedRow>(PAGE_OF_BOTH, [place.id, user, ...filters, rank])
        : this.database.query<Seen & ListedRow>(PAGE_OF_SESSION, [place.id, user, ...filters]));
    return { header: (rows[0] as unknown as Seen | undefined) ?? null, rows: rows[0]?.memory_id ? rows : [] };
  }

  /** Those of the spaces that have an entry. */
  async kept(spaces: number[]): Promise<number[]> {
    return (await this.database.query<{ key: number }>(KEPT, [spaces])).map(({ key }) => key);
  }

  /** What an entry was before, newest first. */
  findVersions(entry: number, before: number | null, limit: number): Promise<(MemoryVersion & Counted)[]> {
    return this.database.query(VERSIONS, [entry, before, limit + 1, pageBytes(false)]);
  }
}

/** Either way a statement of its own, so that each has one index to go by. */
const byNameOrId = (name: string, text: (match: (value: string) => string) => string) => ({
  name: statement(
    `${name}ByName`,
    text((value) => `e.name = ${value}::text`),
  ),
  id: statement(
    `${name}ById`,
    text((value) => `e.memory_id = ${value}::uuid`),
  ),
});

const FIND_OF_SESSION = byNameOrId(
  'memory.findOfSession',
  (match) => `${HEADER}
   select header.status, header.role, m.* from header left join lateral (
     select * from (${ofSession} and ${match('$3')} union all ${ofUserBeside} and ${match('$3')} and $4::boolean) found
     order by rank limit 1
   ) m on ${READABLE}`,
);

const FIND_OF_USER = byNameOrId('memory.findOfUser', (match) => `${ofUser} and ${match('$2')}`);

/**
 * @param first number of the first parameter: limit, bytes, type, prefix, whether with a key only, key to go on behind;
 *   with both a session's entries and a user's: the rank to go on behind
 */
const page = (entries: string, first: number, both = false) => {
  const [limit, bytes, type, prefix, namedOnly, key, rank] = Array.from(
    { length: 7 },
    (_, i) => `$${first + i}`,
  );
  const behind = both ? `(e.rank, e.key) > (${rank}::bigint, ${key}::bigint)` : `e.key > ${key}::bigint`;
  const order = both ? 'rank, key' : 'key';
  return boundedPage(
    `select * from (${entries}) e
     where (${type}::text is null or e.memory_type = ${type}) and (${prefix}::text is null or starts_with(e.name, ${prefix}))
       and (not ${namedOnly}::boolean or e.name is not null) and ${behind}
     order by ${order} limit ${limit}::int`,
    order,
    bytes!,
  );
};

const pageOfSession = (entries: string) =>
  `${HEADER}
   select header.status, header.role, page.* from header left join lateral (${entries}) page on ${READABLE}`;

const PAGE_OF_SESSION = statement('memory.pageOfSession', pageOfSession(page(ofSession, 3)));

const PAGE_OF_BOTH = statement(
  'memory.pageOfBoth',
  pageOfSession(page(`${ofSession} union all ${ofUserBeside}`, 3, true)),
);

const PAGE_OF_USER = statement('memory.pageOfUser', page(ofUser, 2));

const KEPT = statement(
  'memory.kept',
  `select space.key from unnest($1::bigint[]) as space(key)
   where exists (select from memory_entries e where e.space_key = space.key and ${isLive('e')})`,
);

const VERSIONS = statement(
  'memory.versions',
  boundedPage(
    `select v.*, v.bytes as size from memory_versions v
     where v.entry_key = $1 and ($2::bigint is null or v.version < $2)
     order by v.version desc limit $3::int`,
    'version desc',
    '$4',
  ),
);
