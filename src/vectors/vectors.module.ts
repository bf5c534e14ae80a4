import { Inject, Module, type OnApplicationShutdown } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { CONFIG, type Config } from '../config/config.js';
import { Database } from '../database/database.js';
import { createPostgresStore } from './backends/postgres/create-postgres-store.js';
import { PointRow, SpaceRow } from './backends/postgres/space.entity.js';
import { createQdrantStores } from './backends/qdrant/create-qdrant-stores.js';
import { Installation } from './installation.entity.js';
import { InstallationId } from './installation.js';
import { DERIVED_STORE, type VectorStore } from './vector-store.js';
import { VectorStores } from './vector-stores.js';

interface Opened {
  /** of new collections */
  current: VectorStore;
  derived: VectorStore;
  all: VectorStore[];
  close?(): Promise<void>;
}

interface Backend {
  isConfigured(config: Config): boolean;
  /** Asks nothing of a server yet. */
  open(config: Config, database: Database): Opened | Promise<Opened>;
}

/** What may be configured, and what it opens. All that are stay open; what is new goes to the last of them. */
const BACKENDS: Backend[] = [
  {
    isConfigured: () => true,
    open: (_, database) => {
      const { store, close } = createPostgresStore(database);
      return { current: store, derived: store, all: [store], close };
    },
  },
  {
    isConfigured: ({ QDRANT_URL, QDRANT_HOST }) => Boolean(QDRANT_URL || QDRANT_HOST),
    open: async (config) => {
      const stores = await createQdrantStores(config);
      return {
        current: stores[config.QDRANT_LAYOUT],
        derived: stores.shared,
        all: Object.values(stores),
      };
    },
  },
];

const OPENED = Symbol('OpenedVectorStores');

const open = (config: Config, database: Database): Promise<Opened[]> =>
  Promise.all(
    BACKENDS.filter((backend) => backend.isConfigured(config)).map((backend) =>
      backend.open(config, database),
    ),
  );

const storesOf = (opened: Opened[]) =>
  new VectorStores(
    opened.at(-1)!.current,
    opened.flatMap(({ all }) => all),
  );

/** The vector stores of the process. */
@Module({
  imports: [TypeOrmModule.forFeature([SpaceRow, PointRow, Installation])],
  providers: [
    InstallationId,
    { provide: OPENED, inject: [CONFIG, Database], useFactory: open },
    { provide: VectorStores, inject: [OPENED], useFactory: storesOf },
    { provide: DERIVED_STORE, inject: [OPENED], useFactory: (opened: Opened[]) => opened.at(-1)!.derived },
  ],
  exports: [VectorStores, DERIVED_STORE, InstallationId],
})
export class VectorsModule implements OnApplicationShutdown {
  constructor(@Inject(OPENED) private readonly opened: Opened[]) {}

  async onApplicationShutdown(): Promise<void> {
    await Promise.all(this.opened.map(({ close }) => close?.()));
  }
}
