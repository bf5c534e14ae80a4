import 'reflect-metadata';
import type { DynamicModule } from '@nestjs/common';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import type { Logger } from 'pino';
import { createApp } from '../../src/app.js';
import { type Config, loadConfig } from '../../src/config/config.js';
import { createLog } from '../../src/http/log.js';
import { Api } from './api.js';
import { createDatabase, type TestDatabase } from './database.js';

export const SERVICE_KEY = 'test-service-key-0123456789';

export interface TestApp {
  api: Api;
  url: string;
  app: NestFastifyApplication;
  database: TestDatabase;
  close(): Promise<void>;
}

/**
 * The whole application on a database and a port of its own, in this process, over real HTTP; or on the database of
 * another one, as a second process would be. With `rooms`, these are put together instead of the application's own.
 */
export async function startApp(
  environment: NodeJS.ProcessEnv = {},
  other?: TestApp,
  rooms?: (config: Config, log: Logger, databaseUrl: string) => DynamicModule,
): Promise<TestApp> {
  const database = other?.database ?? (await createDatabase());
  const config = testConfig(environment);
  const log = createLog(config);
  const app = await createApp(config, log, database.url, rooms?.(config, log, database.url)).catch(
    async (error: unknown) => {
      if (!other) await database.drop();
      throw error;
    },
  );
  await app.listen({ host: '127.0.0.1', port: 0 });
  const url = (await app.getUrl()).replace('[::1]', '127.0.0.1');
  const close = async () => {
    await app.close();
    if (!other) await database.drop();
  };
  return { api: new Api(url), url, app, database, close };
}

const testConfig = (environment: NodeJS.ProcessEnv): Config =>
  loadConfig(
    {
      LOG_LEVEL: 'silent',
      SERVICE_API_KEYS: `tests:${SERVICE_KEY}`,
      SWEEP_SECONDS: '3600',
      INDEX_SECONDS: '3600',
      // `Sweeps.run` does what is scheduled too, whatever the time
      RETENTION_CRON: 'off',
      PORT: '0',
      ...environment,
    },
    '/nonexistent',
  );
