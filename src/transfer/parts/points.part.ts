import { Injectable } from '@nestjs/common';
import type { Collection } from '../../collections/collection.entity.js';
import { CollectionTransferService } from '../../collections/collection-transfer.service.js';
import {
  type CollectionRecord,
  collectionRecord,
  pointRecord,
  toCollectionRecord,
  toPoint,
  toPointRecord,
} from '../../collections/point-record.js';
import type { SessionRow } from '../../sessions/session.view.js';
import { checkPoints } from '../../vectors/check-points.js';
import { comparePointIds, type PointId } from '../../vectors/point-id.js';
import { shapeOf } from '../../vectors/shape.js';
import type { Point, Shape } from '../../vectors/vector-store.js';
import type { Typed } from '../format.js';
import { fault, NOTHING, type Opened, type Part, parsed, type Reader } from '../part.js';

/** The vector collection, and the points in it in the order of their ids. */
@Injectable()
export class PointsPart implements Part {
  readonly name = 'points';
  readonly scopes = { read: 'collections:read', write: 'collections:write' } as const;
  readonly types = ['collection', 'point'];

  constructor(private readonly collections: CollectionTransferService) {}

  async open({ key }: SessionRow): Promise<Opened> {
    const found = await this.collections.find(key);
    if (!found) return NOTHING;
    const { collection, points } = found;
    return { count: 1 + points, pages: () => this.pages(collection, points > 0) };
  }

  private async *pages(collection: Collection, hasPoints: boolean) {
    yield [toCollectionRecord(collection)];
    if (!hasPoints) return;
    for await (const page of this.collections.pages(collection)) yield page.map(toPointRecord);
  }

  reader(): Reader {
    return new PointsReader(this.collections);
  }
}

class PointsReader implements Reader {
  private shape: Shape | null = null;
  private last: PointId | null = null;
  private collection: Collection | null = null;

  constructor(private readonly collections: CollectionTransferService) {}

  take(record: Typed): CollectionRecord | Point {
    if (record.type === 'point') return this.takePoint(record);
    const collection = parsed(collectionRecord, record);
    if (this.shape) throw fault('/type', 'a session has one collection');
    this.shape = shapeOf(collection.vectors);
    return collection;
  }

  private takePoint(record: Typed): Point {
    const point = toPoint(parsed(pointRecord, record));
    if (!this.shape) throw fault('/type', 'a point comes after its collection');
    if (this.last !== null && comparePointIds(this.last, point.id) >= 0)
      throw fault('/id', 'is not behind that of the point before');
    checkPoints(this.shape, [point]);
    this.last = point.id;
    return point;
  }

  async write(session: number, taken: (CollectionRecord | Point)[], seconds: number): Promise<void> {
    const [first] = taken;
    if (first && 'type' in first) this.collection = await this.collections.give(session, first, seconds);
    const points = taken.filter((one): one is Point => 'vectors' in one && !('type' in one));
    if (points.length > 0) await this.collections.write(this.collection!, points);
  }

  end(): void {}
}
