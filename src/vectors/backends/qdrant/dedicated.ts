import type { JsonObject } from '../../../common/json.js';
import { shapeMismatch } from '../../errors.js';
import { isInteger, type PointId } from '../../point-id.js';
import type { PayloadIndexes, ScanRequest, Shape, Space } from '../../vector-store.js';
import type { QdrantCalls, StoredPoint } from './calls.js';
import { storedId } from './exact-json.js';
import { toStored } from './filters.js';
import type { Layout, Place } from './layout.js';
import { canonical } from './shapes.js';

/** One collection for every space, named as the space; points stand in it as anybody would write them. */
export class DedicatedLayout implements Layout {
  readonly directWrites = true;

  constructor(private readonly calls: QdrantCalls) {}

  place({ name }: Space): Place {
    return {
      collection: name,
      id: storedId,
      key: (key) => key,
      within: (filter) => filter,
      toPayload: ({ payload }) => payload,
      payloadFor: (isWanted) => isWanted,
      read: ({ id, payload }) => ({ id: String(id), payload: (payload ?? {}) as JsonObject }),
    };
  }

  async ensure({ name, shape }: Space, indexes: PayloadIndexes): Promise<void> {
    const there = await this.calls.prepareCollection(name, shape, {}, indexes);
    if (canonical(there) !== canonical(shape)) throw shapeMismatch(there, shape);
  }

  drop(name: string): Promise<void> {
    return this.calls.dropCollection(name);
  }

  async describe({ name }: Space): Promise<Shape | null> {
    return (await this.calls.findCollection(name))?.shape ?? null;
  }

  async *list(prefix: string): AsyncIterable<string> {
    for (const name of await this.calls.collectionNames()) if (name.startsWith(prefix)) yield name;
  }

  /** Qdrant itself says what is missing. */
  async confirm(): Promise<void> {}

  async page(space: Space, request: ScanRequest): Promise<{ points: StoredPoint[]; hasMore: boolean }> {
    const place = this.place(space);
    const first = request.after === undefined ? undefined : idBehind(request.after);
    if (first === null) return { points: [], hasMore: false };
    const { points, next_page_offset } = await this.calls.scroll(place.collection, {
      filter: toStored(request.filter ?? {}, place),
      limit: request.limit,
      offset: first && storedId(first),
      with_payload: request.payload,
      with_vector: request.vectors,
    });
    return { points, hasMore: (next_page_offset ?? null) !== null };
  }
}

const NIL = '00000000-0000-0000-0000-000000000000';

/** The very next id: Qdrant's pages begin with the one that is named. null: there is none. */
export function idBehind(id: PointId): PointId | null {
  if (isInteger(id)) return BigInt(id) < 2n ** 64n - 1n ? String(BigInt(id) + 1n) : NIL;
  const next = BigInt(`0x${id.replaceAll('-', '')}`) + 1n;
  if (next === 2n ** 128n) return null;
  return next
    .toString(16)
    .padStart(32, '0')
    .replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}
