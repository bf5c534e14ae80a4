import { z } from 'zod';
import { anyId, moment, printableName } from '../http/schemas.js';
import { memoryView, toView as toMemoryView } from '../memory/memory.view.js';
import { messageRole, messageView, toView as toMessageView } from '../messages/message.view.js';
import type { MemoryHit, MessageHit } from './hits.js';

const MOST = 100;

const shared = {
  query: z.string().min(1).max(1000).meta({
    description: 'words, "a phrase", or, -not; where nothing has them, words nearly like them',
    example: 'invoice -draft',
  }),
  mode: z.enum(['lexical', 'semantic', 'hybrid']).default('hybrid').meta({
    description:
      'the answer says which ran; without EMBEDDINGS_URL `hybrid` is lexical and `semantic` is refused; while it is down, or the query has `-not` or a phrase, `hybrid` is lexical. A service searches by meaning for a user or in a session that it names',
  }),
  limit: z
    .int()
    .min(1)
    .default(20)
    .transform((n) => Math.min(n, MOST))
    .meta({ description: `hits to answer, 20 by default, at most ${MOST} (more is clamped)` }),
};

export const searchMessagesBody = z
  .strictObject({
    ...shared,
    session_id: anyId
      .optional()
      .meta({ description: 'only in this session; default: wherever the caller may see' }),
    role: messageRole.optional(),
    created_after: moment.optional(),
    created_before: moment.optional(),
    neighbours: z.int().min(0).max(5).default(0).meta({ description: 'messages before and after each hit' }),
  })
  .meta({ id: 'MessageSearch' });
export type SearchMessages = z.output<typeof searchMessagesBody>;

export const searchMemoryBody = z
  .strictObject({
    ...shared,
    user_id: printableName
      .optional()
      .meta({ description: 'what is kept for this user; a user names himself only' }),
    session_id: anyId.optional().meta({ description: 'what is kept for this session' }),
    include_user: z.boolean().default(false).meta({
      description: 'with `session_id`: what is kept for the caller too (for a service, for the owner)',
    }),
    memory_type: z.string().min(1).max(255).optional(),
    min_score: z.number().min(0).optional(),
  })
  .meta({ id: 'MemorySearch' });
export type SearchMemory = z.output<typeof searchMemoryBody>;

const found = {
  score: z.number().meta({ description: 'compares within one answer' }),
  highlight: z.string().meta({
    description: 'HTML-escaped, with `<mark>` around what was found',
    example: 'Why does my <mark>invoice</mark> show two items?',
  }),
};
const mode = z.enum(['lexical', 'semantic', 'hybrid']).meta({ description: 'what ran' });

export const messageHits = z
  .strictObject({
    hits: z.array(
      z.strictObject({
        message: messageView,
        session_id: z.string(),
        ...found,
        before: z.array(messageView).meta({ description: 'neighbours, oldest first' }),
        after: z.array(messageView),
      }),
    ),
    mode,
  })
  .meta({ id: 'MessageHits' });

export const memoryHits = z
  .strictObject({ hits: z.array(z.strictObject({ entry: memoryView, ...found })), mode })
  .meta({ id: 'MemoryHits' });

export const toMessageHit = ({ row, sessionId, score, highlight, before, after }: MessageHit) => ({
  message: toMessageView(row, sessionId),
  session_id: sessionId,
  ...{ score, highlight },
  before: before.map((neighbour) => toMessageView(neighbour, sessionId)),
  after: after.map((neighbour) => toMessageView(neighbour, sessionId)),
});

export const toMemoryHit = ({ row, score, highlight }: MemoryHit) => ({
  entry: toMemoryView(row),
  ...{ score, highlight },
});
