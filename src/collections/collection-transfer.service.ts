import { Injectable } from '@nestjs/common';
import { HiddenSessionsService } from '../sessions/hidden-sessions.service.js';
import { isNoSpace } from '../vectors/errors.js';
import { shapeOf } from '../vectors/shape.js';
import type { Point } from '../vectors/vector-store.js';
import { VectorStores } from '../vectors/vector-stores.js';
import type { Collection } from './collection.entity.js';
import { CollectionsRepository } from './collections.repository.js';
import { pointPages } from './point-pages.js';
import type { CollectionRecord } from './point-record.js';
import { ProvisioningService } from './provisioning.service.js';

/** Reads the collection of a session whole, and makes that of one that nobody sees yet. */
@Injectable()
export class CollectionTransferService {
  constructor(
    private readonly rows: CollectionsRepository,
    private readonly provisioning: ProvisioningService,
    private readonly hidden: HiddenSessionsService,
    private readonly stores: VectorStores,
  ) {}

  /**
   * The collection that a session has, and how many points are in it.
   * @throws DomainError `collection_elsewhere`, and what the store says
   */
  async find(session: number): Promise<{ collection: Collection; points: number } | null> {
    const collection = await this.rows.findOf(session);
    if (!collection) return null;
    if (collection.state === 'wanted') await this.provisioning.make(collection);
    return { collection, points: await this.count(collection) };
  }

  /** All its points in the order of their ids, page by page. */
  pages(collection: Collection): AsyncIterable<Point[]> {
    return pointPages(this.stores.of(collection), collection);
  }

  /** @throws DomainError what the store says */
  async give(session: number, record: CollectionRecord, seconds: number): Promise<Collection> {
    const { vectors, payload_indexes = {} } = record;
    const collection = await this.hidden.write(session, seconds, () =>
      this.provisioning.want(session, shapeOf(vectors), payload_indexes),
    );
    await this.provisioning.make(collection!);
    return collection!;
  }

  /** @throws DomainError `invalid_point`, and what the store says */
  write(collection: Collection, points: Point[]): Promise<void> {
    return this.stores.of(collection).upsert(collection, points);
  }

  /** A collection that is gone from the store has none any more. */
  private async count(collection: Collection): Promise<number> {
    return this.stores
      .of(collection)
      .count(collection)
      .catch((error: unknown) => {
        if (isNoSpace(error)) return 0;
        throw error;
      });
  }
}
