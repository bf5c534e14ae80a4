import { isUnit } from '../../unit.js';
import type { Point, Shape } from '../../vector-store.js';

/**
 * The vector with length 1. Qdrant does this itself under cosine, in 32 bits: it takes short vectors as they are,
 * and long ones overflow, so that their scores are wrong.
 */
export function unit(vector: number[]): number[] {
  if (isUnit(vector)) return vector;
  const largest = vector.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  const scaled = vector.map((value) => value / largest);
  const length = Math.sqrt(scaled.reduce((sum, value) => sum + value * value, 0));
  return scaled.map((value) => value / length);
}

/** The points with their vectors as they are to be stored. */
export function normalized(points: Point[], shape: Shape): Point[] {
  const cosine = Object.keys(shape).filter((name) => shape[name]!.distance === 'cosine');
  if (cosine.length === 0) return points;
  return points.map((point) => ({
    ...point,
    vectors: Object.fromEntries(
      Object.entries(point.vectors).map(([name, vector]) => [
        name,
        cosine.includes(name) ? unit(vector) : vector,
      ]),
    ),
  }));
}
