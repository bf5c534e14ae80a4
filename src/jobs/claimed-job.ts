import type { Json, JsonObject } from '../common/json.js';
import type { Database } from '../database/database.js';
import type { Job } from './job.entity.js';
import { type Progress, type Reached, type RunningJob, Unwound } from './job-handler.js';
import type { LeasesRepository } from './leases.repository.js';

/** A job while this process has it. */
export class ClaimedJob implements RunningJob {
  private readonly controller = new AbortController();
  private isStopping = false;
  /** its row is held, or waited for: a sign of life would only wait too, and take a connection */
  private isHeld = false;
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
    if (!(await this.leases.step(this.row, cursor, progress))) throw await this.whyNot();
    this.reached = cursor;
    if (this.isStopping) throw new Unwound('stopping');
  }

  async fence(work: () => Promise<Reached>): Promise<void> {
    this.signal.throwIfAborted();
    this.isHeld = true;
    try {
      this.reached = await this.database.run(async () => {
        if (!(await this.leases.hold(this.row))) throw await this.whyNot();
        const { cursor, progress = {} } = await work();
        await this.leases.step(this.row, cursor, progress);
        return cursor;
      });
    } finally {
      this.isHeld = false;
    }
    if (this.isStopping) throw new Unwound('stopping');
  }

  /** A sign of life; what waits for the signal learns that the job is not wanted here any more. */
  async renew(): Promise<void> {
    if (this.isHeld) return;
    this.isHeld = true;
    const lease = await this.leases.renew(this.row).finally(() => {
      this.isHeld = false;
    });
    if (lease === null || lease.cancel_requested) this.abort(lease === null ? 'lost' : 'cancelled');
  }

  /** The next step is the last one here. */
  stopAtNextStep(): void {
    this.isStopping = true;
  }

  abort(why: Unwound['why']): void {
    this.controller.abort(new Unwound(why));
  }

  private async whyNot(): Promise<Unwound> {
    const lease = await this.leases.renew(this.row);
    return new Unwound(lease?.cancel_requested ? 'cancelled' : 'lost');
  }
}
