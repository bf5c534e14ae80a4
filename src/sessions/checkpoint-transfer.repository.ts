import { Injectable } from '@nestjs/common';
import { boundedPage } from '../common/paging.js';
import { Database } from '../database/database.js';
import { statement } from '../database/statement.js';
import type { CheckpointRecord } from './checkpoint-record.js';
import type { StoredCheckpoint } from './checkpoints.repository.js';

/** Bytes of documents, and checkpoints, in a page. */
const [BYTES, ROWS] = [2 * 1024 * 1024, 8];

/** Reads checkpoints oldest first, and writes them into sessions that nobody sees yet. */
@Injectable()
export class CheckpointTransferRepository {
  constructor(private readonly database: Database) {}

  async count(session: number, upTo: number): Promise<number> {
    return (await this.database.query<{ count: number }>(COUNT, [session, upTo]))[0]!.count;
  }

  findPage(session: number, after: number, upTo: number): Promise<StoredCheckpoint[]> {
    return this.database.query(PAGE, [session, after, upTo, ROWS, BYTES]);
  }

  /** Within a transaction that holds the session. */
  async insert(session: number, checkpoints: CheckpointRecord[]): Promise<void> {
    await this.database.query(INSERT, [session, JSON.stringify(checkpoints)]);
  }
}

const COUNT = statement(
  'checkpointTransfer.count',
  'select count(*)::int as count from checkpoints where session_key = $1 and n <= $2::bigint',
);

const PAGE = statement(
  'checkpointTransfer.page',
  boundedPage(
    `select c.n, c.checkpoint, c.metadata, c.created_at,
       octet_length(c.checkpoint::text) + octet_length(c.metadata::text) as size
     from checkpoints c where c.session_key = $1 and c.n > $2::bigint and c.n <= $3::bigint order by c.n limit $4::int`,
    'n',
    '$5',
  ),
);

const INSERT = statement(
  'checkpointTransfer.insert',
  `insert into checkpoints (session_key, n, checkpoint, metadata, created_at)
   select $1::bigint, c.n, c.checkpoint, c.metadata, c.created_at
   from json_to_recordset($2::json) as c(n bigint, checkpoint json, metadata json, created_at timestamptz(3))`,
);
