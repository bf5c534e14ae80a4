import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import { CONFIG, type Config } from '../config/config.js';
import { Database } from '../database/database.js';
import { Sweeps } from '../jobs/sweeps.js';
import { OldEventsRepository } from './old-events.repository.js';

/** Events removed in one transaction: short enough to hold nobody up. */
const BATCH = 2_000;

/** Removes events that are older than `EVENT_RETENTION_DAYS`; numbering goes on. */
@Injectable()
export class OldEvents implements OnModuleInit {
  constructor(
    private readonly database: Database,
    private readonly events: OldEventsRepository,
    private readonly sweeps: Sweeps,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  onModuleInit(): void {
    this.sweeps.add('old events', () => this.remove());
  }

  /** Whether there may be more. */
  private remove(): Promise<boolean> {
    const { EVENT_RETENTION_DAYS: days, REDIS_URL } = this.config;
    return this.database.run(async () => {
      const start = await this.events.lockPosition();
      if (start === null) return false;
      const { count, end } = await this.events.removeNext(start, days, REDIS_URL !== undefined, BATCH);
      if (count > 0) await this.events.moveTo(end);
      return count === BATCH;
    });
  }
}
