import type { QdrantClient, Schemas } from '@qdrant/js-client-rest';
import { isNoSpace, noSpace } from '../../errors.js';
import type { Shape } from '../../vector-store.js';
import type { StoredId } from './exact-json.js';
import { NotDoneError } from './failures.js';
import type { StoredFilter } from './filters.js';
import { repeating } from './repeat.js';
import { canonical, toShape, toVectors } from './shapes.js';
import type { Wire } from './wire.js';

/** A point as it stands in a collection; ids beyond 2^53 as digits. */
export interface StoredPoint {
  id: string | number;
  payload?: Record<string, unknown> | null;
  vector?: number[] | Record<string, number[]> | null;
  score?: number;
}

export interface ScrollBody {
  filter?: StoredFilter;
  limit: number;
  offset?: StoredId;
  order_by?: { key: string };
  with_payload: boolean | string[];
  with_vector: boolean;
}

export type Selector = { points: StoredId[] } | { filter: StoredFilter };
type MoreOfCollection = Omit<Parameters<QdrantClient['createCollection']>[1], 'vectors'>;
export type FieldSchema = NonNullable<Schemas['CreateFieldIndex']['field_schema']>;

/** What a page of points may take, as JSON. */
const PAGE_BYTES = 32 * 1024 * 1024;

const pathOf = (collection: string) => `/collections/${encodeURIComponent(collection)}/points`;

/** What the backend asks of Qdrant, each call with its retries; failures come in words of the contract. */
export class QdrantCalls {
  constructor(
    private readonly client: QdrantClient,
    private readonly wire: Wire,
    private readonly pauseMs: number,
  ) {}

  /** Its shape and the keys of its indexes; null: there is none. */
  async findCollection(collection: string): Promise<{ shape: Shape; indexed: string[] } | null> {
    try {
      const { config, payload_schema } = await this.repeating(false, () =>
        this.client.getCollection(collection),
      );
      return { shape: toShape(config?.params?.vectors), indexed: Object.keys(payload_schema ?? {}) };
    } catch (error) {
      if (isNoSpace(error)) return null;
      throw error;
    }
  }

  /**
   * Makes what is missing of a collection and its indexes: somebody may have been killed half way, or be at it just
   * now. Answers the shape that it has, which may be another one.
   */
  async prepareCollection(
    collection: string,
    shape: Shape,
    more: MoreOfCollection,
    indexes: Readonly<Record<string, FieldSchema>>,
  ): Promise<Shape> {
    let there = await this.findCollection(collection);
    if (!there) {
      await this.makeCollection(collection, shape, more);
      there = await this.findCollection(collection);
    }
    if (!there) throw noSpace();
    if (canonical(there.shape) !== canonical(shape)) return there.shape;
    for (const [key, schema] of Object.entries(indexes))
      if (!there.indexed.includes(key)) await this.makeIndex(collection, key, schema);
    return there.shape;
  }

  /** One that is there already stays as it is. */
  async makeCollection(collection: string, shape: Shape, more: MoreOfCollection = {}): Promise<void> {
    await this.repeating(true, async () => {
      try {
        await this.client.createCollection(collection, { vectors: toVectors(shape), ...more });
      } catch (error) {
        if ((error as { status?: number }).status !== 409) throw error;
      }
    });
  }

  async dropCollection(collection: string): Promise<void> {
    await this.repeating(true, () => this.client.deleteCollection(collection));
  }

  async collectionNames(): Promise<string[]> {
    const { collections } = await this.repeating(false, () => this.client.getCollections());
    return collections.map(({ name }) => name);
  }

  private async makeIndex(collection: string, field_name: string, field_schema: FieldSchema) {
    await this.repeating(true, async () =>
      done(await this.client.createPayloadIndex(collection, { field_name, field_schema, wait: true })),
    );
  }

  /** Any call that needs the key and touches nothing. */
  async greet(): Promise<void> {
    await this.repeating(false, () => this.client.collectionExists('health'));
  }

  async upsert(collection: string, body: unknown): Promise<void> {
    await this.write('PUT', `${pathOf(collection)}?wait=true`, body);
  }

  async delete(collection: string, selector: Selector): Promise<void> {
    await this.write('POST', `${pathOf(collection)}/delete?wait=true`, selector);
  }

  async retrieve(
    collection: string,
    ids: StoredId[],
    what: Pick<ScrollBody, 'with_payload' | 'with_vector'>,
  ) {
    return this.read<StoredPoint[]>(pathOf(collection), { ids, ...what });
  }

  /** @throws DomainError `vectors_too_large` when several points are more than `PAGE_BYTES` */
  async scroll(collection: string, body: ScrollBody) {
    return this.read<{ points: StoredPoint[]; next_page_offset?: unknown }>(
      `${pathOf(collection)}/scroll`,
      body,
      body.limit > 1 ? PAGE_BYTES : undefined,
    );
  }

  async query(collection: string, body: object): Promise<StoredPoint[]> {
    return (await this.read<{ points: StoredPoint[] }>(`${pathOf(collection)}/query`, body)).points;
  }

  async count(collection: string, filter: StoredFilter): Promise<number> {
    const body = { filter, exact: true };
    return (await this.read<{ count: number }>(`${pathOf(collection)}/count`, body)).count;
  }

  private repeating<T>(isWrite: boolean, call: () => Promise<T>): Promise<T> {
    return repeating(isWrite, this.pauseMs, call);
  }

  private read<T>(path: string, body: unknown, mostBytes?: number): Promise<T> {
    return this.repeating(false, () => this.wire.send<T>('POST', path, body, mostBytes));
  }

  private write(method: 'PUT' | 'POST', path: string, body: unknown): Promise<void> {
    return this.repeating(true, async () => done(await this.wire.send(method, path, body)));
  }
}

/** `acknowledged` and `wait_timeout` are promises; only `completed` is done. */
function done({ status }: { status?: string }): void {
  if (status !== 'completed') throw new NotDoneError(`the write is ${status}`);
}
