import { Injectable, type OnModuleInit } from '@nestjs/common';
import { Database } from '../database/database.js';
import { Sweeps } from '../jobs/sweeps.js';
import { SessionsRepository } from './sessions.repository.js';
import { SettlingService } from './settling.service.js';

const BATCH = 100;

/** Settles the sessions whose time has come and that nobody has written to since. */
@Injectable()
export class DueSweep implements OnModuleInit {
  constructor(
    private readonly database: Database,
    private readonly sessions: SessionsRepository,
    private readonly settling: SettlingService,
    private readonly sweeps: Sweeps,
  ) {}

  onModuleInit(): void {
    this.sweeps.add('expiry and crash detection', () => this.step());
  }

  private step(): Promise<boolean> {
    return this.database.run(async () => {
      const due = await this.sessions.lockDue(BATCH);
      // one may have become busy between being found and being held
      for (const row of due) if (row.busy_job === null) await this.settling.settle(row, null);
      return due.length > 0;
    });
  }
}
