import { isDeepStrictEqual } from 'node:util';
import type { Database } from '../../../database/database.js';
import { checkPoints, checkQuery } from '../../check-points.js';
import { noSpace, shapeMismatch, tooLarge } from '../../errors.js';
import type { Filter } from '../../filter.js';
import type { PointId } from '../../point-id.js';
import type {
  CopiedPage,
  Found,
  Hit,
  Point,
  QueryRequest,
  ScanRequest,
  Selection,
  Shape,
  Space,
  VectorStore,
  With,
} from '../../vector-store.js';
import { readFailed, writeFailed } from './failures.js';
import { numbersOf, packVectors, strideOf, toUnit, unpackVectors } from './packed-vectors.js';
import {
  type HeldSpace,
  PAGE_BYTES,
  type PointFound,
  type PointsRepository,
  type Size,
} from './points.repository.js';
import type { PointRead, SearchThread } from './search-thread.js';
import type { SpacesRepository } from './spaces.repository.js';
import { fromStored, toStored } from './stored-id.js';

/** What one space may hold: all of it is read through to answer a query. */
export interface Cap {
  points: number;
  bytes: number;
}

export const CAP: Cap = { points: 50_000, bytes: 256 * 1024 * 1024 };

/** Bytes of vectors in one request: every point takes those of all its names. */
const AT_ONCE = 64 * 1024 * 1024;

/** Rows of deleted points that are left in any space, however few points it has. */
const GONE = 1000;

/** Vector spaces in the service's own PostgreSQL: search is exact, and a space has a cap. */
export class PostgresVectorStore implements VectorStore {
  readonly backend = 'postgres';
  readonly directWrites = false;

  constructor(
    private readonly spaces: SpacesRepository,
    private readonly points: PointsRepository,
    private readonly thread: SearchThread,
    private readonly database: Database,
    private readonly cap: Cap = CAP,
  ) {}

  async ensure({ name, shape }: Space): Promise<void> {
    await write(() => this.spaces.insert(name, shape));
    const there = await this.describe({ name, shape });
    if (!there) throw noSpace();
    if (!isDeepStrictEqual(there, shape)) throw shapeMismatch(there, shape);
  }

  async drop(name: string): Promise<void> {
    await write(async () => {
      await this.spaces.dropName(name);
      await this.spaces.removeDropped();
    });
  }

  describe({ name }: Space): Promise<Shape | null> {
    return read(() => this.spaces.findShape(name));
  }

  async *list(prefix: string): AsyncIterable<string> {
    try {
      yield* this.spaces.names(prefix);
    } catch (error) {
      throw readFailed(error);
    }
  }

  async upsert(space: Space, points: Point[]): Promise<void> {
    checkPoints(space.shape, points);
    if (points.length === 0) return;
    if (points.length * strideOf(space.shape) > AT_ONCE)
      throw tooLarge(`At once at most ${AT_ONCE} bytes of vectors are taken: send fewer points.`);
    const written = {
      ids: points.map(({ id }) => toStored(id)),
      vectors: packVectors(space.shape, points),
      stride: strideOf(space.shape),
      payloads: `[${points.map(({ payload }) => JSON.stringify(payload)).join()}]`,
    };
    await this.change(space, async ({ key }) => this.checkCap(await this.points.put(key, written)));
  }

  async delete(space: Space, selection: Selection): Promise<number> {
    if ('ids' in selection) return this.remove(space, selection.ids.map(toStored), null);
    const found = await this.thread.run('match', space.name, selection);
    if (!found) throw noSpace();
    // a point written since then is another one, put there after this
    return this.remove(space, found.ids, found.revision);
  }

  async retrieve(space: Space, ids: PointId[], what: With): Promise<Found[]> {
    const rows = await read(() => this.points.find(space.name, ids.map(toStored), what));
    if (!rows) throw noSpace();
    return rows.map((row) => ofRow(space.shape, row, what));
  }

