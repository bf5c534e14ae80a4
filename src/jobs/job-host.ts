import {
  type BeforeApplicationShutdown,
  Inject,
  Injectable,
  type OnApplicationBootstrap,
} from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import type { Logger } from 'pino';
import { Counter } from 'prom-client';
import { DomainError } from '../common/errors.js';
import { CONFIG, type Config } from '../config/config.js';
import { Database } from '../database/database.js';
import { LOG } from '../http/log.js';
import { ClaimedJob } from './claimed-job.js';
import { Handlers } from './handlers.js';
import type { Job } from './job.entity.js';
import { Unwound } from './job-handler.js';
import { JobQueue } from './job-queue.js';
import type { JobRow } from './jobs.schemas.js';
import { KINDS, type Kinds } from './kinds.js';
import { LEASE_SECONDS, LeasesRepository } from './leases.repository.js';

/** Jobs that a process runs at once. */
const CONCURRENCY = 4;
/** Seconds between two looks at what is due. */
const POLL_SECONDS = 2;
/** Seconds that a step is given to end when the process stops. */
const PATIENCE_SECONDS = 10;
const MAX_BACK_OFF_SECONDS = 300;
const HEARTBEAT_MS = (LEASE_SECONDS * 1000) / 6;

const attempts = new Counter({
  name: 'job_attempts_total',
  help: 'Attempts at jobs that have ended here.',
  labelNames: ['kind', 'outcome'] as const,
});

/** Takes jobs that are due, lets their handlers run, and writes what became of them. */
@Injectable()
export class JobHost implements OnApplicationBootstrap, BeforeApplicationShutdown {
  /** one for each job that is being taken, or runs */
  private readonly places = new Set<Promise<void>>();
  private readonly running = new Set<ClaimedJob>();
  private readonly names: string[];
  private timer?: NodeJS.Timeout;
  private isStopping = false;

  constructor(
    private readonly database: Database,
    private readonly leases: LeasesRepository,
    private readonly handlers: Handlers,
    private readonly queue: JobQueue,
    private readonly adapter: HttpAdapterHost,
    @Inject(KINDS) kinds: Kinds,
    @Inject(CONFIG) private readonly config: Config,
    @Inject(LOG) private readonly log: Logger,
  ) {
    this.names = Object.keys(kinds);
  }

  /** Not before it listens: neither the start nor what runs without serving waits for a queue. */
  onApplicationBootstrap(): void {
    this.adapter.listen$.subscribe(() => this.start());
  }

  /**
   * Nothing new is taken; what runs ends at its next step, or is let go when patience ends: either way another
   * process may go on with it at once.
   */
  async beforeApplicationShutdown(): Promise<void> {
    this.isStopping = true;
    clearInterval(this.timer);
    for (const job of this.running) job.stopAtNextStep();
    const late = setTimeout(() => this.letGo(), PATIENCE_SECONDS * 1000);
    await Promise.allSettled(this.places);
    clearTimeout(late);
    await this.queue.close();
  }

  /** The rows are looked at again and again: the queue only makes it sooner. */
  private start(): void {
    if (this.config.ROLE === 'api') {
      this.queue.open(null);
      return;
    }
    this.timer = setInterval(() => this.look(), POLL_SECONDS * 1000).unref();
    this.queue.open({ concurrency: CONCURRENCY, wake: (id) => this.work(id) });
    this.look();
  }

  /** Takes this job if it is due, else whatever is; then goes on, as long as there is anything and a place is free. */
  private work(id: string | null = null): Promise<void> {
    if (this.isStopping || this.places.size === CONCURRENCY) return Promise.resolve();
    const place: Promise<void> = this.take(id)
      .finally(() => this.places.delete(place))
      .then((isDone) => (isDone ? this.next() : undefined));
    this.places.add(place);
    return place;
  }

  private async take(id: string | null): Promise<boolean> {
    const row = await this.leases.claim(this.names, id);
    if (row === null) return false;
    this.next();
    await this.run(row);
    return true;
  }

  private next(): void {
    this.work().catch((err: unknown) => this.log.warn({ err }, 'no job could be taken'));
  }

  private look(): void {
    this.bury().catch((err: unknown) =>
      this.log.warn({ err }, 'jobs that lost their worker are left for later'),
    );
    this.next();
  }

  private async bury(): Promise<void> {
    for (;;) {
      const job = await this.end(() => this.leases.bury());
      if (!job) return;
      this.log.error(told(job), 'a job ended with its worker');
    }
  }

  /** What it held is given back with it. */
  private end(write: () => Promise<JobRow | null>): Promise<JobRow | null> {
    return this.database.run(async () => {
      const job = await write();
      if (job) await this.handlers.settle(job);
      return job;
    });
  }

  private letGo(): void {
    for (const job of this.running) job.abort('stopping');
  }

  private async run(row: Job): Promise<void> {
    const job = new ClaimedJob(row, this.leases, this.database);
    // a shutdown may have begun while it was being taken
    if (this.isStopping) job.stopAtNextStep();
    this.running.add(job);
    const heartbeat = setInterval(() => void job.renew(), HEARTBEAT_MS);
    try {
      await this.attempt(job);
    } catch (err) {
      this.log.warn(
        { err, ...told(row) },
        'what became of a job could not be written: it will be tried again',
      );
    } finally {
      clearInterval(heartbeat);
      this.running.delete(job);
    }
  }

  private async attempt(job: ClaimedJob): Promise<void> {
    const { signal, row } = job;
    try {
      const result = await Promise.race([this.handlers.get(row.kind).run(job), aborted(signal)]);
      if (!(await this.leases.succeed(row, result ?? null))) throw new Unwound('lost');
      attempts.inc({ kind: row.kind, outcome: 'succeeded' });
    } catch (error) {
      const cause = signal.aborted ? signal.reason : error;
      if (cause instanceof Unwound) await this.unwind(row, cause.why);
      else await this.fail(row, cause);
    }
  }

  private async unwind(row: Job, why: Unwound['why']): Promise<void> {
    attempts.inc({ kind: row.kind, outcome: why });
    if (why === 'cancelled') await this.end(() => this.leases.cancel(row));
    if (why === 'stopping' && (await this.end(() => this.leases.release(row))))
      await this.queue.tell(row.job_id);
    if (why === 'lost') this.log.warn(told(row), 'a job was taken for lost, and by another worker');
  }

  private async fail(row: Job, error: unknown): Promise<void> {
    attempts.inc({ kind: row.kind, outcome: 'failed' });
    const refusal = error instanceof DomainError ? error : null;
    const isFinal = (refusal && refusal.kind !== 'unavailable') || row.failures + 1 >= row.max_failures;
    const detail = refusal?.message ?? 'Something broke here; the log has the rest under this job_id.';
    const retryAfter = isFinal ? null : backOff(row.failures);
    if (refusal) this.log.info({ code: refusal.code, retryAfter, ...told(row) }, 'a job failed');
    else this.log.error({ err: error, retryAfter, ...told(row) }, 'a job failed');
    await this.end(() => this.leases.fail(row, refusal?.code ?? 'internal', detail, retryAfter));
  }
}

const told = ({ job_id, kind, attempts }: JobRow) => ({ job_id, kind, attempt: attempts });

/** Seconds: 1, 2, 4…, by chance up to half of it less, so that what failed together does not come again together. */
const backOff = (failures: number): number =>
  Math.min(2 ** failures, MAX_BACK_OFF_SECONDS) * (0.5 + Math.random() / 2);

/** A handler that does not listen is left behind: nothing it writes in steps counts any more. */
const aborted = (signal: AbortSignal): Promise<never> =>
  new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
