import { Injectable } from '@nestjs/common';
import { verify } from '../access/verify.js';
import type { Caller } from '../common/caller.js';
import { DomainError } from '../common/errors.js';
import { jsonBytes } from '../common/json.js';
import { type Answer, IdempotencyService } from '../idempotency/idempotency.service.js';
import { checkFree } from '../sessions/lifecycle.js';
import { LivenessService } from '../sessions/liveness.service.js';
import { legalHold } from '../sessions/session-edits.service.js';
import { isNoSpace } from '../vectors/errors.js';
import type { PointId } from '../vectors/point-id.js';
import { dimensionsOf } from '../vectors/shape.js';
import {
  type Found,
  type Hit,
  type Point,
  type QueryRequest,
  type ScanRequest,
  type Selection,
  type VectorStore,
} from '../vectors/vector-store.js';
import { VectorStores } from '../vectors/vector-stores.js';
import type { Collection } from './collection.entity.js';
import { CollectionsRepository, type Header } from './collections.repository.js';
import { CollectionsService, noCollection } from './collections.service.js';

/** Points of a session's collection. To write some is a sign of life of the session. */
@Injectable()
export class PointsService {
  constructor(
    private readonly repository: CollectionsRepository,
    private readonly collections: CollectionsService,
    private readonly liveness: LivenessService,
    private readonly idempotency: IdempotencyService,
    private readonly stores: VectorStores,
  ) {}

  /** @throws DomainError `no_collection`, `invalid_point`, `session_not_open`, `session_busy`, and what the store says */
  async upsert(id: string, points: Point[], caller: Caller): Promise<number> {
    const header = await this.open(await this.header(id, caller, 'work'), caller);
    const collection = (await this.collections.ready(header, true)) ?? noCollection('conflict');
    await this.there(collection, (store) => store.upsert(collection, points));
    await this.stillOpen(id, caller);
    return points.length;
  }

  /** Answers how many there were. */
  async delete(
    id: string,
    selection: Selection,
    caller: Caller,
    key: string | null,
  ): Promise<Answer<number>> {
    const header = await this.header(id, caller, 'work');
    const request = { key, caller, route: `POST points/delete ${header.key}`, body: selection };
    const replay = async ([deleted]: number[]) => deleted!;
    const earlier = await this.idempotency.replayed(request, replay);
    if (earlier) return earlier;
    await this.open(header, caller);
    if (header.legal_hold) throw legalHold();
    const collection = await this.existing(header);
    const deleted = await this.there(collection, (store) => store.delete(collection, selection));
    await this.stillOpen(id, caller);
    return this.idempotency.once(
      request,
      async () => ({ status: 200, ids: [deleted], value: deleted }),
      replay,
    );
  }

  /** @throws DomainError `too_large` when so many vectors are no answer */
  async query(id: string, request: QueryRequest, caller: Caller): Promise<Hit[]> {
    const collection = await this.readable(id, caller);
    if (request.vectors && request.limit > mostWithVectors(collection)) throw tooManyVectors(collection);
    const hits = await this.there(collection, (store) => store.query(collection, request));
    if (fitting(hits).length < hits.length) throw tooLargeTogether();
    return hits;
  }

  async scan(id: string, request: ScanRequest, caller: Caller) {
    const collection = await this.readable(id, caller);
    const limit = request.vectors ? Math.min(request.limit, mostWithVectors(collection)) : request.limit;
    const page = await this.there(collection, (store) => store.scan(collection, { ...request, limit }));
    const points = fitting(page.points);
    return { points, next: points.length < page.points.length ? points.at(-1)!.id : page.next };
  }

  /** @throws DomainError `point_not_found` */
  async get(id: string, point: PointId | null, caller: Caller): Promise<Found> {
    const collection = await this.readable(id, caller);
    if (point === null) return notFound();
    const what = { payload: true, vectors: true };
    const [found] = await this.there(collection, (store) => store.retrieve(collection, [point], what));
    return found ?? notFound();
  }

  /** A session that takes points; one that recovers by itself does so. */
  private async open(header: Header, caller: Caller): Promise<Header> {
    checkFree(header);
    if (header.status !== 'active' && header.status !== 'paused')
      await this.liveness.heartbeat(header.id, caller);
    return header;
  }

  /** The sign of life; a merge that began before this may have missed what was written, so nobody is told that it is kept. */
  private async stillOpen(id: string, caller: Caller): Promise<void> {
    checkFree(await this.liveness.heartbeat(id, caller));
  }

  private async readable(id: string, caller: Caller): Promise<Collection> {
    return this.existing(await this.header(id, caller, 'read'));
  }

  private async header(id: string, caller: Caller, permission: 'read' | 'work'): Promise<Header> {
    return verify(await this.repository.find(id, caller.userId), permission);
  }

  private async existing(header: Header): Promise<Collection> {
    return (await this.collections.ready(header, false)) ?? noCollection('not-found');
  }

  /** A collection that was removed in the store itself is made anew, and the work done in it. */
  private async there<T>(collection: Collection, work: (store: VectorStore) => Promise<T>): Promise<T> {
    const store = this.stores.of(collection);
    try {
      return await work(store);
    } catch (error) {
      if (!isNoSpace(error)) throw error;
      await this.collections.restore(collection);
      return work(store);
    }
  }
}

/** Bytes of payloads in one answer. */
const MOST_BYTES = 16 * 1024 * 1024;

/** The first, as far as they fit into one answer; at least one. */
function fitting<Point extends Found>(points: Point[]): Point[] {
  let bytes = 0;
  const end = points.findIndex(({ payload }) => {
    bytes += payload ? jsonBytes(payload) : 0;
    return bytes > MOST_BYTES;
  });
  return end < 0 ? points : points.slice(0, Math.max(1, end));
}

const tooLargeTogether = () =>
  new DomainError(
    'too-large',
    'too_large',
    'The payloads are too large for one answer: ask for fewer, or without.',
  );

/** So many points with their vectors are some 16 MiB of JSON. */
function mostWithVectors({ shape }: Collection): number {
  const numbers = dimensionsOf(shape);
  return Math.max(1, Math.floor((16 * 1024 * 1024) / (numbers * 20)));
}

const tooManyVectors = (collection: Collection) =>
  new DomainError(
    'too-large',
    'too_large',
    `With their vectors at most ${mostWithVectors(collection)} points are answered: ask for fewer, or without vectors.`,
  );

function notFound(): never {
  throw new DomainError('not-found', 'point_not_found', 'There is no such point.');
}
