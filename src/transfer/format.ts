import { z } from 'zod';
import { exactTime } from '../http/schemas.js';

/** What a first line says of itself; a reader that does not know the version refuses the rest. */
export const FORMAT = 'session-service/export';
export const VERSION = 1;

export const NDJSON = 'application/x-ndjson';

/** Bytes of a line: the largest record there may be, a session with all its documents, has less than three MiB. */
export const LINE_BYTES = 8 * 1024 * 1024;

/** Bytes of what stands before the records, and behind them. */
export const AROUND = 64 * 1024;

/** What an export may hold beside the session itself, in the order in which it is there. */
export const INCLUDES = ['checkpoints', 'messages', 'memory', 'points', 'stats'] as const;
export type Include = (typeof INCLUDES)[number];

const includes = z
  .array(z.enum(INCLUDES))
  .refine((list) => new Set(list).size === list.length, 'names something twice');

/** The first line. */
export const manifest = z.strictObject({
  format: z.literal(FORMAT),
  version: z.literal(VERSION),
  exported_at: exactTime,
  session_id: z.string().min(1).max(255),
  include: includes,
});
export type Manifest = z.output<typeof manifest>;

export const counts = z.record(z.string(), z.int().min(0));
export type Counts = z.output<typeof counts>;

const sha256 = z.string().regex(/^[0-9a-f]{64}$/, 'must be a SHA-256 in lower-case hexadecimal');

/** The last line. */
export const end = z.strictObject({ type: z.literal('end'), counts, sha256 });
export type End = z.output<typeof end>;

/** A line between: whoever knows its type says what else it has. */
export const typed = z.looseObject({ type: z.string() });
export type Typed = z.output<typeof typed>;

/** The same as one JSON document. */
export const exportDocument = z
  .strictObject({
    ...manifest.shape,
    records: z.array(typed).meta({ description: 'see docs/export-format.md' }),
    counts: counts.meta({ description: 'of the records, by their types' }),
    sha256: sha256.meta({ description: 'over the lines of the same export as NDJSON, but the last' }),
  })
  .meta({ id: 'Export' });
