import { z } from 'zod';

/** The members that every list answers beside its rows. */
export const pageFields = {
  limit: z.int(),
  next_cursor: z.string().nullable().meta({ description: 'null at the end' }),
  has_more: z.boolean(),
};

export const offsetFields = {
  ...pageFields,
  offset: z.int().optional().meta({ description: 'echoed' }),
  page: z.int().optional(),
  page_size: z.int().optional(),
  total: z.int().optional().meta({ description: 'rows that match, when asked for' }),
  total_capped: z.boolean().optional().meta({ description: 'true: counting stopped at 10,000' }),
};
