import { Inject, Module, type OnApplicationShutdown } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { CONFIG, type Config } from '../config/config.js';
import { Database } from '../database/database.js';
import { createPostgresStore } from './backends/postgres/create-postgres-store.js';
import { PointRow, SpaceRow } from './backends/postgres/space.entity.js';
import { createQdrantStore } from './backends/qdrant/create-qdrant-store.js';
import { Installation } from './installation.entity.js';
import { InstallationId } from './installation.js';
import { DERIVED_STORE, VECTOR_STORE, type VectorStore } from './vector-store.js';

interface Opened {
  store: VectorStore;
  derived: VectorStore;
  close(): Promise<void>;
}

/** What may be configured, and what it opens. */
const BACKENDS = {
  postgres: (database: Database): Opened | Promise<Opened> => {
    const { store, close } = createPostgresStore(database);
    return { store, derived: store, close };
  },
  qdrant: (_: Database, config: Config): Promise<Opened> => createQdrantStore(config),
};

const OPENED = Symbol('OpenedVectorStore');

/** The one backend of the process. */
@Module({
  imports: [TypeOrmModule.forFeature([SpaceRow, PointRow, Installation])],
  providers: [
    InstallationId,
    {
      provide: OPENED,
      inject: [Database, CONFIG],
      useFactory: (database: Database, config: Config) =>
        BACKENDS[config.QDRANT_URL || config.QDRANT_HOST ? 'qdrant' : 'postgres'](database, config),
    },
    { provide: VECTOR_STORE, inject: [OPENED], useFactory: ({ store }: Opened) => store },
    { provide: DERIVED_STORE, inject: [OPENED], useFactory: ({ derived }: Opened) => derived },
  ],
  exports: [VECTOR_STORE, DERIVED_STORE, InstallationId],
})
export class VectorsModule implements OnApplicationShutdown {
  constructor(@Inject(OPENED) private readonly opened: Opened) {}

  onApplicationShutdown(): Promise<void> {
    return this.opened.close();
  }
}
