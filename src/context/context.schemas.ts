import { z } from 'zod';
import { memoryView, toView as toMemoryView } from '../memory/memory.view.js';
import { messageView, toView as toMessageView } from '../messages/message.view.js';
import type { Context } from './context.js';
import type { Strategy } from './strategies.js';

const STRATEGY_NAMES = [
  'recent',
  'pinned',
  'summarize',
  'hierarchical',
] as const satisfies readonly Strategy[];

const tokens = (min: number) => z.int().min(min).max(2_000_000);

export const contextBody = z
  .strictObject({
    max_tokens: tokens(1).meta({ description: 'of the window, in o200k', example: 4000 }),
    strategy: z
      .enum(STRATEGY_NAMES)
      .default('recent')
      .meta({
        description:
          '`recent`: the newest messages that fit. `pinned`: before them system and developer messages and the first of the user. ' +
          '`summarize`: before them the stored summary. `hierarchical`: memory, summary, the newest messages, and passages found for `query`',
      }),
    reserve_tokens: tokens(0)
      .default(0)
      .meta({ description: 'of `max_tokens`, kept free for what is not asked for here' }),
    include_memory: z.boolean().optional().meta({
      description:
        'what is kept for the session and for the caller himself (for a service, for its owner), a quarter of the budget at most; on in `hierarchical`, else off. A key needs the scope memory:read for it',
    }),
    query: z
      .string()
      .min(1)
      .max(1000)
      .optional()
      .meta({ description: 'with `hierarchical`: passages are found for it' }),
    query_scope: z
      .enum(['session', 'user'])
      .default('session')
      .meta({ description: '`user`: in all sessions the caller may see' }),
  })
  .superRefine(({ query, strategy }, ctx) => {
    if (query !== undefined && strategy !== 'hierarchical')
      ctx.addIssue({ code: 'custom', path: ['query'], message: 'is for `hierarchical` only' });
  })
  .meta({ id: 'ContextRequest' });
export type AskContext = z.output<typeof contextBody>;

const why = z.enum(['budget', 'too_large', 'unanswered_call', 'redacted', 'covered_by_summary']);
const seq = z.int().min(1);

export const contextView = z
  .strictObject({
    messages: z.array(messageView).meta({ description: 'oldest first; a call and its results together' }),
    passages: z
      .array(z.strictObject({ session_id: z.string(), seq, message: messageView, score: z.number() }))
      .meta({ description: 'best first; none of them among `messages`' }),
    summary: z.strictObject({ text: z.string(), from_seq: seq, to_seq: seq }).nullable(),
    memory: z.array(memoryView).meta({ description: 'most important first' }),
    token_count: z
      .int()
      .min(0)
      .meta({ description: 'over all of the above, at most `max_tokens` − `reserve_tokens`' }),
    dropped: z.array(z.strictObject({ from_seq: seq, to_seq: seq, why })).meta({
      description: 'what of the history is not in `messages`, and why: both together are all of it',
    }),
    strategy: z.enum(STRATEGY_NAMES),
  })
  .meta({ id: 'Context' });

export function toView(
  { messages, passages, summary, memory, plan, tokenCount, strategy }: Context,
  sessionId: string,
) {
  return {
    messages: messages.map((row) => toMessageView(row, sessionId)),
    passages: passages.map(({ row, sessionId: id, score }) => ({
      ...{ session_id: id, seq: row.seq, message: toMessageView(row, id), score },
    })),
    summary: summary && { text: summary.text, from_seq: summary.from_seq, to_seq: summary.to_seq },
    memory: memory.map(toMemoryView),
    token_count: tokenCount,
    dropped: plan.dropped,
    strategy,
  };
}
