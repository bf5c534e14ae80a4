import { Inject, Injectable } from '@nestjs/common';
import type { Logger } from 'pino';
import { verify } from '../access/verify.js';
import type { Caller } from '../common/caller.js';
import { DomainError, invalid, isUnavailable } from '../common/errors.js';
import { escapePointer } from '../common/json.js';
import { CONFIG, type Config } from '../config/config.js';
import { Database } from '../database/database.js';
import { LOG } from '../http/log.js';
import { checkFree } from '../sessions/lifecycle.js';
import { vectorsFor } from '../sessions/session-collection.js';
import { legalHold } from '../sessions/session-edits.service.js';
import { SessionsService } from '../sessions/sessions.service.js';
import { isNoSpace, shapeMismatch } from '../vectors/errors.js';
import { isSameShape, shapeOf } from '../vectors/shape.js';
import type { Shape } from '../vectors/vector-store.js';
import { VectorStores } from '../vectors/vector-stores.js';
import type { Collection } from './collection.entity.js';
import type { Counted } from './collection.view.js';
import { CollectionsRepository, type Header } from './collections.repository.js';
import type { PutCollection } from './collections.schemas.js';
import { ProvisioningService } from './provisioning.service.js';

/** The vector collection that a session has. */
@Injectable()
export class CollectionsService {
  constructor(
    private readonly database: Database,
    private readonly collections: CollectionsRepository,
    private readonly provisioning: ProvisioningService,
    private readonly sessions: SessionsService,
    private readonly stores: VectorStores,
    @Inject(CONFIG) private readonly config: Config,
    @Inject(LOG) private readonly log: Logger,
  ) {}

  /** @throws DomainError `no_collection`, and those of every session route */
  async get(id: string, caller: Caller): Promise<Counted> {
    const { collection } = verify(await this.collections.find(id, caller.userId), 'read');
    return this.counted(collection ?? noCollection('not-found'));
  }

  /**
   * Gives the session a collection; the same again changes nothing but adds indexes. A store that is down makes it later.
   * @throws DomainError `shape_mismatch`, and for one that is there already `collection_elsewhere`
   */
  async put(id: string, { vectors, payload_indexes = {} }: PutCollection, caller: Caller) {
    const shape = shapeOf(vectors);
    const { collection, isNew } = await this.database.run(async () => {
      const session = await this.sessions.lock(id, caller, 'manage');
      checkFree(session);
      const { key } = session;
      const made = await this.provisioning.want(key, shape, payload_indexes);
      if (made) return { collection: made, isNew: true };
      return { collection: (await this.collections.findOf(key))!, isNew: false };
    });
    if (!isNew) await this.extend(collection, shape, payload_indexes);
    else await this.later(this.provisioning.make(collection));
    const now = (await this.collections.findOf(collection.session_key)) ?? noCollection('not-found');
    return { ...(await this.counted(now)), isNew };
  }

  /** @throws DomainError `no_collection`, `legal_hold` */
  async delete(id: string, caller: Caller): Promise<void> {
    const dropped = await this.database.run(async () => {
      const session = await this.sessions.lock(id, caller, 'manage');
      const { key, legal_hold } = session;
      const found = (await this.collections.findOf(key)) ?? noCollection('not-found');
      if (legal_hold) throw legalHold();
      checkFree(session);
      await this.collections.letGo(found.name);
      const gone = { type: 'collection.deleted', payload: { name: found.name } };
      await this.sessions.noteCollection(key, null, [gone]);
      return found;
    });
    await this.later(this.provisioning.drop(dropped));
  }

  /**
   * The collection of a session that has been seen, there in the store; with `isWriting` made now, where the configuration
   * says its vectors. Null: there is none.
   * @throws DomainError what the store says when it is to make it
   */
  async ready({ key, configuration, collection }: Header, isWriting: boolean): Promise<Collection | null> {
    const found = collection ?? (isWriting ? await this.wanted(key, configuration) : null);
    if (found?.state === 'wanted') await this.provisioning.make(found);
    return found;
  }

  /**
   * Makes anew in the store what somebody has removed there.
   * @throws DomainError `no_collection` when the session has it no more
   */
  async restore(collection: Collection): Promise<void> {
    if (!(await this.collections.want(collection.name))) noCollection('not-found');
    this.log.warn({ collection: collection.name }, 'the collection is gone from the store: made anew, empty');
    await this.provisioning.make(collection);
  }

  private async wanted(session: number, configuration: Header['configuration']): Promise<Collection | null> {
    const vectors = vectorsFor(configuration, this.config);
    if (vectors === null) return null;
    return this.database.run(async () => {
      if (!(await this.sessions.hold(session))) return null;
      const made = await this.provisioning.want(session, shapeOf(vectors), {});
      return made ?? this.collections.findOf(session);
    });
  }

  /** Adds indexes, first in the store: what it does not take is not kept. A collection that it has lost is there again then. */
  private async extend(
    found: Collection,
    shape: Shape,
    indexes: Collection['payload_indexes'],
  ): Promise<void> {
    if (!isSameShape(found.shape, shape)) throw shapeMismatch(found.shape, shape);
    const payload_indexes = { ...found.payload_indexes, ...indexes };
    checkIndexes(found.payload_indexes, payload_indexes);
    await this.stores.of(found).ensure(found, payload_indexes);
    await this.collections.setIndexes(found.name, payload_indexes);
    if (found.state === 'wanted') await this.provisioning.make({ ...found, payload_indexes });
  }

  private async counted(collection: Collection): Promise<Counted> {
    if (collection.state !== 'ready') return { collection, points: null };
    try {
      return { collection, points: await this.stores.of(collection).count(collection) };
    } catch (error) {
      if (isUnavailable(error) || isNoSpace(error)) return { collection, points: null };
      throw error;
    }
  }

  /** What the store cannot do now it does when the sweep comes by. */
  private async later(work: Promise<void>): Promise<void> {
    await work.catch((err: unknown) =>
      this.log.warn({ err }, 'the vector store does not do it: tried again later'),
    );
  }
}

const MOST_INDEXES = 32;

function checkIndexes(known: Collection['payload_indexes'], all: Collection['payload_indexes']): void {
  const keys = Object.keys(all);
  if (keys.length > MOST_INDEXES)
    throw invalid([
      { pointer: '/payload_indexes', detail: `would be ${keys.length}, at most ${MOST_INDEXES}` },
    ]);
  const changed = Object.keys(known).find((key) => all[key] !== known[key]);
  if (changed === undefined) return;
  const detail = `is an index of the kind ${known[changed]} already`;
  throw invalid([{ pointer: `/payload_indexes/${escapePointer(changed)}`, detail }]);
}

export function noCollection(kind: 'not-found' | 'conflict'): never {
  throw new DomainError(
    kind,
    'no_collection',
    'The session has no collection: make one with PUT collection.',
  );
}
