import 'reflect-metadata';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { createApp } from './app.js';
import { StartupError } from './common/startup-error.js';
import { loadConfig } from './config/config.js';
import { startEmbeddedPostgres } from './database/embedded/embedded-postgres.js';
import { createLog } from './http/log.js';

/** Does a piece of work in the application without serving; the process ends with 0, or with 1 if it did not do, 2 if it broke. */
export function runCommand(name: string, work: (app: NestFastifyApplication) => Promise<boolean>): void {
  withApp(name, work).then(
    (isDone) => process.exit(isDone ? 0 : 1),
    (error: unknown) => {
      console.error(error instanceof StartupError ? error.message : error);
      process.exit(2);
    },
  );
}

async function withApp<T>(name: string, work: (app: NestFastifyApplication) => Promise<T>): Promise<T> {
  const config = loadConfig();
  const log = createLog(config);
  const embedded = config.DATABASE_URL
    ? null
    : await startEmbeddedPostgres({ dataDir: config.DATA_DIR, servesAt: name, log });
  try {
    const app = await createApp(config, log, embedded?.url ?? config.DATABASE_URL!);
    const result = await work(app);
    await app.close();
    return result;
  } finally {
    await embedded?.stop();
  }
}
