import { invalidPoint } from './errors.js';
import type { Point, QueryRequest, Shape, VectorSpec } from './vector-store.js';

/**
 * @throws DomainError `invalid_point` for the first point that the space cannot hold, with a JSON Pointer to it
 */
export function checkPoints(shape: Shape, points: Point[]): void {
  points.forEach((point, at) => {
    const names = Object.keys(point.vectors);
    if (names.length === 0) throw invalidPoint(`/points/${at}/vector`, 'a point has at least one vector');
    for (const name of names) checkVector(shape, name, point.vectors[name]!, `/points/${at}/vector`);
  });
}

/** @throws DomainError `invalid_point` for a vector that nothing in the space can be compared with */
export function checkQuery(shape: Shape, { using, vector }: QueryRequest): void {
  if (!Object.hasOwn(shape, using)) throw invalidPoint('/using', unknownName(shape, using));
  checkVector(shape, using, vector, '/vector');
}

function checkVector(shape: Shape, name: string, vector: number[], at: string): void {
  const pointer = name === '' ? at : `${at}/${name}`;
  if (!Object.hasOwn(shape, name)) throw invalidPoint(pointer, unknownName(shape, name));
  const fault = faultOf(vector, shape[name]!);
  if (fault) throw invalidPoint(pointer, fault);
}

const unknownName = (shape: Shape, name: string) =>
  `the collection has no vector ${JSON.stringify(name)}, it has ${JSON.stringify(Object.keys(shape))}`;

/** Stores keep 32-bit floats: what is too large for one, or too small to be told from zero, counts as such. */
function faultOf(vector: number[], { size, distance }: VectorSpec): string | null {
  if (vector.length !== size) return `has ${vector.length} dimensions, the collection ${size}`;
  if (!vector.every((value) => Number.isFinite(Math.fround(value)))) return 'a number is out of range';
  if (distance === 'cosine' && vector.every((value) => Math.fround(value) === 0))
    return 'is zero, which has no direction to compare';
  return null;
}
