import { z } from 'zod';
import { Exact } from '../http/exact-json.js';
import { pageFields } from '../http/paging.js';
import { flag, pageQuery, timestamp } from '../http/schemas.js';
import { money } from '../messages/messages.schemas.js';
import type { ModelReport, ModelUsage, SessionStats } from './session-stats.entity.js';

export const MODEL_TYPES = ['llm', 'embedding'] as const;

/** What is reported of a model. */
export const reported = {
  model_type: z.enum(MODEL_TYPES),
  model_name: z.string().min(1).max(255),
  calls: z.int().min(1),
  tokens: z.int().min(0),
  cost_usd: money,
};

export const reportUsageBody = z
  .strictObject({
    ...reported,
    calls: reported.calls.default(1),
    tokens: reported.tokens.default(0),
    cost_usd: reported.cost_usd.default(0),
  })
  .meta({ id: 'ModelReportToAdd' });
export type ReportUsage = z.output<typeof reportUsageBody>;

export const modelUsageQuery = z.strictObject({
  history: flag.default(false).describe('adds the reports, newest first, paged'),
  ...pageQuery(50, 200),
});
export type ModelUsageQuery = z.output<typeof modelUsageQuery>;

const count = z.int().min(0);
const cost = z.number().meta({ description: 'US dollars, exact: at most 10 decimals' });
const model = { model_type: z.enum(MODEL_TYPES), model_name: z.string() };

const usage = {
  totals: z.array(
    z.strictObject({
      ...model,
      ...{ calls: count, tokens: count, cost_usd: cost },
      ...{ first_used_at: timestamp, last_used_at: timestamp },
    }),
  ),
  switches: count.meta({ description: 'reports that name another model than the one before of their type' }),
  last_switch_at: timestamp.nullable(),
};

const EXAMPLE = {
  totals: [
    {
      ...{ model_type: 'llm', model_name: 'gpt-large', calls: 2, tokens: 570, cost_usd: 0.0031 },
      ...{ first_used_at: '2026-01-31T12:00:00.250Z', last_used_at: '2026-01-31T12:00:01.250Z' },
    },
  ],
  switches: 0,
  last_switch_at: null,
};

export const modelUsageView = z.strictObject(usage).meta({ id: 'ModelUsage', example: EXAMPLE });

const reportView = z
  .strictObject({
    n: z.int().min(1).meta({ description: 'from 1 in its session, without gaps' }),
    ...model,
    ...{ calls: count, tokens: count, cost_usd: cost, reported_at: timestamp },
  })
  .meta({ id: 'ModelReport' });

const { limit, next_cursor, has_more } = pageFields;
export const modelUsagePage = z
  .strictObject({
    ...usage,
    reports: z.array(reportView).optional().meta({ description: 'with `history=true`' }),
    ...{ limit: limit.optional(), next_cursor: next_cursor.optional(), has_more: has_more.optional() },
  })
  .meta({ id: 'ModelUsagePage', example: EXAMPLE });

/** What a session used models for, all together. */
export interface Usage extends Pick<SessionStats, 'switches' | 'last_switch_at'> {
  totals: Omit<ModelUsage, 'session_key' | 'last_n'>[];
}

/** …as the API shows it. */
export const toUsage = ({ totals, switches, last_switch_at }: Usage) => ({
  totals: totals.map(({ model_type, model_name, calls, tokens, cost_usd, ...used }) => ({
    ...{ model_type, model_name, calls, tokens, cost_usd: new Exact(cost_usd) },
    first_used_at: used.first_used_at.toISOString(),
    last_used_at: used.last_used_at.toISOString(),
  })),
  switches,
  last_switch_at: last_switch_at?.toISOString() ?? null,
});

export type Report = Omit<ModelReport, 'session_key'>;

export const toReport = ({ n, model_type, model_name, calls, tokens, cost_usd, reported_at }: Report) => ({
  ...{ n, model_type, model_name, calls, tokens, cost_usd },
  reported_at: reported_at.toISOString(),
});
