import 'reflect-metadata';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
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
 * another one, as a second process would be.
 */
export async function startApp(environment: NodeJS.ProcessEnv = {}, other?: TestApp): Promise<TestApp> {
  const database = other?.database ?? (await createDatabase());
  const app = await createApp(testConfig(environment), createLog(testConfig(environment)), database.url);
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
      PORT: '0',
      ...environment,
    },
    '/nonexistent',
  );
