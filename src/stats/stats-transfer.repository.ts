import { Injectable } from '@nestjs/common';
import { DomainError, invalid } from '../common/errors.js';
import { mergePatch } from '../common/json.js';
import { Database } from '../database/database.js';
import { statement } from '../database/statement.js';
import { ModelUsageRepository } from './model-usage.repository.js';
import type { Report } from './model-usage.schemas.js';
import type { Counted } from './session-stats.repository.js';
import type { CountersRecord, ReportRecord } from './stats-record.js';

/** Reports in a page. */
const ROWS = 1_000;

/** Reads what was counted for sessions, and writes it into sessions that nobody sees yet. */
@Injectable()
export class StatsTransferRepository {
  constructor(
    private readonly database: Database,
    private readonly usage: ModelUsageRepository,
  ) {}

  /** What was counted, and how many reports there are; null: nothing of either. */
  async find(session: number): Promise<(Counted & { reports: number }) | null> {
    const [row] = await this.database.query<Counted & { reports: number }>(FIND, [session]);
    return row ?? null;
  }

  /** The next reports, oldest first. */
  findPage(session: number, after: number, upTo: number): Promise<Report[]> {
    return this.database.query(PAGE, [session, after, upTo, ROWS]);
  }

  /**
   * Adds them, within a transaction that holds the session.
   * @throws DomainError kind `invalid` where they do not fit into one session
   */
  async insert(session: number, counted: CountersRecord | null, reports: ReportRecord[]): Promise<void> {
    if (counted) {
      const { counters } = counted;
      // as PUT would have made it: a null in it would take a member away wherever it is merged into
      const metadata = mergePatch({}, counted.metadata);
      await this.database.query(INSERT, [session, JSON.stringify(counters), JSON.stringify(metadata)]);
    }
    if (reports.length > 0) await this.usage.append(session, reports).catch(refuse);
  }
}

/** It is the export that is wrong, not the session. */
function refuse(error: unknown): never {
  if (!(error instanceof DomainError) || error.code !== 'stats_full') throw error;
  throw invalid([{ pointer: '/model_name', detail: error.message }]);
}

const FIND = statement(
  'statsTransfer.find',
  'select counters, metadata, reports from session_stats where session_key = $1',
);

const PAGE = statement(
  'statsTransfer.page',
  `select n, model_type, model_name, calls, tokens, cost_usd, reported_at from model_reports
   where session_key = $1 and n > $2::bigint and n <= $3::bigint order by n limit $4::int`,
);

const INSERT = statement(
  'statsTransfer.insert',
  `insert into session_stats (session_key, counters, metadata, reports, switches)
   values ($1, $2::json, $3::json, 0, 0)`,
);
