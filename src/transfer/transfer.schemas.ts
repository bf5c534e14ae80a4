import { z } from 'zod';
import { chosenId, printableName } from '../http/schemas.js';
import { sessionView } from '../sessions/session.view.js';
import { counts, INCLUDES, type Include } from './format.js';

const isInclude = (name: string): name is Include => (INCLUDES as readonly string[]).includes(name);

export const exportQuery = z.strictObject({
  include: z
    .string()
    .transform((list, ctx): Include[] => {
      const names = [...new Set(list.split(',').map((name) => name.trim()))];
      const stranger = names.find((name) => !isInclude(name));
      if (stranger !== undefined) ctx.addIssue(`names ${JSON.stringify(stranger)}; there are ${INCLUDES}`);
      return names.filter(isInclude);
    })
    .optional()
    .describe(`comma list of ${INCLUDES.join(', ')}; by default all that the key may read`)
    .meta({ example: 'messages,memory' }),
});
export type ExportQuery = z.output<typeof exportQuery>;

export const importQuery = z.strictObject({
  session_id: chosenId
    .optional()
    .describe('409 if it is taken; without it the session keeps its own, or gets a new one if that is taken'),
  user_id: printableName
    .optional()
    .describe('a service names the owner; by default it stays the one of the export'),
  title: z.string().min(1).max(500).optional(),
});
export type ImportQuery = z.output<typeof importQuery>;

export const importedView = z
  .strictObject({
    session: sessionView,
    counts: counts.meta({ description: 'records by their types', example: { session: 1, message: 2 } }),
  })
  .meta({ id: 'Imported' });
