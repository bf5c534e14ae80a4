import { checkPoints, checkQuery } from '../../check-points.js';
import { isNoSpace, isTooLarge } from '../../errors.js';
import type { Filter } from '../../filter.js';
import type { PointId } from '../../point-id.js';
import type {
  Found,
  Hit,
  PayloadIndexes,
  Point,
  QueryRequest,
  ScanRequest,
  Selection,
  Shape,
  Space,
  VectorStore,
  With,
} from '../../vector-store.js';
import { batches } from './batches.js';
import type { QdrantCalls, StoredPoint } from './calls.js';
import { type StoredFilter, toStored } from './filters.js';
import type { Layout, Place } from './layout.js';
import { justBeyond } from './threshold.js';
import { normalized, unit } from './unit.js';

/** Spaces in a Qdrant server. */
export class QdrantStore implements VectorStore {
  readonly backend = 'qdrant';
  readonly directWrites: boolean;

  constructor(
    private readonly calls: QdrantCalls,
    private readonly layout: Layout,
  ) {
    this.directWrites = layout.directWrites;
  }

  ensure(space: Space, indexes: PayloadIndexes = {}): Promise<void> {
    return this.layout.ensure(space, indexes);
  }

  drop(name: string): Promise<void> {
    return this.layout.drop(name);
  }

  describe(space: Space): Promise<Shape | null> {
    return this.layout.describe(space);
  }

  list(prefix: string): AsyncIterable<string> {
    return this.layout.list(prefix);
  }

  async upsert(space: Space, points: Point[]): Promise<void> {
    checkPoints(space.shape, points);
    const place = this.layout.place(space);
    const bodies = batches(normalized(points, space.shape), place);
    for (const body of bodies) await this.calls.upsert(place.collection, body);
    try {
      await this.layout.confirm(space);
    } catch (error) {
      // dropped before or meanwhile: what was written would belong to nobody
      if (isNoSpace(error)) await this.calls.delete(place.collection, { filter: place.within({}) });
      throw error;
    }
  }

  async delete(space: Space, selection: Selection): Promise<number> {
    const place = this.layout.place(space);
    const filter = 'ids' in selection ? { must: [{ has_id: selection.ids }] } : selection.filter;
    const selected = place.within(toStored(filter, place));
    await this.layout.confirm(space);
    const there = await this.calls.count(place.collection, selected);
    if (there > 0) await this.calls.delete(place.collection, { filter: selected });
    return there;
  }

  async retrieve(space: Space, ids: PointId[], what: With): Promise<Found[]> {
    const place = this.layout.place(space);
    const stored = ids.map((id) => place.id(id));
    const points = await this.confirmed(
      space,
      this.calls.retrieve(place.collection, stored, members(place, what)),
    );
    const byId = new Map(points.map((point) => [place.read(point).id, point]));
    return ids.flatMap((id) => (byId.has(id) ? [toFound(byId.get(id)!, place, what)] : []));
  }

  async scan(space: Space, request: ScanRequest): Promise<{ points: Found[]; next: PointId | null }> {
    const place = this.layout.place(space);
    const { points, hasMore } = await this.confirmed(space, this.page(space, request));
    const found = points.map((point) => toFound(point, place, request));
    return { points: found, next: hasMore ? found.at(-1)!.id : null };
  }

  /** With fewer points where those asked for are too much for an answer. */
  private async page(space: Space, request: ScanRequest): ReturnType<Layout['page']> {
    try {
      return await this.layout.page(space, request);
    } catch (error) {
      if (!isTooLarge(error) || request.limit === 1) throw error;
      return this.page(space, { ...request, limit: Math.floor(request.limit / 2) });
    }
  }

  async query(space: Space, request: QueryRequest): Promise<Hit[]> {
    checkQuery(space.shape, request);
    const place = this.layout.place(space);
    const { distance } = space.shape[request.using]!;
    const points = await this.confirmed(
      space,
      this.calls.query(place.collection, {
        query: distance === 'cosine' ? unit(request.vector) : request.vector,
        ...(request.using !== '' && { using: request.using }),
        filter: selecting(request.filter, place),
        limit: request.limit,
        ...(request.scoreThreshold !== undefined && {
          score_threshold: justBeyond(request.scoreThreshold, distance),
        }),
        ...members(place, request),
      }),
    );
    return points.map((point) => ({ ...toFound(point, place, request), score: point.score! }));
  }

  count(space: Space, filter?: Filter): Promise<number> {
    const place = this.layout.place(space);
    return this.confirmed(space, this.calls.count(place.collection, selecting(filter, place)));
  }

  health(): Promise<void> {
    return this.calls.greet();
  }

  /** A read asks for the space and its points at the same time. */
  private async confirmed<T>(space: Space, reading: Promise<T>): Promise<T> {
    const [result] = await Promise.all([reading, this.layout.confirm(space)]);
    return result;
  }
}

const selecting = (filter: Filter | undefined, place: Place): StoredFilter =>
  place.within(toStored(filter ?? {}, place));

const members = (place: Place, { payload, vectors }: With) => ({
  with_payload: place.payloadFor(payload),
  with_vector: vectors,
});

function toFound(stored: StoredPoint, place: Place, what: With): Found {
  const { id, payload } = place.read(stored);
  return {
    id,
    ...(what.payload && { payload }),
    ...(what.vectors && { vectors: floats(stored.vector ?? {}) }),
  };
}

/** Qdrant writes the shortest text that is the same 32-bit float; this is the float. */
function floats(vector: number[] | Record<string, number[]>): Record<string, number[]> {
  const named = Array.isArray(vector) ? { '': vector } : vector;
  return Object.fromEntries(Object.entries(named).map(([name, values]) => [name, values.map(Math.fround)]));
}
