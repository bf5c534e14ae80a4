import { z } from 'zod';
import { pointId } from './point-id.js';

const key = z
  .string()
  .min(1)
  .max(1024)
  .meta({ description: 'path in the payload: `a.b`, `list[].name`, `"a.b"` for a name with a dot' });
const integer = z.int();
const text = z.string().max(65_536);
const oneKind = z.union([z.array(text).max(1000), z.array(integer).max(1000)]);

const match = z.union([
  z.strictObject({ value: z.union([z.string(), integer, z.boolean()]) }),
  z.strictObject({ any: oneKind }),
  z.strictObject({ except: oneKind }),
  z.strictObject({ text }).describe('contains this text, as it is written'),
]);

const bounds = <T extends z.ZodType>(of: T) =>
  z
    .strictObject({ gt: of.optional(), gte: of.optional(), lt: of.optional(), lte: of.optional() })
    .refine((range) => Object.keys(range).length > 0, 'give gt, gte, lt or lte');

const time = z.iso.datetime({ offset: true }).or(z.iso.date());

const field = z.union([
  z.strictObject({ key, match }),
  z.strictObject({ key, range: z.union([bounds(z.number()), bounds(time)]) }),
  z.strictObject({ key, values_count: bounds(z.int().min(0)) }),
  z.strictObject({ is_empty: z.strictObject({ key }) }).describe('missing, null, or an empty list'),
  z.strictObject({ is_null: z.strictObject({ key }) }).describe('there, and null'),
  z.strictObject({ has_id: z.array(pointId).max(1000) }),
]);

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
    .meta({ description: 'one condition or a list of them' });
});

const nested = z.strictObject({
  nested: z.strictObject({ key, filter: z.lazy((): z.ZodType<Filter> => filter) }),
});

export const filter: z.ZodType<Filter> = z
  .strictObject({
    must: conditions.optional(),
    should: conditions.optional(),
    must_not: conditions.optional(),
  })
  .meta({ id: 'Filter', description: 'all of `must`, one of `should` if there are any, none of `must_not`' });
