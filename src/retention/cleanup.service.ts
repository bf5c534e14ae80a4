import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import type { Caller } from '../common/caller.js';
import { CONFIG, type Config } from '../config/config.js';
import { type Answer, IdempotencyService } from '../idempotency/idempotency.service.js';
import type { JobRow } from '../jobs/jobs.schemas.js';
import { JobsService } from '../jobs/jobs.service.js';
import { Sweeps } from '../jobs/sweeps.js';

/** Has sessions laid aside by the policies: at set times, and when it is asked for. */
@Injectable()
export class CleanupService implements OnModuleInit {
  constructor(
    private readonly jobs: JobsService,
    private readonly idempotency: IdempotencyService,
    private readonly sweeps: Sweeps,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  onModuleInit(): void {
    const { RETENTION_CRON } = this.config;
    if (RETENTION_CRON === null) return;
    this.sweeps.schedule('cleanup by retention policies', RETENTION_CRON, async () => {
      await this.begin(false);
      return false;
    });
  }

  /**
   * The one that runs, if there is one. A dry run changes nothing, so one may run beside it.
   * @throws DomainError `key_reused`
   */
  ask(dryRun: boolean, caller: Caller, key: string | null): Promise<Answer<JobRow>> {
    const request = { key, caller, route: 'POST /sessions/cleanup', body: { dry_run: dryRun } };
    return this.idempotency.once(
      request,
      async () => {
        const job = await this.begin(dryRun);
        return { status: 202, ids: [job.key], value: job };
      },
      ([job]) => this.jobs.getByKey(job!, caller),
    );
  }

  private async begin(dryRun: boolean): Promise<JobRow> {
    const { job } = await this.jobs.create({
      kind: 'cleanup',
      userId: null,
      sessionIds: [],
      input: { dry_run: dryRun },
      dedupKey: dryRun ? 'cleanup:dry-run' : 'cleanup',
    });
    return job;
  }
}
