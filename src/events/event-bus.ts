import { Inject, Injectable, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common';
import type { Logger } from 'pino';
import { newId } from '../common/ids.js';
import { Outage } from '../common/outage.js';
import { paced } from '../common/paced.js';
import { CONFIG, type Config } from '../config/config.js';
import { Database } from '../database/database.js';
import { LOG } from '../http/log.js';
import { connectPostgres } from './backends/postgres.js';
import { connectRedis } from './backends/redis.js';
import type { Bus, Ear } from './bus.contract.js';
import { WRITES_EVENTS } from './events.sql.js';

/** Others are told at most so often, however much is written. */
const PACE_MS = 40;
/** A bus that hangs must not keep anybody waiting, nor a process from ending. */
const PATIENCE_MS = 1_000;

/**
 * Tells that events have been written, after their commit: listeners of this process at once, those of others over
 * Redis or PostgreSQL. It says neither which nor how many, and holds no truth: what it loses costs those who look at
 * the log the time until they look again by themselves.
 */
@Injectable()
export class EventBus implements OnApplicationBootstrap, OnApplicationShutdown {
  private readonly listeners: (() => void)[] = [];
  private readonly tellOthers = paced(() => this.tell(), PACE_MS);
  private bus: Bus | null = null;
  private opening: Promise<void> = Promise.resolve();

  constructor(
    private readonly database: Database,
    @Inject(CONFIG) private readonly config: Config,
    @Inject(LOG) private readonly log: Logger,
  ) {
    database.listen(WRITES_EVENTS, () => {
      this.hear();
      this.tellOthers();
    });
  }

  /** Calls this when there may be new events. It must not throw, and should not take long. */
  listen(hear: () => void): void {
    this.listeners.push(hear);
  }

  onApplicationBootstrap(): void {
    const ear: Ear = {
      name: newId(),
      hear: () => this.hear(),
      outage: new Outage(this.log, 'the bus of events', 'readers at other processes are told later'),
    };
    this.opening = this.connect(ear).then(
      (bus) => {
        this.bus = bus;
      },
      (err: unknown) => this.log.error({ err }, 'the bus of events cannot be opened'),
    );
  }

  /** After the last request, of which others may still have to hear. */
  async onApplicationShutdown(): Promise<void> {
    await within(this.opening);
    const { bus } = this;
    this.bus = null;
    await within(bus?.close());
  }

  private hear(): void {
    for (const hear of this.listeners) hear();
  }

  private async tell(): Promise<void> {
    try {
      await within(this.bus?.tell());
    } catch (err) {
      this.log.debug({ err }, 'other processes were not told of events');
    }
  }

  /** The one table from configuration to bus. */
  private connect(ear: Ear): Promise<Bus> {
    const { REDIS_URL } = this.config;
    return REDIS_URL === undefined ? connectPostgres(this.database, ear) : connectRedis(REDIS_URL, ear);
  }
}

const within = (work: Promise<unknown> | undefined) =>
  Promise.race([work, new Promise((resolve) => setTimeout(resolve, PATIENCE_MS).unref())]);
