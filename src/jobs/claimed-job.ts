import type { Json, JsonObject } from '../common/json.js';
import type { Database } from '../database/database.js';
import type { Job } from './job.entity.js';
import { type Progress, type Reached, type RunningJob, Unwound } from './job-handler.js';
import { LEASE_SECONDS, type LeasesRepository } from './leases.repository.js';

/** A job while this process has it. */
export class ClaimedJob implements RunningJob {
  private readonly controller = new AbortController();
  private isStopping = false;
  /** its row is held, or waited for: a sign of life would only wait too, and take a connection */
  private isFenced = false;
  private isRenewing = false;
  private renewedAt = performance.now();
  private reached: Json;

  constructor(
    readonly row: Job,
    private readonly leases: LeasesRepository,
    private readonly database: Database,
  ) {
    this.reached = row.cursor;
  }

  readonly signal = this.controller.signal;

  get id(): string {
    return this.row.job_id;
  }
  get attempt(): number {
    return this.row.attempts;
  }
  get input(): JsonObject {
    return this.row.input;
  }
  get userId(): string | null {
    return this.row.user_id;
  }
  get sessionIds(): readonly string[] {
    return this.row.session_ids;
  }
  get cursor(): Json {
    return this.reached;
  }

  async step(cursor: Json, progress: Progress = {}): Promise<void> {
    this.signal.throwIfAborted();
    if (!(await this.leases.step(this.row, cursor, progress, false))) throw await this.whyNot();
    this.hasReached(cursor);
  }

  async fence(work: () => Promise<Reached>): Promise<void> {
    this.signal.throwIfAborted();
    this.isFenced = true;
    try {
      const reached = await this.database.run(async () => {
        if (!(await this.leases.hold(this.row))) throw await this.whyNot();
        const { cursor, progress = {}, isCommitted = false } = await work();
        await this.leases.step(this.row, cursor, progress, isCommitted);
        return cursor;
      });
      this.hasReached(reached);
    } finally {
      this.isFenced = false;
    }
  }

  /** A sign of life; what waits for the signal learns that the job is not wanted here any more, or that nobody can be told that it lives. */
  async renew(): Promise<void> {
    if (this.isFenced || this.isRenewing) return;
    this.isRenewing = true;
    try {
      const job = await this.leases.renew(this.row);
      this.renewedAt = performance.now();
      if (job === null || job.cancel_requested) this.abort(job === null ? 'lost' : 'cancelled');
    } catch {
      if (performance.now() - this.renewedAt > LEASE_SECONDS * 1000) this.abort('lost');
    } finally {
      this.isRenewing = false;
    }
  }

  /** The next step is the last one here. */
  stopAtNextStep(): void {
    this.isStopping = true;
  }

  abort(why: Unwound['why']): void {
    this.controller.abort(new Unwound(why));
  }

  private hasReached(cursor: Json): void {
    this.reached = cursor;
    this.renewedAt = performance.now();
    if (this.isStopping) throw new Unwound('stopping');
  }

  private async whyNot(): Promise<Unwound> {
    const lease = await this.leases.renew(this.row);
    return new Unwound(lease?.cancel_requested ? 'cancelled' : 'lost');
  }
}