  async scan(space: Space, request: ScanRequest): Promise<{ points: Found[]; next: PointId | null }> {
    const { after, limit, filter } = request;
    const behind = after === undefined ? '' : toStored(after);
    if (!filter) return this.scanAll(space, behind, request);
    const found = (await this.thread.run('scan', space.name, { ...request, after: behind }))?.map(ofThread);
    if (!found) throw noSpace();
    const points = found.slice(0, limit);
    return { points, next: found.length > limit ? points.at(-1)!.id : null };
  }

  private async scanAll(space: Space, behind: string, request: ScanRequest) {
    const { limit } = request;
    const rows = await read(() => this.points.findPage(space.name, behind, limit + 1, request));
    if (!rows) throw noSpace();
    const points = rows.slice(0, limit).map((row) => ofRow(space.shape, row, request));
    const isCut = rows.length > limit || rows.reduce((sum, { bytes }) => sum + bytes, 0) >= PAGE_BYTES;
    return { points, next: isCut ? points.at(-1)!.id : null };
  }

  async copy(from: Space, to: Space, after: PointId | null, limit: number): Promise<CopiedPage> {
    if (!isDeepStrictEqual(from.shape, to.shape)) throw shapeMismatch(to.shape, from.shape);
    const behind = after === null ? '' : toStored(after);
    const { read, last, taken } = await this.change(to, async ({ key }) => {
      const page = await this.points.copyPage(from.name, key, behind, limit);
      if (!page) throw noSpace();
      this.checkCap(page);
      return page;
    });
    return { read, last: last === null ? null : fromStored(last), taken: taken.map(fromStored) };
  }

  async query(space: Space, request: QueryRequest): Promise<Hit[]> {
    checkQuery(space.shape, request);
    const isCosine = space.shape[request.using]!.distance === 'cosine';
    const vector = isCosine ? toUnit(request.vector) : request.vector;
    const found = await this.thread.run('query', space.name, { ...request, vector });
    if (!found) throw noSpace();
    return found.map((point) => ({ ...ofThread(point), score: point.score }));
  }

  async count({ name }: Space, filter?: Filter): Promise<number> {
    const count = filter
      ? await this.thread.run('count', name, { filter })
      : await read(() => this.spaces.countPoints(name));
    if (count === null) throw noSpace();
    return count;
  }

  async health(): Promise<void> {
    await read(() => this.spaces.findShape(''));
  }

  private async remove(space: Space, ids: string[], revision: number | null): Promise<number> {
    return this.change(space, async ({ key }) => {
      const { points, gone, removed } = await this.points.remove(key, ids, revision);
      if (gone > Math.max(GONE, points)) await this.points.sweep(key);
      return removed;
    });
  }

  /** Holds the space while it is changed, so that what is counted and capped is exact. */
  private change<T>({ name, shape }: Space, work: (held: HeldSpace) => Promise<T>): Promise<T> {
    return write(() =>
      this.database.run(async () => {
        const held = await this.points.lockSpace(name);
        if (!held) throw noSpace();
        if (!isDeepStrictEqual(held.shape, shape)) throw shapeMismatch(held.shape, shape);
        return work(held);
      }),
    );
  }

  private checkCap({ points, bytes }: Size): void {
    if (points <= this.cap.points && bytes <= this.cap.bytes) return;
    throw tooLarge(
      `The collection would have ${points} points of ${bytes} bytes together; vectors kept in PostgreSQL end at ` +
        `${this.cap.points} points and ${this.cap.bytes} bytes a collection, with QDRANT_URL set there is no such end.`,
    );
  }
}

const read = <T>(work: () => Promise<T>): Promise<T> =>
  work().catch((error) => Promise.reject(readFailed(error)));
const write = <T>(work: () => Promise<T>): Promise<T> =>
  work().catch((error) => Promise.reject(writeFailed(error)));

const ofRow = (shape: Shape, { id, payload, vectors }: PointFound, what: With): Found => ({
  id: fromStored(id),
  ...(what.payload && { payload: payload! }),
  ...(what.vectors && { vectors: unpackVectors(shape, vectors!) }),
});

const ofThread = ({ id, payload, vectors }: PointRead): Found => ({
  id: fromStored(id),
  ...(payload && { payload }),
  ...(vectors && {
    vectors: Object.fromEntries(Object.entries(vectors).map(([name, floats]) => [name, numbersOf(floats)])),
  }),
});
