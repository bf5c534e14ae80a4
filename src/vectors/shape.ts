import { z } from 'zod';
import type { Shape, VectorSpec } from './vector-store.js';

/** Vectors of one point. */
export const MAX_NAMES = 16;
const MAX_SIZE = 65_536;

export const distance = z.enum(['cosine', 'dot', 'euclid', 'manhattan']);

const spec = z.strictObject({ size: z.int().min(1).max(MAX_SIZE), distance: distance.default('cosine') });

/** Numbers of all vectors of one point. */
export const dimensionsOf = (shape: Shape): number =>
  Object.values(shape).reduce((sum, { size }) => sum + size, 0);

const named = z
  .record(
    z.string().regex(/^[A-Za-z0-9_.-]{1,64}$/, 'vectors are named by 1 to 64 of A-Z a-z 0-9 . _ -'),
    spec,
  )
  .refine((all) => Object.keys(all).length > 0 && Object.keys(all).length <= MAX_NAMES, {
    error: `name 1 to ${MAX_NAMES} vectors`,
  })
  .refine((all) => dimensionsOf(all) <= MAX_SIZE, {
    error: `have together at most ${MAX_SIZE} dimensions`,
  });

/** `{size, distance}` for points with one vector, or that by the name of each. */
export const vectors = z.union([spec, named]).meta({
  id: 'Vectors',
  description: '`{size, distance}`, or `{name: {size, distance}}`; `cosine` unless another distance is named',
  example: { size: 384, distance: 'cosine' },
});
export type Vectors = z.output<typeof vectors>;

const isSpec = (given: Vectors): given is VectorSpec => typeof given.size === 'number';

/** Names in their order, so that the same shape is the same text. */
export function shapeOf(given: Vectors): Shape {
  if (isSpec(given)) return { '': { size: given.size, distance: given.distance } };
  const names = Object.keys(given).sort();
  return Object.fromEntries(
    names.map((name) => [name, { size: given[name]!.size, distance: given[name]!.distance }]),
  );
}

export const showShape = (shape: Shape): Vectors => shape[''] ?? { ...shape };

export const isSameShape = (a: Shape, b: Shape): boolean => textOf(a) === textOf(b);

const textOf = (shape: Shape) => JSON.stringify(shapeOf(showShape(shape)));
