import 'reflect-metadata';
import { pino } from 'pino';
import { DataSource } from 'typeorm';
import { dataSourceOptions } from '../../src/database/data-source.js';
import { Database } from '../../src/database/database.js';
import { createPostgresStore } from '../../src/vectors/backends/postgres/create-postgres-store.js';

export type Options = Parameters<typeof createPostgresStore>[1];

/** A store on this database, as another process would have it. */
export async function openPostgres(url: string, options: Options = {}) {
  const dataSource = await new DataSource(dataSourceOptions(url, 16)).initialize();
  const { store, thread, close } = createPostgresStore(
    new Database(dataSource, pino({ level: 'silent' })),
    options,
  );
  return {
    store,
    thread,
    close: async () => {
      await close();
      await dataSource.destroy();
    },
  };
}
