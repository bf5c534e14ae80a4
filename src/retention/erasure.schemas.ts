import { z } from 'zod';
import { MOST_NAMED, type State } from './erasing.js';

const rows = z.int().min(0);

/** What an erasure tells when it has ended. */
export const receiptView = z
  .strictObject({
    deleted: z.strictObject({
      sessions: rows.meta({ description: 'the user’s own, in whatever state' }),
      messages: rows.meta({ description: 'in these' }),
      memory: rows.meta({
        description: 'entries of his own memory, and those he made in sessions of others',
      }),
      memberships: rows.meta({ description: 'of sessions that were shared with him' }),
      jobs: rows,
      policies: rows.meta({ description: 'of retention' }),
    }),
    redacted: z.strictObject({
      messages: rows.meta({ description: 'in sessions of others, copies among them' }),
    }),
    replaced: rows.meta({ description: 'rows of others that named him' }),
    held: z.strictObject({
      session_ids: z.array(z.string()).meta({ description: 'under legal hold: left as they are' }),
      is_more: z.boolean(),
    }),
    passes: rows.meta({ description: 'walks through everything; the last of them found nothing' }),
    remaining: rows.meta({ description: 'found by the last walk' }),
  })
  .meta({
    id: 'ErasureReceipt',
    example: {
      deleted: { sessions: 12, messages: 480, memory: 31, memberships: 3, jobs: 2, policies: 0 },
      redacted: { messages: 17 },
      replaced: 5,
      held: { session_ids: [], is_more: false },
      ...{ passes: 2, remaining: 0 },
    },
  });

export type Receipt = z.output<typeof receiptView>;

export function receiptOf({ counts, held, pass, found }: State): Receipt {
  const { redacted, replaced, ...deleted } = counts;
  return {
    ...{ deleted, redacted: { messages: redacted }, replaced },
    held: { session_ids: held, is_more: held.length === MOST_NAMED },
    ...{ passes: pass, remaining: found },
  };
}
