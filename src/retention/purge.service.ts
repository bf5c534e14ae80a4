import { Inject, Injectable, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common';
import type { Logger } from 'pino';
import { MembersRepository } from '../access/members.repository.js';
import { CONFIG, type Config } from '../config/config.js';
import { Database } from '../database/database.js';
import { EventsRepository } from '../events/events.repository.js';
import { LOG } from '../http/log.js';
import { IdempotencyService } from '../idempotency/idempotency.service.js';
import { MessagesRepository } from '../messages/messages.repository.js';
import { SessionsRepository } from '../sessions/sessions.repository.js';

/** Rows removed in one transaction: short enough to hold nobody up. */
const BATCH = 1_000;

/**
 * Removes what was deleted for good, and idempotency keys that have served their time. It finds its work by looking
 * at rows, so it goes on where a killed process stopped, and several processes share it.
 */
@Injectable()
export class PurgeService implements OnApplicationBootstrap, OnApplicationShutdown {
  private timer?: NodeJS.Timeout;
  private running: Promise<void> = Promise.resolve();
  private isStopping = false;

  constructor(
    private readonly database: Database,
    private readonly sessions: SessionsRepository,
    private readonly messages: MessagesRepository,
    private readonly members: MembersRepository,
    private readonly events: EventsRepository,
    private readonly idempotency: IdempotencyService,
    @Inject(CONFIG) private readonly config: Config,
    @Inject(LOG) private readonly log: Logger,
  ) {}

  onApplicationBootstrap(): void {
    const sweep = () => {
      this.running = this.running
        .then(() => this.sweep())
        .catch((err) => this.log.warn({ err }, 'purge failed'));
    };
    this.timer = setInterval(sweep, this.config.SWEEP_SECONDS * 1000).unref();
  }

  async onApplicationShutdown(): Promise<void> {
    this.isStopping = true;
    clearInterval(this.timer);
    await this.running;
  }

  /** Works until nothing is left to remove. */
  async sweep(): Promise<void> {
    while (!this.isStopping && (await this.step())) {}
    while (!this.isStopping && (await this.idempotency.purge(BATCH)) === BATCH) {}
  }

  /** One short transaction: a batch of one room's rows, or at the end the session itself. Answers whether there was one. */
  private step(): Promise<boolean> {
    return this.database.run(async () => {
      const key = await this.sessions.lockPurged();
      if (key === null) return false;
      for (const room of [this.messages, this.members, this.events]) {
        if (await room.purge(key, BATCH)) return true;
      }
      await this.sessions.remove(key);
      return true;
    });
  }
}
