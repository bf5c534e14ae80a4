import { z } from 'zod';
import { Exact } from '../http/exact-json.js';
import { jsonObject } from '../http/schemas.js';
import { messageRole } from '../messages/message.view.js';
import { MOST_MODELS, type Sum, type Sums } from '../messages/message-sums.js';
import type { SessionRow } from '../sessions/session.view.js';
import { sessionCollection } from '../sessions/session-collection.js';
import { COUNTER_NAME, METADATA_KIB, MOST_COUNTERS } from './counters.js';
import { modelUsageView, toUsage, type Usage } from './model-usage.schemas.js';
import type { Counted } from './session-stats.repository.js';

const amount = z.int();

/** Integers by names that a counter may have; only some of many faults are told. */
export const counters = z.record(z.string(), amount).superRefine((given, ctx) => {
  const names = Object.keys(given);
  if (names.length > MOST_COUNTERS) ctx.addIssue(`must have at most ${MOST_COUNTERS} names`);
  for (const name of names.filter((name) => !COUNTER_NAME.test(name)).slice(0, 10))
    ctx.addIssue({
      code: 'custom',
      path: [name],
      message: 'must be a letter and up to 63 letters, digits and _',
    });
});

/** Counters stand in `counters`, or beside the metadata. */
export const addStatsBody = z
  .object({ counters: counters.optional(), metadata: jsonObject(METADATA_KIB).optional() })
  .catchall(amount)
  .transform(({ counters: inside, metadata, ...beside }, ctx) => {
    if (inside && Object.keys(beside).length > 0)
      ctx.addIssue('counters stand in `counters` or at top level, not in both');
    if (!metadata && Object.keys(inside ?? beside).length === 0)
      ctx.addIssue('must have a counter, or metadata');
    const checked = counters.safeParse(inside ?? beside);
    for (const { path, message } of checked.error?.issues ?? [])
      if (!inside) ctx.addIssue({ code: 'custom', path, message });
    return { counters: inside ?? beside, metadata, at: inside ? '/counters' : '' };
  })
  .meta({ id: 'StatsToAdd' });
export type AddStats = z.output<typeof addStatsBody>;

const countersView = z.record(z.string(), amount).meta({ description: 'by name' });
const metadataView = z.record(z.string(), z.unknown());

export const countedView = z
  .strictObject({ session_id: z.string(), counters: countersView, metadata: metadataView })
  .meta({
    id: 'CountedStats',
    example: { session_id: 'support-4711', counters: { urls_processed: 5 }, metadata: {} },
  });

const count = z.int().min(0);
const cost = z
  .number()
  .meta({ description: 'US dollars, exact: at most 10 decimals, as many digits as it takes' });
const sums = { messages: count, tokens: count, cost_usd: cost };

export const sessionStatsView = z
  .strictObject({
    session_id: z.string(),
    counters: countersView,
    metadata: metadataView,
    messages: z.strictObject({ total: count, by_role: z.record(z.string(), count) }),
    tokens: count.meta({ description: 'sum of what the messages report' }),
    cost_usd: cost,
    by_model: z
      .array(z.strictObject({ model: z.string().nullable(), ...sums }))
      .meta({ description: `most messages first, at most ${MOST_MODELS}; null: messages that name none` }),
    by_day: z.array(z.strictObject({ day: z.iso.date(), ...sums })).meta({ description: 'in UTC' }),
    model_usage: modelUsageView,
    duration_seconds: z.number().min(0).meta({ description: 'from its making to its last activity' }),
    idle_seconds: z.number().min(0).meta({ description: 'since its last activity' }),
    collection: sessionCollection.nullable(),
  })
  .meta({ id: 'SessionStats' });

export const toCounted = ({ id, counters, metadata }: Counted & { id: string }) => ({
  session_id: id,
  counters,
  metadata,
});

export interface Stats extends Counted {
  session: SessionRow;
  sums: Sums;
  usage: Usage;
}

/** All figures of a session. */
export function toSessionStats({ session, sums, usage, ...counted }: Stats) {
  const { total, parts } = sums;
  const of = (kind: string) => parts.filter((part) => part.kind === kind);
  const byName = of('role').map(({ name, messages }) => [name, messages] as const);
  const { created_at, last_activity_at, collection } = session;
  return {
    ...toCounted({ ...counted, id: session.id }),
    messages: {
      total: total.messages,
      by_role: {
        ...Object.fromEntries(messageRole.options.map((role) => [role, 0])),
        ...Object.fromEntries(byName),
      },
    },
    tokens: total.tokens,
    cost_usd: new Exact(total.cost),
    by_model: of('model')
      .sort((a, b) => b.messages - a.messages || (a.name < b.name ? -1 : 1))
      .map(({ name, ...sum }) => ({ model: name || null, ...toSums(sum) })),
    by_day: of('day')
      .sort((a, b) => (a.name < b.name ? -1 : 1))
      .map(({ name, ...sum }) => ({ day: name, ...toSums(sum) })),
    model_usage: toUsage(usage),
    duration_seconds: (last_activity_at.getTime() - created_at.getTime()) / 1000,
    idle_seconds: Math.max(0, Date.now() - last_activity_at.getTime()) / 1000,
    collection,
  };
}

const toSums = ({ messages, tokens, cost }: Sum) => ({ messages, tokens, cost_usd: new Exact(cost) });
