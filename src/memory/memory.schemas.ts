import { z } from 'zod';
import { isPrintableName } from '../common/ids.js';
import { flag, jsonObject, pageQuery, withReadOnly } from '../http/schemas.js';

export const VALUE_KIB = 256;
export const METADATA_KIB = 64;

/** What an entry is that does not say. */
export const DEFAULTS = { memory_type: 'fact', importance: 0.5 } as const;

/** A key the client chooses. */
export const memoryKey = z
  .string()
  .refine(
    (key) => isPrintableName(key) && !key.startsWith('mem_') && key !== '.' && key !== '..',
    '1 to 255 printable characters, no space at either end; not ".", "..", nor beginning with mem_',
  )
  .meta({ minLength: 1, maxLength: 255, example: 'allergies' });

/** A key, or the `memory_id` of an entry without one; what cannot exist is simply not found. */
export const keyOrId = z.string().meta({ description: 'its key, or its `memory_id`', example: 'allergies' });

const value = z.unknown().meta({ description: `any JSON, at most ${VALUE_KIB} KiB` });
export const memoryType = z.string().min(1).max(255);
export const importance = z.number().min(0).max(1);
const ttl = z.int().min(1).max(315_360_000);

const fields = {
  memory_type: memoryType
    .nullable()
    .optional()
    .meta({ description: `free text, \`${DEFAULTS.memory_type}\` by default` }),
  metadata: jsonObject(METADATA_KIB).nullable().optional(),
  importance: importance
    .nullable()
    .optional()
    .meta({ description: `from 0 to 1, ${DEFAULTS.importance} by default` }),
  ttl_seconds: ttl.nullable().optional().meta({ description: 'gone so long after now; none or null: kept' }),
};

const READ_ONLY = [
  ...['memory_id', 'scope', 'user_id', 'session_id', 'key', 'content', 'version', 'expires_at'],
  ...['created_by', 'created_at', 'updated_at'],
];

/** PUT: the entry whole. */
export const saveMemoryBody = withReadOnly(
  z
    .strictObject({ value, ...fields })
    .superRefine((body, ctx) => {
      if (body.value === undefined) ctx.addIssue({ code: 'custom', path: ['value'], message: 'is required' });
    })
    .meta({ id: 'MemoryToSave' }),
  READ_ONLY,
);
export type SaveMemory = z.output<typeof saveMemoryBody>;

/** PATCH: merges into `value` and `metadata`. */
export const patchMemoryBody = withReadOnly(
  z.strictObject({ value: value.optional(), ...fields }).meta({ id: 'MemoryEdit' }),
  READ_ONLY,
);
export type PatchMemory = z.output<typeof patchMemoryBody>;

/** POST: a typed entry without a key. */
export const addMemoryBody = withReadOnly(
  z
    .strictObject({ ...fields, memory_type: memoryType, content: z.string().min(1) })
    .meta({ id: 'NewMemory' }),
  READ_ONLY.filter((name) => name !== 'content'),
);
export type AddMemory = z.output<typeof addMemoryBody>;

const filters = {
  memory_type: memoryType.optional(),
  prefix: z.string().min(1).max(255).optional().describe('of the key'),
  view: z
    .enum(['list', 'map'])
    .default('list')
    .describe('`map`: `{memories: {key: value}}`, entries with a key only'),
  ...pageQuery(50, 200),
};
const include = z
  .enum(['user'])
  .optional()
  .describe(
    '`user`: what is kept for the caller himself too (for a service, for the owner); the session’s own goes first',
  );

export const listUserMemory = z.strictObject(filters);
export const listSessionMemory = z.strictObject({ ...filters, include });
export type ListMemory = z.output<typeof listSessionMemory>;

export const getUserMemory = z.strictObject({});
export const getSessionMemory = z.strictObject({ include });
export type GetMemory = z.output<typeof getSessionMemory>;

export const clearUserMemory = z.strictObject({
  include_sessions: flag.default(false).describe('the entries of the sessions he owns too'),
});
export const clearSessionMemory = z.strictObject({});
export type ClearMemory = { include_sessions?: boolean };

export const historyQuery = z.strictObject(pageQuery(50, 200));
export type HistoryQuery = z.output<typeof historyQuery>;
