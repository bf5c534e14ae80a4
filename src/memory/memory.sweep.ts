import { Injectable, type OnModuleInit } from '@nestjs/common';
import { Database } from '../database/database.js';
import { Sweeps } from '../jobs/sweeps.js';
import { MemoryWritesRepository } from './memory-writes.repository.js';

/** Removes entries whose time has run out; for readers they are gone from that instant. */
@Injectable()
export class MemorySweep implements OnModuleInit {
  constructor(
    private readonly database: Database,
    private readonly writes: MemoryWritesRepository,
    private readonly sweeps: Sweeps,
  ) {}

  onModuleInit(): void {
    this.sweeps.add('expired memory', () => this.step());
  }

  private step(): Promise<boolean> {
    return this.database.run(async () => {
      const space = await this.writes.lockExpired();
      if (space === null) return false;
      await this.writes.deleteExpired(space);
      return true;
    });
  }
}
