import { runCommand } from './command.js';
import { TotalsService } from './stats/totals.service.js';

/** `npm run stats:check`: stops writes for a moment, folds what is left, and holds the totals against a recount. */
runCommand('npm run stats:check', async (app) => {
  const { folded, recounted } = await app.get(TotalsService, { strict: false }).prove();
  const isEqual = JSON.stringify(folded) === JSON.stringify(recounted);
  console.table(recounted);
  console.log(
    isEqual ? 'The service totals are equal to the recount.' : 'The service totals DIFFER from the recount:',
  );
  if (!isEqual) console.table(folded);
  return isEqual;
});
