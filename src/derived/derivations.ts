import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import { CONFIG, type Config } from '../config/config.js';
import { Database } from '../database/database.js';
import { Sweeps } from '../jobs/sweeps.js';
import type { Derive } from './changed.js';
import { DueRepository } from './due.repository.js';

const EVENTS = 5_000;

/**
 * Hands what has changed to those who derive from it, off the path of whoever changed it. One process at a time, in
 * one transaction with what is derived: so what is read before a redaction is written before the redaction is noted.
 */
@Injectable()
export class Derivations implements OnModuleInit {
  private readonly derivations: Derive[] = [];

  constructor(
    private readonly database: Database,
    private readonly due: DueRepository,
    private readonly sweeps: Sweeps,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  onModuleInit(): void {
    this.sweeps.add('derivations', () => this.step(), this.config.INDEX_SECONDS);
  }

  add(derive: Derive): void {
    this.derivations.push(derive);
  }

  /** Lets everything be derived anew. */
  deriveAll(): Promise<void> {
    return this.due.noteAll();
  }

  /** Waits for a process that derives, and keeps all others from it until the transaction ends: what was derived is seen then. */
  hold(): Promise<void> {
    return this.due.waitForPosition();
  }

  /** How many messages and entries are due. */
  remaining(): Promise<number> {
    return this.due.count();
  }

  /** Derives from what is due, or notes what is; answers whether there may be more. */
  step(): Promise<boolean> {
    return this.database.run(async () => {
      const position = await this.due.lockPosition();
      if (!position) return false;
      const changed = await this.due.take();
      if (changed === null) return (await this.due.note(position, EVENTS)) > 0;
      for (const derive of this.derivations) await derive(changed);
      return true;
    });
  }
}
