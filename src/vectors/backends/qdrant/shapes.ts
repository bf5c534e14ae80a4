import type { Schemas } from '@qdrant/js-client-rest';
import type { Distance, Shape, VectorSpec } from '../../vector-store.js';

type Vectors = NonNullable<Schemas['CreateCollection']['vectors']>;

const NAMES: Record<Distance, Schemas['Distance']> = {
  cosine: 'Cosine',
  dot: 'Dot',
  euclid: 'Euclid',
  manhattan: 'Manhattan',
};

/** The shape as Qdrant writes it; the one vector without a name stands without. */
export function toVectors(shape: Shape): Vectors {
  const named = Object.fromEntries(
    Object.entries(shape).map(([name, { size, distance }]) => [name, { size, distance: NAMES[distance] }]),
  );
  return named[''] ?? named;
}

export function toShape(vectors: unknown): Shape {
  const given = (vectors ?? {}) as Record<string, unknown>;
  const named = (typeof given.size === 'number' ? { '': given } : given) as Record<string, VectorSpec>;
  return Object.fromEntries(
    Object.entries(named).map(([name, { size, distance }]) => [
      name,
      { size, distance: distance.toLowerCase() as Distance },
    ]),
  );
}

/** The same text for the same shape, whatever the order of its members. */
export const canonical = (shape: Shape): string =>
  JSON.stringify(
    Object.keys(shape)
      .sort()
      .map((name) => [name, shape[name]!.size, shape[name]!.distance]),
  );
