import { createHash } from 'node:crypto';
import type { Space } from '../../vector-store.js';
import { canonical } from './shapes.js';

/** What all spaces of an installation begin with; collections of the shared layout are named after it. */
export const prefixOf = (space: string): string => space.split('_', 1)[0]!;

/** The collection that holds all spaces of this shape. */
export function sharedCollection({ name, shape }: Space): string {
  const hash = createHash('sha256').update(canonical(shape)).digest('hex').slice(0, 12);
  return `${prefixOf(name)}-shared-${hash}`;
}
