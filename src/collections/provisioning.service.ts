import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import type { Logger } from 'pino';
import { isUnavailable } from '../common/errors.js';
import { newId } from '../common/ids.js';
import { CONFIG, type Config } from '../config/config.js';
import { Database } from '../database/database.js';
import { LOG } from '../http/log.js';
import { Sweeps } from '../jobs/sweeps.js';
import { vectorsFor } from '../sessions/session-collection.js';
import { SessionsService } from '../sessions/sessions.service.js';
import { InstallationId } from '../vectors/installation.js';
import { shapeOf } from '../vectors/shape.js';
import type { Shape, VectorStore } from '../vectors/vector-store.js';
import { VectorStores } from '../vectors/vector-stores.js';
import type { Collection } from './collection.entity.js';
import { toView } from './collection.view.js';
import { CollectionsRepository, ITS_OWN } from './collections.repository.js';

/** How many at a time: collections to be made or dropped, names to be looked up. */
const [DUE, NAMES] = [20, 500];
/** When what nobody knows is looked for. */
const HOURLY = '7 * * * *';

/** Makes collections in their stores and drops them there. What is wanted is a row; the store may be down meanwhile. */
@Injectable()
export class ProvisioningService implements OnModuleInit {
  constructor(
    private readonly database: Database,
    private readonly collections: CollectionsRepository,
    private readonly sessions: SessionsService,
    private readonly sweeps: Sweeps,
    private readonly installation: InstallationId,
    private readonly stores: VectorStores,
    @Inject(CONFIG) private readonly config: Config,
    @Inject(LOG) private readonly log: Logger,
  ) {}

  onModuleInit(): void {
    this.sweeps.add('collections wanted', () => this.wantSome(), this.config.INDEX_SECONDS);
    // each in its own time: one that is down keeps no other waiting
    for (const store of this.stores.all) {
      const where = `${store.backend}${store.directWrites ? ', direct' : ''}`;
      this.sweeps.add(`collections due in ${where}`, () => this.settleSome(store), this.config.INDEX_SECONDS);
      this.sweeps.schedule(`collections unknown in ${where}`, HOURLY, () => this.dropUnknown(store));
    }
  }

  /** Notes that the session, which is held, is to have a collection, made by the sweep if not within so many seconds by whoever wants it; null: it has one. */
  async want(
    session: number,
    shape: Shape,
    indexes: Collection['payload_indexes'],
    seconds = ITS_OWN,
  ): Promise<Collection | null> {
    const { backend, directWrites: direct_writes } = this.stores.current;
    const made = await this.collections.insert(
      {
        ...{ session_key: session, shape, payload_indexes: indexes },
        name: `${await this.prefix()}${newId().replaceAll('-', '')}`,
        ...{ backend, direct_writes },
      },
      seconds,
    );
    if (made) await this.sessions.noteCollection(session, toView(made), []);
    return made;
  }

  /**
   * Makes the collection in the store and tells of it.
   * @throws DomainError what the store says
   */
  async make(collection: Collection): Promise<void> {
    const { name, shape, payload_indexes, session_key } = collection;
    try {
      await this.stores.of(collection).ensure({ name, shape }, payload_indexes);
    } catch (error) {
      await this.note(collection, isUnavailable(error) ? null : (error as Error).message);
      throw error;
    }
    // dropped meanwhile, by somebody who found nothing there yet
    if (!(await this.collections.knows(name))) return this.stores.of(collection).drop(name);
    await this.database.run(async () => {
      if (!(await this.sessions.hold(session_key))) return this.collections.letGo(name);
      if (!(await this.collections.ready(name))) return;
      const made = { type: 'collection.created', payload: { name, backend: collection.backend } };
      await this.sessions.noteCollection(
        session_key,
        toView({ ...collection, state: 'ready', error: null }),
        [made],
      );
    });
  }

  /** Drops in the store what its session has let go. */
  async drop(collection: Collection): Promise<void> {
    await this.stores.of(collection).drop(collection.name);
    await this.collections.dropped(collection.name);
  }

  /**
   * …what all of these sessions have let go, now.
   * @throws DomainError what the store says
   */
  async dropOf(sessions: number[]): Promise<void> {
    for (const collection of await this.collections.findDropping(sessions)) await this.drop(collection);
  }

  /** A new kind of trouble shows on the session. */
  private note(collection: Collection, error: string | null): Promise<void> {
    return this.database.run(async () => {
      if (!(await this.sessions.hold(collection.session_key))) return;
      if (!(await this.collections.failed(collection.name, error))) return;
      await this.sessions.noteCollection(collection.session_key, toView({ ...collection, error }), []);
    });
  }

  /** One at a time, and the session's row first, as everybody does who changes a session. */
  private wantSome(): Promise<boolean> {
    return this.database.run(async () => {
      const wanting = await this.collections.lockWanting();
      if (!wanting) return false;
      const vectors = vectorsFor(wanting.configuration, this.config);
      const made = vectors && (await this.want(wanting.key, shapeOf(vectors), {}, 0));
      if (!made) await this.keep(wanting.key);
      return true;
    });
  }

  /** It has a collection already, or wants none any more: what it tells stays as it is. */
  private async keep(session: number): Promise<void> {
    const found = await this.collections.findOf(session);
    await this.sessions.noteCollection(session, found && toView(found), []);
  }

  /** What every name begins with. */
  private async prefix(): Promise<string> {
    return `${await this.installation.get()}_`;
  }

  private async settleSome({ backend, directWrites }: VectorStore): Promise<boolean> {
    const due = await this.collections.takeDue(backend, directWrites, DUE);
    for (const collection of due) {
      const work = collection.state === 'dropping' ? this.drop(collection) : this.make(collection);
      await work.catch((err: unknown) =>
        this.log.warn(
          { err, collection: collection.name },
          'the vector store does not do it: tried again later',
        ),
      );
    }
    return due.length === DUE;
  }

  /** A row is there before its collection is: what no row knows was left behind by a process that was killed, or by a restored database. */
  private async dropUnknown(store: VectorStore): Promise<boolean> {
    let names: string[] = [];
    for await (const name of store.list(await this.prefix())) {
      if (names.push(name) < NAMES) continue;
      await this.dropThoseUnknown(store, names);
      names = [];
    }
    await this.dropThoseUnknown(store, names);
    return false;
  }

  private async dropThoseUnknown(store: VectorStore, names: string[]): Promise<void> {
    for (const name of await this.collections.unknown(names)) {
      this.log.warn({ collection: name }, 'dropped: no session has it');
      await store.drop(name);
    }
  }
}
