import { setTimeout } from 'node:timers/promises';
import { runCommand } from './command.js';
import { SummarizingService } from './context/summarizing.service.js';
import { Database } from './database/database.js';
import { Derivations } from './derived/derivations.js';
import { IndexingService } from './search/indexing.service.js';

/** `npm run reindex`: derives everything anew from messages and memory, beside a service that runs or without one. */
runCommand('npm run reindex', async (app) => {
  const derivations = app.get(Derivations, { strict: false });
  await app.get(Database, { strict: false }).run(async () => {
    await app.get(IndexingService, { strict: false }).reindex();
    await app.get(SummarizingService, { strict: false }).forget();
  });
  for (let told = 0, left = await derivations.remaining(); left > 0; left = await derivations.remaining()) {
    if (Date.now() - told > 5_000) {
      console.log(`${left} messages and entries left`);
      told = Date.now();
    }
    // another process may be at it
    if (!(await derivations.step())) await setTimeout(500);
  }
  console.log('Everything is derived anew.');
  return true;
});
