import type { PointId } from '../../point-id.js';
import type { PayloadIndexes, Point, ScanRequest, Shape, Space } from '../../vector-store.js';
import type { StoredPoint } from './calls.js';
import type { StoredId } from './exact-json.js';
import type { Naming, StoredFilter } from './filters.js';

/** How the points of one space stand in Qdrant. */
export interface Place extends Naming {
  readonly collection: string;
  id(id: PointId): StoredId;
  key(key: string): string;
  /** keeps a filter to the space */
  within(filter: StoredFilter): StoredFilter;
  toPayload(point: Point): object;
  /** what of the payload to bring along: without it the id itself may be missing */
  payloadFor(isWanted: boolean): boolean | string[];
  /** id and payload as they were given */
  read(stored: StoredPoint): Pick<Point, 'id' | 'payload'>;
}

/** How spaces are laid out over Qdrant's collections. */
export interface Layout {
  readonly directWrites: boolean;
  place(space: Space): Place;
  ensure(space: Space, indexes: PayloadIndexes): Promise<void>;
  drop(name: string): Promise<void>;
  describe(space: Space): Promise<Shape | null>;
  list(prefix: string): AsyncIterable<string>;
  /** @throws DomainError `no_collection`; a space that Qdrant itself misses need not be found out here */
  confirm(space: Space): Promise<void>;
  /** The next page of stored points in the order of the ids, and whether there are more. */
  page(space: Space, request: ScanRequest): Promise<{ points: StoredPoint[]; hasMore: boolean }>;
}
