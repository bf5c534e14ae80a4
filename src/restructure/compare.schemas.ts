import { z } from 'zod';
import { canonicalId } from '../common/ids.js';
import { sessionSummary } from '../stats/stats.schemas.js';

const FEWEST = 2;
const MOST = 20;

const isRightNumber = (ids: string[]) => ids.length >= FEWEST && ids.length <= MOST;
const areDistinct = (ids: string[]) => new Set(ids).size === ids.length;

export const compareQuery = z.strictObject({
  session_ids: z
    .string()
    .max(MOST * 256)
    .transform((list) => list.split(',').map(canonicalId))
    .refine(isRightNumber, `must name ${FEWEST} to ${MOST} sessions`)
    .refine(areDistinct, 'must name each session once')
    .refine((ids) => !ids.includes(''), 'must not have an empty item')
    .describe(`comma list of ${FEWEST} to ${MOST}`)
    .meta({ example: 'support-4711,support-4712' }),
});
export type CompareQuery = z.output<typeof compareQuery>;

export const comparison = z
  .strictObject({
    sessions: z.array(sessionSummary).meta({ description: 'in the order they were asked for' }),
    common: z.strictObject({
      tags: z.array(z.string()),
      models: z
        .array(z.string())
        .meta({ description: 'named by messages of all of them, out of the first hundred of each' }),
    }),
    differences: z.record(z.string(), z.record(z.string(), z.unknown())).meta({
      description: 'of every field that is not the same in all, by `session_id` what it is in each',
      example: { status: { 'support-4711': 'active', 'support-4712': 'completed' } },
    }),
  })
  .meta({ id: 'Comparison' });
