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
import { type Shape, VECTOR_STORE, type VectorStore } from '../vectors/vector-store.js';
import type { Collection } from './collection.entity.js';
import { toView } from './collection.view.js';
import { CollectionsRepository, ITS_OWN } from './collections.repository.js';

/** How many at a time: collections to be made or dropped, names to be looked up. */
const [DUE, NAMES] = [20, 500];
/** Seconds between looks for what nobody knows. */
const ORPHANS_PACE = 3600;

/** Makes collections in the store and drops them there. What is wanted is a row; the store may be down meanwhile. */
@Injectable()
export class ProvisioningService implements OnModuleInit {
  constructor(
    private readonly database: Database,
    private readonly collections: CollectionsRepository,
    private readonly sessions: SessionsService,
    private readonly sweeps: Sweeps,
    private readonly installation: InstallationId,
    @Inject(VECTOR_STORE) private readonly store: VectorStore,
    @Inject(CONFIG) private readonly config: Config,
    @Inject(LOG) private readonly log: Logger,
  ) {}

  onModuleInit(): void {
    this.sweeps.add('collections wanted', () => this.wantSome(), this.config.INDEX_SECONDS);
    this.sweeps.add('collections due', () => this.settleSome(), this.config.INDEX_SECONDS);
    this.sweeps.add('collections unknown', () => this.dropUnknown(), ORPHANS_PACE);
  }

  /** Notes that the session, which is held, is to have a collection, made by the sweep if not within so many seconds by whoever wants it; null: it has one. */
  async want(
    session: number,
    shape: Shape,
    indexes: Collection['payload_indexes'],
    seconds = ITS_OWN,
  ): Promise<Collection | null> {
    const made = await this.collections.insert(
      {
        ...{ session_key: session, shape, payload_indexes: indexes },
        name: `${await this.prefix()}${newId().replaceAll('-', '')}`,
        ...{ backend: this.store.backend, direct_writes: this.store.directWrites },
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
      await this.store.ensure({ name, shape }, payload_indexes);
    } catch (error) {
      await this.note(collection, isUnavailable(error) ? null : (error as Error).message);
      throw error;
    }
    // dropped meanwhile, by somebody who found nothing there yet
    if (!(await this.collections.knows(name))) return this.store.drop(name);
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
  async drop({ name }: Collection): Promise<void> {
    await this.store.drop(name);
    await this.collections.dropped(name);
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

  private async settleSome(): Promise<boolean> {
    const due = await this.collections.takeDue(this.store.backend, this.store.directWrites, DUE);
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
  private async dropUnknown(): Promise<boolean> {
    let names: string[] = [];
    for await (const name of this.store.list(await this.prefix())) {
      if (names.push(name) < NAMES) continue;
      await this.dropThoseUnknown(names);
      names = [];
    }
    await this.dropThoseUnknown(names);
    return false;
  }

  private async dropThoseUnknown(names: string[]): Promise<void> {
    for (const name of await this.collections.unknown(names)) {
      this.log.warn({ collection: name }, 'dropped: no session has it');
      await this.store.drop(name);
    }
  }
}
