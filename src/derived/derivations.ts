import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import type { Logger } from 'pino';
import { isUnavailable } from '../common/errors.js';
import { CONFIG, type Config } from '../config/config.js';
import { Database } from '../database/database.js';
import { LOG } from '../http/log.js';
import { Sweeps } from '../jobs/sweeps.js';
import type { Derive } from './changed.js';
import { DueRepository } from './due.repository.js';

/** How much is noted, and derived from, at once. */
const [EVENTS, ROWS] = [5_000, 1_000];

/**
 * Hands what has changed to those who derive from it, off the path of whoever changed it. One process at a time, in
 * one transaction with what is derived: so what is read before a redaction is written before the redaction is noted.
 */
@Injectable()
export class Derivations implements OnModuleInit {
  private readonly derivations: Derive[] = [];
  /** something failed: so many steps take one at a time, so that it is found */
  private careful = 0;

  constructor(
    private readonly database: Database,
    private readonly due: DueRepository,
    private readonly sweeps: Sweeps,
    @Inject(CONFIG) private readonly config: Config,
    @Inject(LOG) private readonly log: Logger,
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

  /** Derives from what is due, and notes what more is; answers whether there may be more. */
  async step(): Promise<boolean> {
    try {
      if (this.careful === 0) return await this.derive(ROWS);
      this.careful--;
      return await this.derive(1);
    } catch (error) {
      if (isUnavailable(error)) throw error;
      if (this.careful > 0) await this.passOver(error);
      else this.careful = ROWS;
      return true;
    }
  }

  /** What is due goes first, so that it stays little; but what is new is noted before all of that is done, so that it has its turn. */
  private derive(rows: number): Promise<boolean> {
    return this.database.run(async () => {
      const position = await this.due.lockPosition();
      if (!position) return false;
      const changed = await this.due.take(rows);
      if (changed === null) return (await this.due.note(position, EVENTS)) > 0;
      for (const derive of this.derivations) await derive(changed);
      if (await this.due.isShort()) await this.due.note(position, EVENTS);
      return true;
    });
  }

  /** One that nothing can be derived from must not keep all others from it. */
  private async passOver(err: unknown): Promise<void> {
    const passed = await this.database.run(async () => (await this.due.lockPosition()) && this.due.take(1));
    if (!passed) throw err;
    const messages = passed.messages.map(({ place_key, seq }) => ({ place_key, seq }));
    const entries = passed.entries.map(({ key }) => ({ key }));
    this.log.error({ err, of: [...messages, ...entries] }, 'passed over: nothing can be derived from it');
    this.careful = 0;
  }
}
