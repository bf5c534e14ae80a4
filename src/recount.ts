import { runCommand } from './command.js';
import { Recount } from './stats/recount.js';
import { TotalsService } from './stats/totals.service.js';

/**
 * `npm run stats:check`: stops writes for a moment, folds what is left, and holds the totals against a recount; then, beside
 * writes, the figures that are kept of each session against its messages and reports.
 */
runCommand('npm run stats:check', async (app) => {
  const { folded, recounted } = await app.get(TotalsService, { strict: false }).prove();
  const isEqual = JSON.stringify(folded) === JSON.stringify(recounted);
  console.table(recounted);
  console.log(
    isEqual ? 'The service totals are equal to the recount.' : 'The service totals DIFFER from the recount:',
  );
  if (!isEqual) console.table(folded);
  const faulty = await app.get(Recount, { strict: false }).findFaulty();
  console.log(
    faulty.length === 0
      ? 'The figures of every session are equal to the recount.'
      : 'The figures of these sessions DIFFER from the recount:',
  );
  if (faulty.length > 0) console.table(faulty.slice(0, 1000));
  return isEqual && faulty.length === 0;
});
