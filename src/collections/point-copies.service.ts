import { Injectable } from '@nestjs/common';
import { Database } from '../database/database.js';
import { SessionsService } from '../sessions/sessions.service.js';
import { noSpace, shapeMismatch } from '../vectors/errors.js';
import type { PointId } from '../vectors/point-id.js';
import { isSameShape } from '../vectors/shape.js';
import type { Found, Point, VectorStore } from '../vectors/vector-store.js';
import { VectorStores } from '../vectors/vector-stores.js';
import type { Collection } from './collection.entity.js';
import { CollectionsRepository } from './collections.repository.js';
import { type OnConflict, placed, remapped, type Source } from './placed.js';
import { pointPages } from './point-pages.js';
import { ProvisioningService } from './provisioning.service.js';

/** Points that a store copies at once, and those of them that are decided about here at once: in memory they take more. */
const [AT_ONCE, DECIDED] = [1_000, 100];

type CopyingStore = VectorStore & Required<Pick<VectorStore, 'copy'>>;

/** What came of a page of points. */
export interface Copied {
  /** the last point of the page; null: there was none */
  last: PointId | null;
  read: number;
  /** how many of them got another id */
  remapped: number;
}

/** Copies points into the collection of a session that is being made. Whoever asks sees to it that nobody writes to the sources. */
@Injectable()
export class PointCopiesService {
  constructor(
    private readonly database: Database,
    private readonly collections: CollectionsRepository,
    private readonly provisioning: ProvisioningService,
    private readonly sessions: SessionsService,
    private readonly stores: VectorStores,
  ) {}

  /** The collections that there are of these sessions, by their keys. */
  async findAll(sessions: number[]): Promise<Map<number, Collection>> {
    return new Map((await this.collections.findAll(sessions)).map((row) => [row.session_key, row]));
  }

  /** Gives a hidden session a collection like these, with the indexes of all of them, unless it has one; there in the store then. */
  async prepare(session: number, like: Collection[]): Promise<Collection> {
    const { shape } = like[0]!;
    const indexes = Object.assign({}, ...like.map(({ payload_indexes }) => payload_indexes).reverse());
    const made = await this.database.run(async () => {
      if (!(await this.sessions.hold(session))) throw noSpace();
      return (await this.collections.findOf(session)) ?? this.provisioning.want(session, shape, indexes);
    });
    if (made!.state === 'wanted') await this.provisioning.make(made!);
    return made!;
  }

  /**
   * All points of a source behind one of them, page by page; each page is durable when it is told of. Nobody else writes to the target.
   * @param isFirst nothing of another source is there yet
   * @throws DomainError `point_conflict`
   */
  async *copy(
    source: Source,
    target: Collection,
    isFirst: boolean,
    onConflict: OnConflict,
    after: PointId | null,
  ): AsyncGenerator<Copied> {
    const store = this.stores.of(source.collection);
    const isWithin = store === this.stores.of(target) && canCopy(store);
    const policy = isFirst ? null : onConflict;
    yield* isWithin
      ? this.copyWithin(store, source, target, policy, after)
      : this.copyBetween(store, source, target, policy, after);
  }

  /** The store copies; what becomes of points whose ids are taken is decided here. */
  private async *copyWithin(
    store: CopyingStore,
    { id, collection }: Source,
    target: Collection,
    policy: OnConflict | null,
    after: PointId | null,
  ): AsyncGenerator<Copied> {
    for (let behind = after; ; ) {
      const { read, last, taken } = await store.copy(collection, target, behind, AT_ONCE);
      if (last === null) return;
      // nothing of another source is there: what is taken was copied by this page, and nobody knew
      const others = policy === null ? [] : taken;
      let moved = 0;
      for (let at = 0; at < others.length; at += DECIDED) {
        const some = await this.retrieve(collection, others.slice(at, at + DECIDED));
        moved += await this.place(id, target, some.map(whole), policy);
      }
      yield { last, read, remapped: moved };
      behind = last;
    }
  }

  private async *copyBetween(
    store: VectorStore,
    { id, collection }: Source,
    target: Collection,
    policy: OnConflict | null,
    after: PointId | null,
  ): AsyncGenerator<Copied> {
    for await (const points of pointPages(store, collection, after)) {
      const moved = await this.place(id, target, points, policy);
      yield { last: points.at(-1)?.id ?? null, read: points.length, remapped: moved };
    }
  }

  /** Points by their ids; answers how many there were. */
  async copyThese(source: Collection, target: Collection, ids: PointId[]): Promise<number> {
    const found = await this.retrieve(source, ids);
    if (found.length > 0) await this.stores.of(target).upsert(target, found.map(whole));
    return found.length;
  }

  /** Those of the ids that are not there. */
  async missing(collection: Collection, ids: PointId[]): Promise<PointId[]> {
    const there = await this.have(collection, ids);
    return ids.filter((id) => !there.has(id));
  }

  async delete(collection: Collection, ids: PointId[]): Promise<void> {
    await this.stores.of(collection).delete(collection, { ids });
  }

  count(collection: Collection): Promise<number> {
    return this.stores.of(collection).count(collection);
  }

  /** Answers how many got another id. The rest is written before, so that no two of a page get the same. */
  private async place(
    source: string,
    target: Collection,
    page: Point[],
    onConflict: OnConflict | null,
  ): Promise<number> {
    const firsts = new Map<PointId, PointId>();
    let moved = 0;
    for (let some = page; some.length > 0; ) {
      const taken = onConflict === null ? [] : await this.taken(target, some);
      const { points, homeless } = placed(source, some, taken, onConflict ?? 'fail', target.shape);
      if (points.length > 0) await this.stores.of(target).upsert(target, points);
      if (some === page) moved = homeless.length;
      some = homeless.map((point) => {
        const first = firsts.get(point.id) ?? point.id;
        const other = remapped(point, source, first);
        firsts.set(other.id, first);
        return other;
      });
    }
    return moved;
  }

  private async taken(target: Collection, points: Point[]): Promise<Point[]> {
    const ids = points.map(({ id }) => id);
    const known = await this.have(target, ids);
    if (known.size === 0) return [];
    return (await this.retrieve(target, [...known])).map(whole);
  }

  private async have(collection: Collection, ids: PointId[]): Promise<Set<PointId>> {
    const found = await this.stores
      .of(collection)
      .retrieve(collection, ids, { payload: false, vectors: false });
    return new Set(found.map(({ id }) => id));
  }

  private retrieve(collection: Collection, ids: PointId[]): Promise<Found[]> {
    return this.stores.of(collection).retrieve(collection, ids, { payload: true, vectors: true });
  }
}

/** @throws DomainError `shape_mismatch` naming the first that differs */
export function checkSameShape(collections: Collection[]): void {
  const [first, ...others] = collections;
  const other = others.find(({ shape }) => !isSameShape(shape, first!.shape));
  if (other) throw shapeMismatch(first!.shape, other.shape);
}

const whole = ({ id, vectors, payload }: Found): Point => ({ id, vectors: vectors!, payload: payload! });

const canCopy = (store: VectorStore): store is CopyingStore => store.copy !== undefined;
