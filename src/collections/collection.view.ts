import type { SessionCollection } from '../sessions/session-collection.js';
import { showShape } from '../vectors/shape.js';
import type { Collection } from './collection.entity.js';

/** A collection as it is read. */
export type CollectionRow = Collection;

/** A collection, and how many points it holds; null: the store does not say at the moment. */
export interface Counted {
  collection: Collection;
  points: number | null;
}

/** A collection as its session tells of it. */
export const toView = ({
  name,
  backend,
  shape,
  state,
  error,
  direct_writes,
}: Collection): SessionCollection => ({
  ...{ name, backend, direct_writes },
  vectors: showShape(shape),
  status: state === 'ready' ? 'ready' : error === null ? 'pending' : 'error',
});

export const toCollectionView = ({ collection, points }: Counted) => ({
  ...toView(collection),
  payload_indexes: collection.payload_indexes,
  points_count: points,
  error: collection.error,
});
