import { derivedId } from '../../../common/ids.js';
import type { JsonObject } from '../../../common/json.js';
import { noSpace } from '../../errors.js';
import type { PayloadIndexes, Point, ScanRequest, Shape, Space } from '../../vector-store.js';
import type { FieldSchema, QdrantCalls } from './calls.js';
import type { StoredFilter } from './filters.js';
import type { Layout, Place } from './layout.js';
import { sharedCollection } from './names.js';
import { ORDER_KEYS, orderedPage, orderKeys } from './order.js';
import { SpaceList } from './space-list.js';

/** Every search is within a space, so links are made between points of one space only. */
const MANY_SPACES = { hnsw_config: { m: 0, payload_m: 16 } };

const OWN_INDEXES: Record<string, FieldSchema> = {
  space: { type: 'keyword', is_tenant: true },
  ...Object.fromEntries(ORDER_KEYS.map((key) => [key, 'integer' as const])),
};

/**
 * All spaces of one shape in one collection, told apart by the payload member `space`. What users call payload
 * stands in `payload`, so that neither their names nor their filters ever reach what stands beside it.
 */
export class SharedLayout implements Layout {
  readonly directWrites = false;
  private readonly spaces: SpaceList;

  constructor(private readonly calls: QdrantCalls) {
    this.spaces = new SpaceList(calls);
  }

  place(space: Space): Place {
    return {
      collection: sharedCollection(space),
      id: (id) => derivedId(space.name, id),
      key,
      within: (filter) => within(space.name, filter),
      toPayload: ({ id, payload }) => ({ space: space.name, id, ...orderKeys(id), payload }),
      payloadFor: (isWanted) => isWanted || ['id'],
      read: ({ payload }) => payload as Pick<Point, 'id'> & { payload: JsonObject },
    };
  }

  /** The list comes last: what is on it has a collection with all indexes. */
  async ensure(space: Space, indexes: PayloadIndexes): Promise<void> {
    const isKnown = await this.spaces.check(space);
    await this.calls.prepareCollection(sharedCollection(space), space.shape, MANY_SPACES, {
      ...OWN_INDEXES,
      ...Object.fromEntries(Object.entries(indexes).map(([name, kind]) => [key(name), kind])),
    });
    if (!isKnown) await this.spaces.add(space);
  }

  /**
   * As long as a space is on the list, dropping can be done again. What was written while it was still there is removed after
   * that; whoever writes later finds it gone, and removes what he wrote.
   */
  async drop(name: string): Promise<void> {
    const shape = await this.spaces.find(name);
    if (!shape) return;
    const collection = sharedCollection({ name, shape });
    const there = await this.calls.findCollection(collection);
    if (there) await this.calls.delete(collection, { filter: within(name, {}) });
    await this.spaces.remove(name);
    if (there) await this.calls.delete(collection, { filter: within(name, {}) });
  }

  describe(space: Space): Promise<Shape | null> {
    return this.spaces.find(space.name);
  }

  list(prefix: string): AsyncIterable<string> {
    return this.spaces.names(prefix);
  }

  async confirm(space: Space): Promise<void> {
    if (!(await this.spaces.find(space.name))) throw noSpace();
  }

  page(space: Space, request: ScanRequest) {
    return orderedPage(this.calls, this.place(space), request);
  }
}

const key = (name: string) => `payload.${name}`;

const within = (space: string, filter: StoredFilter): StoredFilter => ({
  must: [{ key: 'space', match: { value: space } }, filter],
});
