import { DomainError } from '../common/errors.js';
import { derivedId } from '../common/ids.js';
import { type PointId, showPointId } from '../vectors/point-id.js';
import type { Point, Shape } from '../vectors/vector-store.js';
import type { Collection } from './collection.entity.js';

/** Where points come from: a session by its id, and its collection. */
export interface Source {
  id: string;
  collection: Collection;
}

export const ON_CONFLICT = ['fail', 'keep_first', 'keep_last', 'remap'] as const;
export type OnConflict = (typeof ON_CONFLICT)[number];

/** What becomes of points whose ids may be taken where they go. */
export interface Placed {
  /** to be written */
  points: Point[];
  /** to be written under another id */
  homeless: Point[];
}

/**
 * Decides about points that go where others have come before. The same point again is no conflict, so a page that is
 * placed once more, because nobody knows whether it was written, finds itself and comes out the same.
 * @param taken what is there under ids of these points
 * @throws DomainError `point_conflict` under `fail`
 */
export function placed(
  sourceId: string,
  points: Point[],
  taken: Point[],
  onConflict: OnConflict,
  shape: Shape,
): Placed {
  const there = new Map(taken.map((point) => [point.id, point]));
  const result: Placed = { points: [], homeless: [] };
  for (const point of points) {
    const other = there.get(point.id);
    if (!other) result.points.push(point);
    else if (isSamePoint(point, other, shape) || onConflict === 'keep_first') continue;
    else if (onConflict === 'fail') throw conflict(point.id, sourceId);
    else if (onConflict === 'keep_last') result.points.push(point);
    else result.homeless.push(point);
  }
  return result;
}

/** The same source and id always make the same new one; of that another, should it be taken too. It says what it was called at first. */
export function remapped({ id, vectors, payload }: Point, sourceId: string, first: PointId): Point {
  const _origin = { session_id: sourceId, id: showPointId(first) };
  return { id: derivedId(sourceId, id), vectors, payload: { ...payload, _origin } };
}

/** Under cosine one store keeps a vector as it came, another of length one, and each in 32-bit floats. */
function isSamePoint(a: Point, b: Point, shape: Shape): boolean {
  const names = Object.keys(a.vectors);
  if (names.length !== Object.keys(b.vectors).length || !isSameJson(a.payload, b.payload)) return false;
  return names.every((name) => {
    const [one, other] = [a.vectors[name]!, b.vectors[name]];
    if (!other) return false;
    if (shape[name]!.distance === 'cosine') return isSameDirection(one, other);
    return one.every((value, at) => value === other[at]);
  });
}

/** Stores may differ in the last digit of a number. */
function isSameJson(a: unknown, b: unknown): boolean {
  if (typeof a === 'number' && typeof b === 'number')
    return a === b || Math.abs(a - b) <= 1e-14 * Math.abs(a);
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return a === b;
  if (Array.isArray(a) !== Array.isArray(b)) return false;
  const [one, other] = [a as Record<string, unknown>, b as Record<string, unknown>];
  const names = Object.keys(one);
  return (
    names.length === Object.keys(other).length &&
    names.every((name) => Object.hasOwn(other, name) && isSameJson(one[name], other[name]))
  );
}

const NEAR = 1e-6;

function isSameDirection(a: number[], b: number[]): boolean {
  const [one, other] = [lengthOf(a), lengthOf(b)];
  return a.every((value, at) => Math.abs(value / one - b[at]! / other) < NEAR);
}

const lengthOf = (vector: number[]) => Math.sqrt(vector.reduce((sum, value) => sum + value * value, 0));

const conflict = (id: PointId, sourceId: string) =>
  new DomainError(
    'conflict',
    'point_conflict',
    `The point ${id} of ${sourceId} is another one in a session before it.`,
    {
      extra: { point_id: showPointId(id), session_id: sourceId },
    },
  );
