import { type DynamicModule, Global, Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { DataSource } from 'typeorm';
import { StartupError } from '../common/startup-error.js';
import { dataSourceOptions } from './data-source.js';
import { Database } from './database.js';
import { migrate } from './migrate.js';

/** The one connection pool, its schema brought up to date before anything uses it. */
@Global()
@Module({})
export class DatabaseModule {
  static forRoot(url: string, poolSize: number): DynamicModule {
    return {
      module: DatabaseModule,
      imports: [
        TypeOrmModule.forRootAsync({
          useFactory: () => ({
            ...dataSourceOptions(url, poolSize),
            autoLoadEntities: true,
            retryAttempts: 0,
          }),
          dataSourceFactory: async (options) => connect(new DataSource(options!), url),
        }),
      ],
      providers: [Database],
      exports: [Database],
    };
  }
}

async function connect(dataSource: DataSource, url: string): Promise<DataSource> {
  try {
    await dataSource.initialize();
  } catch (error) {
    const { host, pathname } = new URL(url);
    throw new StartupError(
      `PostgreSQL at ${host}${pathname} does not let us in (${(error as Error).message}): check DATABASE_URL and that the server runs`,
    );
  }
  await migrate(dataSource);
  return dataSource;
}
