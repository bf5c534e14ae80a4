import { isDeepStrictEqual } from 'node:util';
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

/** What of a page goes where several sources come together. */
export interface Placed {
  points: Point[];
  /** how many of them were not there from an earlier source */
  added: number;
  /** how many got another id */
  remapped: number;
}

/**
 * Decides about the points of a page whose ids earlier sources have used. The same point again is no conflict. The
 * answer depends on the sources alone, so that a page that is written twice comes out the same.
 * @param taken the points of earlier sources with ids of this page
 * @throws DomainError `point_conflict` under `fail`
 */
export function placed(
  { id: sourceId }: Pick<Source, 'id'>,
  page: Point[],
  taken: Point[],
  onConflict: OnConflict,
  shape: Shape,
): Placed {
  const before = new Map(taken.map((point) => [point.id, point]));
  const result: Placed = { points: [], added: 0, remapped: 0 };
  for (const point of page) {
    const other = before.get(point.id);
    if (!other) {
      result.points.push(point);
      result.added++;
    } else if (isSamePoint(point, other, shape) || onConflict === 'keep_first') {
    } else if (onConflict === 'fail') {
      throw conflict(point.id, sourceId);
    } else if (onConflict === 'keep_last') {
      result.points.push(point);
    } else {
      result.points.push(remapped(point, sourceId));
      result.added++;
      result.remapped++;
    }
  }
  return result;
}

/** The same source and id always make the same new one. */
function remapped({ id, vectors, payload }: Point, sourceId: string): Point {
  const _origin = { session_id: sourceId, id: showPointId(id) };
  return { id: derivedId(sourceId, id), vectors, payload: { ...payload, _origin } };
}

/** Under cosine one store keeps a vector as it came, another of length one, and each in 32-bit floats. */
function isSamePoint(a: Point, b: Point, shape: Shape): boolean {
  const names = Object.keys(a.vectors);
  if (names.length !== Object.keys(b.vectors).length || !isDeepStrictEqual(a.payload, b.payload))
    return false;
  return names.every((name) => {
    const [one, other] = [a.vectors[name]!, b.vectors[name]];
    if (!other) return false;
    if (shape[name]!.distance === 'cosine') return isSameDirection(one, other);
    return one.every((value, at) => value === other[at]);
  });
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
