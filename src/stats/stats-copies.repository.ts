import { Injectable } from '@nestjs/common';
import { DomainError } from '../common/errors.js';
import { type Json, type JsonObject, jsonBytes, mergePatch } from '../common/json.js';
import { Database } from '../database/database.js';
import { statement } from '../database/statement.js';
import { added, type Counters, METADATA_KIB, statsFull } from './counters.js';
import { appendReports } from './model-reports.sql.js';
import { type Added, checkAdded, refuseCost } from './model-usage.repository.js';
import type { Counted } from './session-stats.repository.js';

/** A report to be copied, in the order of the copies. */
interface Picked {
  source: { key: number };
  seq: number;
}

/** Where a report stands among others. */
interface Placed {
  seq: number;
  created_at: Date;
  bytes: number;
}

/** Figures of several sessions as those of one, within a transaction that holds the rows of these. */
@Injectable()
export class StatsCopiesRepository {
  constructor(private readonly database: Database) {}

  /** @throws DomainError `stats_full`, `stats_overflow` when they have no room in one session */
  async checkTogether(sessions: number[]): Promise<void> {
    united(await this.countedOf(sessions));
    const [row] = await this.database.query<Added>(TOGETHER, [sessions]).catch(tooLarge);
    checkTotals(row!);
  }

  /** Gives a session the counters of the others: their sums; and their metadata, where the first that has a member settles it. */
  async unite(sessions: number[], copy: number): Promise<void> {
    const { counters, metadata } = united(await this.countedOf(sessions));
    if (Object.keys(counters).length + Object.keys(metadata).length === 0) return;
    await this.database.query(UNITE, [copy, JSON.stringify(counters), JSON.stringify(metadata)]);
  }

  /** How many reports on models there are of each. */
  async reports(sessions: number[]): Promise<number[]> {
    const rows = await this.database.query<{ reports: number }>(REPORTS, [sessions]);
    return rows.map(({ reports }) => reports);
  }

  /** The reports behind a number, in order. */
  placed(session: number, after: number, limit: number): Promise<Placed[]> {
    return this.database.query(PLACED, [session, after, limit]);
  }

  /** Appends copies of these reports, and what they come to. */
  async append(copy: number, picked: Picked[]): Promise<void> {
    const rows = picked.map(({ source, seq }, index) => ({ position: index + 1, key: source.key, n: seq }));
    const [row] = await this.database.query<Added>(APPEND, [copy, JSON.stringify(rows)]).catch(tooLarge);
    checkTotals(row!);
  }

  private countedOf(sessions: number[]): Promise<Counted[]> {
    return this.database.query(COUNTED, [sessions]);
  }
}

function united(sessions: Counted[]): Counted {
  let counters: Counters = {};
  let metadata: Json = {};
  for (const session of sessions) {
    counters = orTooLarge(() => added(counters, session.counters));
    metadata = mergePatch(session.metadata, metadata);
  }
  if (jsonBytes(metadata) > METADATA_KIB * 1024)
    throw statsFull(`more than ${METADATA_KIB} KiB of metadata beside its counters`);
  return { counters, metadata: metadata as JsonObject };
}

const checkTotals = (totals: Added) => orTooLarge(() => checkAdded(totals));

const tooLarge = (error: unknown) => orTooLarge(() => refuseCost(error));

/** It is nothing that the request says, but what the sessions come to. */
function orTooLarge<T>(sum: () => T): T {
  try {
    return sum();
  } catch (error) {
    if (!(error instanceof DomainError) || error.kind !== 'invalid') throw error;
    throw new DomainError('conflict', 'stats_overflow', `Together they count too much: ${error.message}`);
  }
}

const COUNTED = statement(
  'statsCopies.counted',
  `select t.counters, t.metadata from unnest($1::bigint[]) with ordinality as s(key, place)
     join session_stats t on t.session_key = s.key order by s.place`,
);

const TOGETHER = statement(
  'statsCopies.together',
  `select max(calls) as calls, max(tokens) as tokens, max(cost)::numeric(20,10) as cost, count(*) as models from (
     select sum(calls) as calls, sum(tokens) as tokens, sum(cost_usd) as cost
     from model_usage where session_key = any($1::bigint[]) group by model_type, model_name) together`,
);

const UNITE = statement(
  'statsCopies.unite',
  `insert into session_stats (session_key, counters, metadata, reports, switches)
   values ($1, $2::json, $3::json, 0, 0)
   on conflict (session_key) do update set counters = excluded.counters, metadata = excluded.metadata`,
);

const REPORTS = statement(
  'statsCopies.reports',
  `select coalesce(t.reports, 0) as reports from unnest($1::bigint[]) with ordinality as s(key, place)
     left join session_stats t on t.session_key = s.key order by s.place`,
);

const PLACED = statement(
  'statsCopies.placed',
  `select n as seq, reported_at as created_at, 0 as bytes from model_reports
   where session_key = $1 and n > $2::bigint order by n limit $3::int`,
);

const APPEND = appendReports(
  'statsCopies.append',
  `select p.position, r.model_type, r.model_name, r.calls, r.tokens, r.cost_usd, r.reported_at
   from json_to_recordset($2::json) as p(position int, key bigint, n bigint)
     join model_reports r on r.session_key = p.key and r.n = p.n`,
);
