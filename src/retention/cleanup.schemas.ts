import { z } from 'zod';

export const cleanupBody = z.strictObject({
  dry_run: z.boolean().default(false).meta({ description: 'change nothing, and tell what would be done' }),
});
export type CleanupRequest = z.output<typeof cleanupBody>;
