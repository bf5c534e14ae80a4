import 'reflect-metadata';
import { createInterface } from 'node:readline';
import { Inject, Module } from '@nestjs/common';
import { createApp } from '../../dist/src/app.js';
import { AppModule } from '../../dist/src/app.module.js';
import { loadConfig } from '../../dist/src/config/config.js';
import { Database } from '../../dist/src/database/database.js';
import { createLog } from '../../dist/src/http/log.js';
import { JobHandler } from '../../dist/src/jobs/job-handler.js';
import { JOB_KINDS } from '../../dist/src/jobs/kinds.js';

/**
 * A worker as a process of its own, on the build, with one more kind of job. In its first attempt it tells when it
 * has come to the phase that the job names, and stays there until a line is written to it.
 */
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

class EffectsHandler {
  constructor(database) {
    this.database = database;
  }

  async run(job) {
    const { steps, stayAt } = job.input;
    const at = async (phase) => {
      if (job.attempt > 1 || phase !== stayAt) return;
      console.log(`at ${phase}`);
      await lines.next();
    };
    await at('claimed');
    for (let n = (job.cursor ?? 0) + 1; n <= steps; n++) {
      await job.fence(async () => {
        await this.database.query({ text: 'insert into effects values ($1, $2, $3)' }, [
          job.id,
          n,
          job.attempt,
        ]);
        if (n === 2) await at('mid-step');
        return { cursor: n, progress: { done: n, total: steps } };
      });
      if (n === 2) await at('between steps');
    }
    await at('before the finish');
    return { steps };
  }
}
Inject(Database)(EffectsHandler, undefined, 0);
JobHandler('effects')(EffectsHandler);

class Rooms {}
Module({})(Rooms);

const config = loadConfig();
const log = createLog(config);
const kinds = { ...JOB_KINDS, effects: { about: 'what a test asks for' } };
const rooms = {
  module: Rooms,
  imports: [AppModule.forRoot(config, log, config.DATABASE_URL, kinds)],
  providers: [EffectsHandler],
};
const app = await createApp(config, log, config.DATABASE_URL, rooms);
await app.listen({ host: '127.0.0.1', port: config.PORT });
process.on('SIGTERM', () => app.close().then(() => process.exit(0)));
