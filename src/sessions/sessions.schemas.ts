import { z } from 'zod';
import { acceptOlderNames, OLDER_READ_ONLY } from '../http/older-names.js';
import {
  anyId,
  chosenId,
  flag,
  jsonObject,
  moment,
  offsetQuery,
  printableName,
  withReadOnly,
} from '../http/schemas.js';
import { CHECKPOINT_KIB } from './checkpoints.schemas.js';
import { STATUSES } from './lifecycle.js';

export const DOCUMENT_KIB = 256;

const document = jsonObject(DOCUMENT_KIB).nullable();
const type = z.string().min(1).max(255);

const settableStatus = z
  .enum(['active', 'paused', 'completed', 'crashed', 'archived'])
  .meta({ description: '`deleted` only by DELETE' });

const title = z
  .string()
  .max(500)
  .nullable()
  .meta({ description: 'made from the first user message unless given' });

/** What a member is that is not given, or that `null` takes away. */
export const DEFAULTS = {
  session_type: 'conversation',
  runtime_backend: 'unknown',
  auto_recover: false,
  legal_hold: false,
  tags: [],
  context: {},
  metadata: {},
  configuration: {},
  conversation_data: {},
  runtime_metadata: {},
} as const;

/** Tags of one session. */
export const MAX_TAGS = 50;

const tags = z
  .array(
    z
      .string()
      .trim()
      .min(1)
      .max(100)
      .regex(/^[^,]*$/, 'must have no comma: lists of tags are parted by it'),
  )
  .max(MAX_TAGS)
  .transform((tags) => [...new Set(tags)])
  .nullable();

/** What a session is about, as whoever makes one may say. */
export const describing = {
  title: title.optional(),
  description: z.string().max(10_000).nullable().optional(),
  tags: tags.optional(),
  metadata: document.optional(),
};

/** The members of a session a client may set; `null` is as good as none, and in an edit takes the value away. */
export const writableFields = {
  ...describing,
  session_type: type.nullable().optional().meta({ description: 'free text', example: 'conversation' }),
  status: settableStatus.optional(),
  context: document.optional(),
  configuration: document.optional(),
  conversation_data: document.optional(),
  checkpoint: jsonObject(CHECKPOINT_KIB).nullable().optional(),
  runtime_backend: z.enum(['local', 'kubernetes', 'unknown']).nullable().optional(),
  runtime_metadata: document.optional(),
  client_id: printableName.nullable().optional(),
  agent_id: printableName.nullable().optional(),
  timeout_minutes: z.int().min(1).nullable().optional().meta({
    description:
      'expires so long after its last activity; at most MAX_SESSION_TTL_MINUTES; null: the default',
  }),
  heartbeat_timeout_seconds: z.int().min(5).max(86_400).nullable().optional().meta({
    description: 'an active session silent for so long is crashed; null: never',
  }),
  auto_recover: z.boolean().nullable().optional().meta({
    description:
      'a session crashed by silence recovers by itself, at most 3 times without a heartbeat between',
  }),
  legal_hold: z.boolean().nullable().optional().meta({ description: 'set by services only' }),
};

/** The members that are answered, and refused in a body. */
const READ_ONLY = [
  ...[
    'is_active',
    'message_count',
    'total_tokens',
    'total_cost',
    'session_summary',
    'collection',
    'expires_at',
  ],
  ...[
    'lineage',
    'version',
    'created_at',
    'updated_at',
    'last_activity_at',
    'archived_at',
    'deleted_at',
    'deleted_reason',
  ],
  ...OLDER_READ_ONLY,
];

export const createSessionBody = withReadOnly(
  acceptOlderNames({
    session_id: chosenId.optional(),
    user_id: printableName.nullable().optional().meta({
      description: 'a service names the owner; for a user it is himself',
    }),
    if_exists: z
      .enum(['error', 'return'])
      .default('error')
      .meta({ description: 'what a taken `session_id` of one’s own answers' }),
    ...writableFields,
  }).meta({ id: 'NewSession' }),
  READ_ONLY,
);
export type CreateSession = z.output<typeof createSessionBody>;

/** PUT and PATCH: what is named is set; the JSON documents are replaced by PUT and merged into by PATCH. */
export const editSessionBody = withReadOnly(acceptOlderNames(writableFields).meta({ id: 'SessionEdit' }), [
  ...READ_ONLY,
  ...['session_id', 'id', 'user_id', 'owner_id'],
]);
export type EditSession = z.output<typeof editSessionBody>;

export const resumeSessionBody = acceptOlderNames({
  client_id: printableName.optional(),
  agent_id: printableName.optional(),
  session_type: type.optional(),
  user_id: printableName.optional(),
  create: z.boolean().default(false).meta({ description: 'make one when none matches' }),
}).meta({ id: 'SessionMatch' });
export type ResumeSession = z.output<typeof resumeSessionBody>;

export const ORDERS = ['last_activity_at', 'created_at', 'updated_at', 'title'] as const;
const order = z.enum([...ORDERS, ...ORDERS.map((column) => `-${column}` as const)]);

const repeatable = <T extends z.ZodType>(item: T) =>
  z.preprocess(
    (value) => (value === undefined || Array.isArray(value) ? value : [value]),
    z.array(item).max(20).optional(),
  );

const filters = {
  status: repeatable(z.enum(STATUSES)).describe('repeatable'),
  agent_id: printableName.optional(),
  client_id: printableName.optional(),
  session_type: type.optional(),
  runtime_backend: z.enum(['local', 'kubernetes', 'unknown']).optional(),
  tags: z
    .string()
    .max(5_100)
    .refine((list) => list.split(',').some((tag) => tag.trim() !== ''), 'must name a tag')
    .optional()
    .describe('comma list'),
  tag_mode: z.enum(['any', 'all']).default('any'),
  created_after: moment.optional(),
  created_before: moment.optional(),
  active_after: moment.optional(),
  active_before: moment.optional(),
  q: z.string().min(1).max(200).optional().describe('in title and description'),
  metadata: z.record(z.string(), z.string().max(1000)).optional().meta({
    description: '`metadata.<key>=<value>`: a top-level member that is this text, number or boolean',
  }),
  shared_with_me: flag.default(false).describe('sessions of others shared with the user, instead of his own'),
  include_deleted: flag.default(false),
  order: order.default('-last_activity_at'),
  ...offsetQuery(50, 200),
};

/** Gathers `metadata.<key>` members, whose names are not known beforehand. */
function gatherMetadata(query: unknown): unknown {
  const entries = Object.entries((query ?? {}) as Record<string, unknown>);
  const isFilter = (name: string) => name.startsWith('metadata.') && name !== 'metadata.__proto__';
  const named = entries.filter(([name]) => isFilter(name));
  const rest = entries.filter(([name]) => !isFilter(name));
  if (named.length === 0) return query;
  return {
    ...Object.fromEntries(rest),
    metadata: Object.fromEntries(named.map(([name, value]) => [name.slice(9), value])),
  };
}

export const userSessionsQuery = z.preprocess(gatherMetadata, z.strictObject(filters));
export const sessionsQuery = z.preprocess(
  gatherMetadata,
  acceptOlderNames({ user_id: printableName.optional(), ...filters }),
);
export type SessionsQuery = z.output<typeof sessionsQuery>;

export const deleteSessionQuery = z.strictObject({
  permanent: flag.default(false).describe('for good: not restorable'),
});
export const sessionId = anyId;
export const userId = printableName;
