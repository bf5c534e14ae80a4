import { derivedId } from '../../../common/ids.js';
import { isNoSpace, shapeMismatch } from '../../errors.js';
import type { Shape, Space } from '../../vector-store.js';
import type { QdrantCalls, StoredPoint } from './calls.js';
import { prefixOf } from './names.js';
import { canonical } from './shapes.js';

const SUFFIX = '-spaces';
const PAGE = 1000;

const collectionOf = (space: string) => prefixOf(space) + SUFFIX;
const idOf = (space: string) => derivedId('space', space);

/**
 * Which spaces there are in the shared layout, and of which shape: a collection of points without vectors. The points
 * of the spaces themselves cannot tell, since a space may have none.
 */
export class SpaceList {
  constructor(private readonly calls: QdrantCalls) {}

  async find(space: string): Promise<Shape | null> {
    try {
      const what = { with_payload: true, with_vector: false };
      const [found] = await this.calls.retrieve(collectionOf(space), [idOf(space)], what);
      return (found?.payload?.shape as Shape | undefined) ?? null;
    } catch (error) {
      return orNothing(error, null);
    }
  }

  /**
   * Of several at once the first one wins, which is why it is read again.
   * @throws DomainError `shape_mismatch`
   */
  async add(space: Space): Promise<void> {
    const point = { id: idOf(space.name), vector: {}, payload: { name: space.name, shape: space.shape } };
    const body = { points: [point], update_mode: 'insert_only' };
    try {
      await this.calls.upsert(collectionOf(space.name), body);
    } catch (error) {
      orNothing(error, null);
      await this.calls.makeCollection(collectionOf(space.name), {});
      await this.calls.upsert(collectionOf(space.name), body);
    }
    await this.check(space);
  }

  /** Whether it is there. */
  async check({ name, shape }: Space): Promise<boolean> {
    const there = await this.find(name);
    if (there && canonical(there) !== canonical(shape)) throw shapeMismatch(there, shape);
    return there !== null;
  }

  async remove(space: string): Promise<void> {
    try {
      await this.calls.delete(collectionOf(space), { points: [idOf(space)] });
    } catch (error) {
      orNothing(error, null);
    }
  }

  async *names(prefix: string): AsyncIterable<string> {
    for (const collection of await this.calls.collectionNames()) {
      if (!collection.endsWith(SUFFIX)) continue;
      const owner = collection.slice(0, -SUFFIX.length);
      if (!owner.startsWith(prefix) && !prefix.startsWith(`${owner}_`)) continue;
      for await (const { payload } of this.points(collection)) {
        if (typeof payload?.name === 'string' && payload.name.startsWith(prefix)) yield payload.name;
      }
    }
  }

  private async *points(collection: string): AsyncIterable<StoredPoint> {
    let offset: string | undefined;
    do {
      const page = await this.calls.scroll(collection, {
        limit: PAGE,
        offset,
        with_payload: ['name'],
        with_vector: false,
      });
      yield* page.points;
      offset = (page.next_page_offset as string | null | undefined) ?? undefined;
    } while (offset !== undefined);
  }
}

/** Without the collection nothing is on the list. */
function orNothing<T>(error: unknown, nothing: T): T {
  if (isNoSpace(error)) return nothing;
  throw error;
}
