import { Injectable } from '@nestjs/common';
import { roleIn } from '../access/access.sql.js';
import type { Seen } from '../access/verify.js';
import { boundedPage, type Counted, pageBytes } from '../common/paging.js';
import { Database } from '../database/database.js';
import { statement } from '../database/statement.js';
import type { Checkpoint } from './checkpoint.entity.js';
import { MOST_CHECKPOINTS, type NewCheckpoint } from './checkpoints.schemas.js';
import { statusOf } from './session.sql.js';

export type StoredCheckpoint = Omit<Checkpoint, 'session_key'>;

/** The rows of checkpoints. */
@Injectable()
export class CheckpointsRepository {
  constructor(private readonly database: Database) {}

  /** Within the transaction that holds the session's row. */
  async insert(key: number, n: number, { checkpoint, metadata }: NewCheckpoint): Promise<void> {
    await this.database.query(INSERT, [key, n, JSON.stringify(checkpoint), JSON.stringify(metadata)]);
  }

  async findPage(id: string, user: string | null, before: number | null, limit: number) {
    const values = [id, user, before, limit + 1, pageBytes(false)];
    const rows = await this.database.query<Seen & { session_key: number } & StoredCheckpoint & Counted>(
      PAGE,
      values,
    );
    return { header: rows[0] ?? null, rows: rows[0]?.n ? rows : [] };
  }

  async find(id: string, user: string | null, n: number) {
    const [row] = await this.database.query<Seen & StoredCheckpoint>(FIND, [id, user, n]);
    return { header: row ?? null, checkpoint: row?.n ? row : null };
  }

  async findByKey(key: number, n: number): Promise<StoredCheckpoint | null> {
    const [row] = await this.database.query<StoredCheckpoint>(FIND_BY_KEY, [key, n]);
    return row ?? null;
  }

  /** Removes at most `limit` rows of a purged session; answers how many. */
  async purge(key: number, limit: number): Promise<number> {
    return (await this.database.query(PURGE, [key, limit])).length;
  }
}

const COLUMNS = 'c.n, c.checkpoint, c.metadata, c.created_at';

const INSERT = statement(
  'checkpoints.insert',
  `with gone as (delete from checkpoints where session_key = $1 and n <= $2::bigint - ${MOST_CHECKPOINTS})
   insert into checkpoints (session_key, n, checkpoint, metadata, created_at)
   values ($1, $2, $3::json, $4::json, clock_timestamp())`,
);

const HEADER = `
  with header as (
    select s.key, ${statusOf('s')} as status, ${roleIn('s', '$2')} as role
    from sessions s where s.id = $1 and s.purged_at is null)`;

const PAGE = statement(
  'checkpoints.page',
  `${HEADER}
   select header.key as session_key, header.status, header.role, page.* from header left join lateral (${boundedPage(
     `select ${COLUMNS}, octet_length(c.checkpoint::text) + octet_length(c.metadata::text) as size
      from checkpoints c where c.session_key = header.key and ($3::bigint is null or c.n < $3)
      order by c.n desc limit $4::int`,
     'n desc',
     '$5',
   )}) page on header.role is not null and header.status <> 'deleted'`,
);

const FIND = statement(
  'checkpoints.find',
  `${HEADER}
   select header.status, header.role, ${COLUMNS}
   from header left join checkpoints c on c.session_key = header.key and c.n = $3::bigint`,
);

const FIND_BY_KEY = statement(
  'checkpoints.findByKey',
  `select ${COLUMNS} from checkpoints c where c.session_key = $1 and c.n = $2`,
);

const PURGE = statement(
  'checkpoints.purge',
  `delete from checkpoints where session_key = $1 and n in
     (select n from checkpoints where session_key = $1 order by n limit $2)
   returning 1`,
);
