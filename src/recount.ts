import 'reflect-metadata';
import { createApp } from './app.js';
import { StartupError } from './common/startup-error.js';
import { loadConfig } from './config/config.js';
import { startEmbeddedPostgres } from './database/embedded/embedded-postgres.js';
import { createLog } from './http/log.js';
import { TotalsService } from './stats/totals.service.js';

/** `npm run stats:check`: stops writes for a moment, folds what is left, and holds the totals against a recount. */
async function main(): Promise<boolean> {
  const config = loadConfig();
  const log = createLog(config);
  const embedded = config.DATABASE_URL
    ? null
    : await startEmbeddedPostgres({ dataDir: config.DATA_DIR, servesAt: 'npm run stats:check', log });
  const app = await createApp(config, log, embedded?.url ?? config.DATABASE_URL!);
  const { folded, recounted } = await app.get(TotalsService, { strict: false }).prove();
  await app.close();
  await embedded?.stop();
  const isEqual = JSON.stringify(folded) === JSON.stringify(recounted);
  console.table(recounted);
  console.log(
    isEqual ? 'The service totals are equal to the recount.' : 'The service totals DIFFER from the recount:',
  );
  if (!isEqual) console.table(folded);
  return isEqual;
}

main().then(
  (isEqual) => process.exit(isEqual ? 0 : 1),
  (error: unknown) => {
    console.error(error instanceof StartupError ? error.message : error);
    process.exit(2);
  },
);
