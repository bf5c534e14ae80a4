import { Injectable } from '@nestjs/common';
import { invalid } from '../common/errors.js';
import type { Counted } from '../common/paging.js';
import { Database } from '../database/database.js';
import { isOutOfRange } from '../database/failures.js';
import { statement } from '../database/statement.js';
import { MOST_MODELS, OVERFLOW, statsFull } from './counters.js';
import { appendReports } from './model-reports.sql.js';
import type { Report, Usage } from './model-usage.schemas.js';

/** A report to be added; without a time it is of now. */
export type NewReport = Omit<Report, 'n' | 'reported_at'> & { reported_at?: string };

type Total = Usage['totals'][number];

/** What models come to after reports were added: the most of each. */
export interface Added {
  calls: number | null;
  tokens: number | null;
  models: number;
}

/** Reports on models, and their totals. */
@Injectable()
export class ModelUsageRepository {
  constructor(private readonly database: Database) {}

  /**
   * Adds reports in their order, within a transaction that holds the session's row.
   * @throws DomainError kind `invalid` when a total would be out of range, `stats_full`
   */
  async append(session: number, reports: NewReport[]): Promise<void> {
    const [row] = await this.database
      .query<Added>(APPEND, [session, JSON.stringify(reports)])
      .catch(refuseCost);
    checkAdded(row!);
  }

  async find(session: number): Promise<Usage> {
    const rows = await this.database.query<Total & Omit<Usage, 'totals'>>(FIND, [session]);
    const { switches, last_switch_at } = rows[0] ?? { switches: 0, last_switch_at: null };
    return { totals: rows.filter(({ model_type }) => model_type !== null), switches, last_switch_at };
  }

  /** Newest first. */
  findPage(session: number, before: number | null, limit: number): Promise<(Report & Counted)[]> {
    return this.database.query(PAGE, [session, before, limit + 1]);
  }
}

/** @throws DomainError kind `invalid`, `stats_full` */
export function checkAdded({ calls, tokens, models }: Added): void {
  for (const [name, total] of Object.entries({ calls, tokens }))
    if ((total ?? 0) > Number.MAX_SAFE_INTEGER) throw invalid([{ pointer: `/${name}`, detail: OVERFLOW }]);
  if (models > MOST_MODELS) throw statsFull(`reports of more than ${MOST_MODELS} models`);
}

export function refuseCost(error: unknown): never {
  if (!isOutOfRange(error)) throw error;
  throw invalid([{ pointer: '/cost_usd', detail: 'the total would be out of range' }]);
}

const APPEND = appendReports(
  'modelUsage.append',
  `select g.ordinality as position, g.model_type, g.model_name, g.calls, g.tokens, g.cost_usd, g.reported_at
   from rows from (json_to_recordset($2::json) as (
     model_type text, model_name text, calls bigint, tokens bigint, cost_usd numeric(20,10), reported_at timestamptz(3)
   )) with ordinality g`,
);

const FIND = statement(
  'modelUsage.find',
  `select s.switches, s.last_switch_at, u.model_type, u.model_name, u.calls, u.tokens, trim_scale(u.cost_usd)::text as cost_usd,
     u.first_used_at, u.last_used_at
   from session_stats s left join model_usage u on u.session_key = s.session_key
   where s.session_key = $1 order by u.model_type desc, u.model_name`,
);

const PAGE = statement(
  'modelUsage.page',
  `select page.*, count(*) over ()::int as found from (
     select n, model_type, model_name, calls, tokens, cost_usd, reported_at from model_reports
     where session_key = $1 and ($2::bigint is null or n < $2) order by n desc limit $3::int) page
   order by n desc`,
);
