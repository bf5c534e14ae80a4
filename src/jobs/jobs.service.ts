import { Inject, Injectable } from '@nestjs/common';
import type { Caller } from '../common/caller.js';
import { DomainError, forbidden } from '../common/errors.js';
import { isUuid } from '../common/ids.js';
import type { JsonObject } from '../common/json.js';
import type { Counted } from '../common/paging.js';
import { Database } from '../database/database.js';
import { violates } from '../database/failures.js';
import { type Answer, IdempotencyService } from '../idempotency/idempotency.service.js';
import { Handlers } from './handlers.js';
import type { JobState } from './job.entity.js';
import { JobQueue } from './job-queue.js';
import { JobsRepository } from './jobs.repository.js';
import type { JobRow } from './jobs.schemas.js';
import { type JobKind, KINDS, type Kinds } from './kinds.js';

export interface NewJob {
  kind: JobKind;
  /** whose it is: he sees and cancels it; null: services do */
  userId: string | null;
  /** what it works on, for the caller to know */
  sessionIds: string[];
  input: JsonObject;
  /** while a job with this key is queued or running there is no second one, such as `summarize:17` */
  dedupKey?: string;
}

const FAILURES = 5;

/** Work that outlives a request: asked for, looked at, cancelled, tried again. */
@Injectable()
export class JobsService {
  constructor(
    private readonly database: Database,
    private readonly jobs: JobsRepository,
    private readonly queue: JobQueue,
    private readonly idempotency: IdempotencyService,
    private readonly handlers: Handlers,
    @Inject(KINDS) private readonly kinds: Kinds,
  ) {}

  /** Makes a job in the caller's transaction: it is there if that commits, and workers are told then. Answers the one with the same dedup key if there is one. */
  create(job: NewJob): Promise<{ job: JobRow; isNew: boolean }> {
    const { dedupKey = null } = job;
    const row = { ...job, dedupKey, maxFailures: this.kinds[job.kind]?.attempts ?? FAILURES };
    return this.database.run(async () => {
      for (;;) {
        const made = await this.jobs.insert(row);
        if (made) return { job: this.told(made), isNew: true };
        // null: it has ended in between
        const other = await this.jobs.findUnfinished(dedupKey!);
        if (other) return { job: other, isNew: false };
      }
    });
  }

  /** @throws DomainError `job_not_found`, also for what is another user's */
  async get(id: string, caller: Caller): Promise<JobRow> {
    const job = isUuid(id) ? await this.jobs.find(id, caller.userId) : null;
    return job ?? notFound();
  }

  /** …by its key: what a replay answers. */
  async getByKey(key: number, caller: Caller): Promise<JobRow> {
    return (await this.jobs.findByKey(key, caller.userId)) ?? notFound();
  }

  /** The caller's own, a service's all; newest first. */
  page(
    filter: { state: JobState | null; kind: string | null; before: number | null; limit: number },
    caller: Caller,
  ): Promise<(JobRow & Counted)[]> {
    return this.jobs.findPage({ ...filter, user: caller.userId });
  }

  /**
   * One that is queued is cancelled at once; one that runs when its handler comes to its next step.
   * @throws DomainError `job_not_found`, `forbidden` for a key without the scope of its kind, `job_finished`
   */
  cancel(id: string, caller: Caller, key: string | null): Promise<Answer<JobRow>> {
    return this.change('cancel', id, caller, key, async (job) => {
      const cancelled = await this.jobs.cancel(job.key);
      if (!cancelled) throw conflict('job_finished', whyNotCancelled(job));
      await this.handlers.settle(cancelled);
      return cancelled;
    });
  }

  /**
   * Lets one that failed or was cancelled go on from where it stood, with all its attempts before it.
   * @throws DomainError `job_not_found`, `forbidden` as for `cancel`, `job_not_ended`; `job_exists` when another is at the same work
   */
  retry(id: string, caller: Caller, key: string | null): Promise<Answer<JobRow>> {
    return this.change('retry', id, caller, key, async (job) => {
      const requeued = await this.requeue(job.key);
      if (!requeued)
        throw conflict(
          'job_not_ended',
          `Only a job that failed or was cancelled is tried again; it is ${job.state}.`,
        );
      return this.told(requeued);
    });
  }

  private async requeue(key: number): Promise<JobRow | null> {
    try {
      return await this.jobs.requeue(key);
    } catch (error) {
      if (violates(error, 'jobs_dedup')) throw conflict('job_exists', 'Another job is at the same work.');
      throw error;
    }
  }

  private async change(
    verb: string,
    id: string,
    caller: Caller,
    key: string | null,
    work: (job: JobRow) => Promise<JobRow>,
  ): Promise<Answer<JobRow>> {
    const job = await this.get(id, caller);
    this.checkScope(job, caller);
    const request = { key, caller, route: `POST /jobs/${job.job_id}/${verb}`, body: {} };
    return this.idempotency.once(
      request,
      async () => ({ status: 200, ids: [job.key], value: await work(job) }),
      () => this.get(id, caller),
    );
  }

  private checkScope({ kind }: JobRow, { scopes }: Caller): void {
    const scope = this.kinds[kind]?.scope;
    if (scope && !scopes.has(scope))
      throw forbidden(`The key lacks the scope ${scope}, which a job of the kind ${kind} needs.`);
  }

  private told(job: JobRow): JobRow {
    this.database.afterCommit(() => this.queue.tell(job.job_id));
    return job;
  }
}

const whyNotCancelled = ({ state, committed }: JobRow) =>
  committed && state !== 'failed' && state !== 'succeeded'
    ? 'Its effect is there already.'
    : `It has ${state} already.`;

function notFound(): never {
  throw new DomainError('not-found', 'job_not_found', 'There is no such job.');
}

const conflict = (code: string, detail: string) => new DomainError('conflict', code, detail);
