import { z } from 'zod';
import { describing } from '../sessions/sessions.schemas.js';
import { pointId } from '../vectors/point-id.js';

const [MOST_PARTS, MOST_POINTS] = [100, 100_000];

const part = z
  .strictObject({
    ...describing,
    title: z.string().min(1).max(500),
    point_ids: z.array(pointId).max(MOST_POINTS).optional(),
    from_seq: z
      .int()
      .min(1)
      .optional()
      .meta({ description: 'the first message; 1 when only the last is given' }),
    to_seq: z
      .int()
      .min(1)
      .optional()
      .meta({ description: 'the last message; the newest when only the first is given' }),
  })
  .meta({ id: 'Part' });
export type Part = z.output<typeof part>;

export const splitBody = z
  .strictObject({
    parts: z.array(part).min(1).max(MOST_PARTS),
    remove_points: z
      .boolean()
      .default(true)
      .meta({ description: 'take the points of the parts out of the original’s collection' }),
    archive_original: z.boolean().default(false),
  })
  .meta({ id: 'Split' });
export type Split = z.output<typeof splitBody>;

/** A part as a job is told of it: its messages from … to, 0 and -1 when it has none. */
export type PartInput = Omit<Part, 'point_ids' | 'from_seq' | 'to_seq'> & {
  point_ids: string[];
  from: number;
  to: number;
};

/** What a split's job is told beside its source. */
export interface SplitInput {
  parts: PartInput[];
  remove_points: boolean;
  archive_original: boolean;
}
