import { z } from 'zod';
import { pointId } from './point-id.js';

/** Steps are names, `[]` and `[0]`; a name with other signs than letters, digits, `_` and `-` stands in quotes. */
const NAME = String.raw`(?:[\p{Alphabetic}\p{N}_\-]+|"[^"\\]*")`;
const PATH = new RegExp(`^${NAME}(?:\\.${NAME}|\\[\\d{0,15}\\])*$`, 'u');

/** A path in payloads. */
export const payloadKey = z
  .string()
  .max(1024)
  .regex(PATH, 'give a path such as a.b, list[].name, or "a.b" in quotes')
  .meta({ description: 'path in the payload: `a.b`, `list[].name`, `"a.b"` for a name with a dot' });
const integer = z.int();
const text = z.string().max(65_536);
/** A longer one would take too long to look for in long texts. */
const sought = z.string().max(256);
const oneKind = z.union([z.array(text).max(1000), z.array(integer).max(1000)]);

const match = z.union([
  z.strictObject({ value: z.union([z.string(), integer, z.boolean()]) }),
  z.strictObject({ any: oneKind }),
  z.strictObject({ except: oneKind }),
  z.strictObject({ text: sought }).describe('contains this text, as it is written'),
]);

const bounds = <T extends z.ZodType>(of: T) =>
  z
    .strictObject({ gt: of.optional(), gte: of.optional(), lt: of.optional(), lte: of.optional() })
    .refine((range) => Object.keys(range).length > 0, 'give gt, gte, lt or lte');

const time = z.iso
  .datetime({ offset: true })
  .regex(/:\d\d:\d\d/, 'give seconds')
  .or(z.iso.date());

const field = z
  .union([
    z.strictObject({ key: payloadKey, match }),
    z.strictObject({ key: payloadKey, range: z.union([bounds(z.number()), bounds(time)]) }),
    z.strictObject({ key: payloadKey, values_count: bounds(z.int().min(0)) }),
    z
      .strictObject({ is_empty: z.strictObject({ key: payloadKey }) })
      .describe('missing, null, or an empty list'),
    z.strictObject({ is_null: z.strictObject({ key: payloadKey }) }).describe('there, and null'),
    z.strictObject({ has_id: z.array(pointId).max(1000) }),
  ])
  .meta({ id: 'FieldCondition' });

export type FieldCondition = z.output<typeof field>;
export interface NestedCondition {
  nested: { key: string; filter: Filter };
}
export type Condition = FieldCondition | NestedCondition | Filter;

/** Qdrant's filter language, the part that every backend understands alike. */
export interface Filter {
  must?: Condition[];
  should?: Condition[];
  must_not?: Condition[];
}

const conditions = z.lazy((): z.ZodType<Condition[]> => {
  const one = z.union([field, nested, filter]) as z.ZodType<Condition>;
  return z
    .union([one.transform((condition) => [condition]), z.array(one).max(1000)])
    .meta({ id: 'Conditions', description: 'one condition or a list of them' });
});

const nested = z
  .strictObject({
    nested: z.strictObject({ key: payloadKey, filter: z.lazy((): z.ZodType<Filter> => filter) }),
  })
  .meta({ id: 'NestedCondition', description: 'an element of the list at `key` meets the whole filter' });

export const filter: z.ZodType<Filter> = z
  .strictObject({
    must: conditions.optional(),
    should: conditions.optional(),
    must_not: conditions.optional(),
  })
  .meta({ id: 'Filter', description: 'all of `must`, one of `should` if there are any, none of `must_not`' });
