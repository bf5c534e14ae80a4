import { setTimeout as pause } from 'node:timers/promises';
import { type BeforeApplicationShutdown, Inject, Injectable } from '@nestjs/common';
import type { Logger } from 'pino';
import type { Caller } from '../common/caller.js';
import { LOG } from '../http/log.js';
import type { JobRow } from './jobs.schemas.js';
import { JobsService } from './jobs.service.js';

const LOOK_MS = 500;
/** …for who waits with his request */
const SOON_MS = 100;
const COMMENT_MS = 15_000;

/** Follows jobs for those who watch them, or wait, by looking at their rows. */
@Injectable()
export class JobStreams implements BeforeApplicationShutdown {
  private isStopping = false;

  constructor(
    private readonly jobs: JobsService,
    @Inject(LOG) private readonly log: Logger,
  ) {}

  /** A stream ends with its process; whoever watches comes again. */
  beforeApplicationShutdown(): void {
    this.isStopping = true;
  }

  /** Until the reader has left, or his token ends: the job now and at each change that is seen, until it is over; null from time to time, to show that somebody is there. */
  async *follow(first: JobRow, caller: Caller, left: AbortSignal): AsyncGenerator<JobRow | null> {
    const until = caller.expiresAt?.getTime() ?? Number.POSITIVE_INFINITY;
    let job = first;
    let quiet = 0;
    yield job;
    const patience = () => Math.min(LOOK_MS, Math.max(0, until - Date.now()));
    while (job.due_at !== null && (await this.wait(patience())) && !left.aborted && Date.now() < until) {
      const seen = await this.look(job, caller);
      if (seen === null) return;
      quiet = isSame(seen, job) ? quiet + LOOK_MS : 0;
      job = seen;
      if (quiet === 0) yield job;
      else if (quiet % COMMENT_MS === 0) yield null;
    }
  }

  /** The job when it has ended, or when so many seconds have passed, or the process stops. */
  async ended(job: JobRow, caller: Caller, seconds: number): Promise<JobRow> {
    const until = performance.now() + seconds * 1000;
    for (let now = job; ; now = await this.jobs.get(job.job_id, caller)) {
      if (now.due_at === null || performance.now() >= until) return now;
      if (!(await this.wait(SOON_MS))) return now;
    }
  }

  private async wait(ms = LOOK_MS): Promise<boolean> {
    await pause(ms, null, { ref: false });
    return !this.isStopping;
  }

  /** null: it cannot be seen now */
  private look({ job_id }: JobRow, caller: Caller): Promise<JobRow | null> {
    return this.jobs.get(job_id, caller).catch((err: unknown) => {
      this.log.info({ err, job_id }, 'a stream of a job ends');
      return null;
    });
  }
}

/** A worker's sign of life changes nothing for who watches. */
const isSame = (a: JobRow, b: JobRow) =>
  JSON.stringify({ ...a, due_at: null }) === JSON.stringify({ ...b, due_at: null });
