import { z } from 'zod';
import { CHOSEN_ID, canonicalId, isPrintableName, RESERVED_IDS } from '../common/ids.js';
import type { JsonObject } from '../common/json.js';

const readOnly = new WeakMap<z.ZodType, ReadonlySet<string>>();

/** Marks the members of a resource that a body must not set: naming one is answered `read_only`. */
export function withReadOnly<T extends z.ZodType>(schema: T, members: Iterable<string>): T {
  readOnly.set(schema, new Set(members));
  return schema;
}

export const readOnlyMembers = (schema: z.ZodType): ReadonlySet<string> => readOnly.get(schema) ?? new Set();

/** An id the client chooses; a canonical UUID is lower-cased. */
export const chosenId = z
  .string()
  .regex(CHOSEN_ID, '1 to 255 of A-Z a-z 0-9 . _ : @ + ~ -')
  .superRefine((id, ctx) => {
    if (RESERVED_IDS.has(id))
      ctx.addIssue({ code: 'custom', message: 'is reserved', params: { code: 'reserved_id' } });
  })
  .transform(canonicalId)
  .meta({ description: 'chosen by the client; a canonical UUID is lower-cased', example: 'support-4711' });

/** An id in a path or a filter: one that cannot exist is simply not found. */
export const anyId = z.string().transform(canonicalId).meta({ example: 'support-4711' });

export const printableName = z
  .string()
  .refine(isPrintableName, '1 to 255 printable characters, no space at either end')
  .meta({ minLength: 1, maxLength: 255, example: 'alice' });

/** A JSON object of at most so many KiB; one too large is answered 413. */
export const jsonObject = (maxKiB: number) =>
  z
    .custom<JsonObject>(isObject, 'must be a JSON object')
    .meta({ type: 'object', additionalProperties: true, description: `at most ${maxKiB} KiB as JSON` });

/**
 * A list of JSON objects that keep their members as they come, in their order, each with this text among them. Only
 * the first fault is told: to work out a million of them would cost more than the request is worth.
 */
export const objectsNaming = <Member extends string>(member: Member, maxLength: number, maxItems: number) =>
  z
    .custom<Record<Member, string>[]>(Array.isArray, 'must be a list')
    .superRefine((list, ctx) => {
      // not to be continued: what looks at the whole body next may trust the list
      const fault = (path: PropertyKey[], message: string) =>
        ctx.addIssue({ code: 'custom', path, message, continue: false });
      if (list.length > maxItems) return fault([], `must have at most ${maxItems} items`);
      const index = list.findIndex((item) => !isObject(item) || !isText(item[member], maxLength));
      if (index < 0) return;
      if (isObject(list[index])) fault([index, member], `must be a text of 1 to ${maxLength} characters`);
      else fault([index], 'must be an object');
    })
    .meta({
      type: 'array',
      maxItems,
      items: {
        type: 'object',
        properties: { [member]: { type: 'string', minLength: 1, maxLength } },
        required: [member],
        additionalProperties: true,
      },
    });

const isObject = (value: unknown) => typeof value === 'object' && value !== null && !Array.isArray(value);

const isText = (value: unknown, maxLength: number) =>
  typeof value === 'string' && value.length >= 1 && value.length <= maxLength;

/** RFC 3339 UTC with milliseconds. */
export const timestamp = z.iso.datetime().meta({ example: '2026-01-31T12:00:00.000Z' });

/** How far clocks may differ, in milliseconds. */
const SKEW = 5 * 60_000;

const isExact = (text: string) => {
  const time = Date.parse(text);
  return time >= 0 && new Date(time).toISOString() === text;
};

/** A time as it is answered, in a record that is brought back: as text, and such texts compare as their times do. */
export const exactTime = z
  .string()
  .refine(isExact, 'must be an RFC 3339 time in UTC with milliseconds')
  .meta({ example: '2026-01-31T12:00:00.000Z' });

/** …of something that has happened. */
export const pastTime = exactTime.refine(
  (text) => Date.parse(text) <= Date.now() + SKEW,
  'must not lie in the future',
);

export const integer = (min: number, max: number) => z.preprocess(wholeNumber, z.int().min(min).max(max));

/** Numbers in a query are plain decimal digits. */
const wholeNumber = (value: unknown) =>
  typeof value === 'string' && /^-?\d{1,15}$/.test(value) ? Number(value) : value;

export const flag = z.preprocess(
  (value) => (value === 'true' ? true : value === 'false' ? false : value),
  z.boolean({ error: 'must be true or false' }),
);

/** A moment in a query: RFC 3339 with any offset. */
export const moment = z.iso
  .datetime({ offset: true, error: 'must be an RFC 3339 time' })
  .transform((text, ctx) => {
    const time = new Date(text);
    if (Number.isNaN(time.getTime())) ctx.addIssue('must be an RFC 3339 time');
    return time;
  });

/** Members that every list takes. */
export const pageQuery = (defaultLimit: number, maxLimit: number) => ({
  limit: clamped(maxLimit)
    .optional()
    .describe(`rows to answer, ${defaultLimit} by default, at most ${maxLimit} (more is clamped and echoed)`),
  cursor: z
    .string()
    .max(4096)
    .optional()
    .describe('`next_cursor` of the page before, with the same order and filters'),
});

/** …and those of sessions and messages, which can also be walked by offset or by page. */
export const offsetQuery = (defaultLimit: number, maxLimit: number) => ({
  ...pageQuery(defaultLimit, maxLimit),
  offset: integer(0, 1_000_000_000).optional().describe('rows to pass over; the answer then carries `total`'),
  page: integer(1, 1_000_000_000)
    .optional()
    .describe('from 1, in pages of `page_size`; the answer then carries `total`'),
  page_size: clamped(maxLimit).optional().describe('the same as `limit`, echoed'),
  include_total: flag.optional().describe('count what matches, up to 10,000'),
});

const clamped = (max: number) => integer(1, Number.MAX_SAFE_INTEGER).transform((n) => Math.min(n, max));
