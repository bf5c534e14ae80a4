import { setTimeout as pause } from 'node:timers/promises';
import { type DynamicModule, Module } from '@nestjs/common';
import type { Logger } from 'pino';
import { AppModule } from '../../src/app.module.js';
import { DomainError } from '../../src/common/errors.js';
import type { Json } from '../../src/common/json.js';
import type { Config } from '../../src/config/config.js';
import { Database } from '../../src/database/database.js';
import { type Handler, JobHandler, type RunningJob } from '../../src/jobs/job-handler.js';
import { JobsService } from '../../src/jobs/jobs.service.js';
import { JOB_KINDS, type JobKind } from '../../src/jobs/kinds.js';
import { startApp, type TestApp } from './app.js';

/** What a test's job does, one after another. */
export interface Effects {
  steps: number;
  /** fails at this step, so many times in all; by its attempts */
  failing?: { at: number; times: number };
  /** refused for good at its first step, with this code */
  refused?: string;
  /** instead of its steps, waits until it is told to stop */
  waiting?: boolean;
  pauseMs?: number;
}

export const EFFECTS = 'effects' as JobKind;

/** Writes a row for every step, in one transaction with the step: any row that is there twice was done twice. */
@JobHandler(EFFECTS)
export class EffectsHandler implements Handler {
  constructor(private readonly database: Database) {}

  async run(job: RunningJob): Promise<Json> {
    const { steps, failing, refused, waiting, pauseMs = 0 } = job.input as unknown as Effects;
    if (refused) throw new DomainError('conflict', refused, 'It cannot be.');
    if (waiting) await pause(3_600_000, null, { signal: job.signal });
    for (let n = ((job.cursor as number) ?? 0) + 1; n <= steps; n++) {
      if (failing?.at === n && job.attempt <= failing.times) throw new Error('broken');
      await pause(pauseMs);
      await job.fence(async () => {
        await this.database.query({ text: 'insert into effects values ($1, $2, $3)' }, [
          job.id,
          n,
          job.attempt,
        ]);
        return { cursor: n, progress: { phase: 'effects', done: n, total: steps } };
      });
    }
    return { steps };
  }
}

/** The application with one more kind of job. */
export function jobRooms(config: Config, log: Logger, databaseUrl: string): DynamicModule {
  const kinds = { ...JOB_KINDS, [EFFECTS]: { about: 'what a test asks for' } };
  return withRooms(AppModule.forRoot(config, log, databaseUrl, kinds), EffectsHandler);
}

export function withRooms(
  app: DynamicModule,
  ...providers: NonNullable<DynamicModule['providers']>
): DynamicModule {
  @Module({})
  class TestRooms {}
  return { module: TestRooms, imports: [app], providers };
}

/** A process that can do the jobs of tests. */
export async function startJobApp(environment: NodeJS.ProcessEnv = {}, other?: TestApp): Promise<TestApp> {
  const app = await startApp(environment, other, jobRooms);
  if (!other)
    await app.database.pool.query(
      'create table effects (job_id uuid not null, n int not null, attempt int not null)',
    );
  return app;
}

/** Asks for a job; answers its id. */
export async function ask(
  app: TestApp,
  input: Effects,
  rest: { userId?: string; dedupKey?: string } = {},
): Promise<string> {
  const { userId = null, dedupKey } = rest;
  const { job } = await app.app.get(JobsService, { strict: false }).create({
    ...{ kind: EFFECTS, userId, sessionIds: [], dedupKey },
    input: { ...input } as unknown as Record<string, Json>,
  });
  return job.job_id;
}
