import { z } from 'zod';
import { integer, jsonObject } from '../http/schemas.js';
import { filter } from '../vectors/filter.js';
import { parsePointId, pointId, showPointId } from '../vectors/point-id.js';
import type { Found, Hit, Point, Selection } from '../vectors/vector-store.js';

const [MOST_POINTS, MOST_DIMENSIONS, PAYLOAD_KIB] = [1000, 65_536, 64];

export const isNumbers = (given: unknown): given is number[] =>
  Array.isArray(given) && given.length <= MOST_DIMENSIONS && given.every((n) => typeof n === 'number');

const numbers = z
  .custom<number[]>(isNumbers, 'must be a list of numbers')
  .meta({ type: 'array', items: { type: 'number' }, maxItems: MOST_DIMENSIONS });

const vector = z
  .union([
    numbers,
    z.record(z.string(), numbers).refine((named) => Object.keys(named).length > 0, 'is empty'),
  ])
  .meta({ description: 'numbers, or those of each named vector', example: [0.12, -0.5, 0.33, 0.8] });
type Vector = z.output<typeof vector>;

const distinct = (ids: string[]) => new Set(ids).size === ids.length;

export const upsertPointsBody = z
  .strictObject({
    points: z
      .array(z.strictObject({ id: pointId, vector, payload: jsonObject(PAYLOAD_KIB).nullable().optional() }))
      .min(1)
      .max(MOST_POINTS)
      .refine((points) => distinct(points.map(({ id }) => id)), 'ids must be distinct'),
  })
  .meta({ id: 'PointsToPut' });
export type UpsertPoints = z.output<typeof upsertPointsBody>;

const what = {
  with_payload: z.boolean().default(true),
  with_vector: z.boolean().default(false),
};

export const queryPointsBody = z
  .strictObject({
    vector: numbers,
    using: z.string().max(64).default('').meta({ description: 'which of the named vectors' }),
    filter: filter.optional(),
    limit: integer(1, MOST_POINTS).default(10).meta({ type: 'integer', minimum: 1, maximum: MOST_POINTS }),
    score_threshold: z
      .number()
      .optional()
      .meta({ description: 'at least so near: cosine and dot from it upwards, euclid and manhattan down' }),
    ...what,
  })
  .meta({ id: 'PointsQuery' });
export type QueryPoints = z.output<typeof queryPointsBody>;

export const scrollPointsBody = z
  .strictObject({
    filter: filter.optional(),
    limit: integer(1, Number.MAX_SAFE_INTEGER)
      .default(100)
      .transform((n) => Math.min(n, MOST_POINTS))
      .meta({ type: 'integer', description: `at most ${MOST_POINTS} (more is clamped and echoed)` }),
    cursor: z.string().max(4096).optional(),
    ...what,
  })
  .meta({ id: 'PointsScroll' });
export type ScrollPoints = z.output<typeof scrollPointsBody>;

export const deletePointsBody = z
  .union([
    z.strictObject({
      ids: z.array(pointId).min(1).max(MOST_POINTS).refine(distinct, 'ids must be distinct'),
    }),
    z.strictObject({ filter }),
  ])
  .meta({ id: 'PointsSelection' });
export type DeletePoints = Selection;

/** An id in a path: one that cannot exist is simply not found. */
export const anyPointId = z
  .string()
  .transform((text) => parsePointId(text))
  .meta({ description: 'an integer, or a UUID', example: '7' });

const shownId = z
  .union([z.int().min(0), z.string()])
  .meta({ description: 'a number; a UUID, or an integer beyond 2^53−1, as text', example: 7 });

const found = {
  id: shownId,
  payload: z.record(z.string(), z.unknown()).optional().meta({ description: 'unless not asked for' }),
  vector: z
    .union([z.array(z.number()), z.record(z.string(), z.array(z.number()))])
    .optional()
    .meta({ description: 'when asked for; 32-bit floats, under cosine maybe normalised' }),
};

export const upsertedView = z.strictObject({ upserted: z.int().min(1) }).meta({ id: 'PointsUpserted' });
export const deletedView = z.strictObject({ deleted: z.int().min(0) }).meta({ id: 'PointsDeleted' });
export const pointView = z.strictObject(found).meta({ id: 'Point' });
export const hitsView = z
  .strictObject({ points: z.array(z.strictObject({ ...found, score: z.number() })) })
  .meta({ id: 'PointHits' });
export const pointsPage = z
  .strictObject({
    points: z.array(pointView),
    limit: z.int(),
    next_cursor: z.string().nullable().meta({ description: 'null at the end' }),
    has_more: z.boolean(),
  })
  .meta({ id: 'PointsPage' });

/** A vector without a name has the name `''` inside. */
const named = (given: Vector) => (Array.isArray(given) ? { '': given } : given);

export const toPoints = ({ points }: UpsertPoints): Point[] =>
  points.map(({ id, vector: given, payload }) => ({ id, vectors: named(given), payload: payload ?? {} }));

export const toPointView = ({ id, payload, vectors }: Found) => ({
  id: showPointId(id),
  ...(payload && { payload }),
  ...(vectors && { vector: vectors[''] ?? vectors }),
});

export const toHitView = (hit: Hit) => ({ ...toPointView(hit), score: hit.score });
