import {
  type BeforeApplicationShutdown,
  Inject,
  Injectable,
  type OnApplicationBootstrap,
} from '@nestjs/common';
import type { Logger } from 'pino';
import { CONFIG, type Config } from '../config/config.js';
import { LOG } from '../http/log.js';

/** One short transaction's worth of work, found by looking at rows. Answers whether there may be more. */
export type Step = () => Promise<boolean>;

/**
 * What is done again and again, every `SWEEP_SECONDS`, by every process: rooms add their steps. A step takes rows
 * that no other process holds, so several share the work and a killed one leaves it to the next.
 */
@Injectable()
export class Sweeps implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private readonly steps = new Map<string, Step>();
  private timer?: NodeJS.Timeout;
  private readonly running = new Map<string, Promise<void>>();
  private isStopping = false;

  constructor(
    @Inject(CONFIG) private readonly config: Config,
    @Inject(LOG) private readonly log: Logger,
  ) {}

  add(name: string, step: Step): void {
    this.steps.set(name, step);
  }

  onApplicationBootstrap(): void {
    this.timer = setInterval(() => this.tick(), this.config.SWEEP_SECONDS * 1000).unref();
  }

  /** Before the pool is closed: a step that runs is finished. */
  async beforeApplicationShutdown(): Promise<void> {
    this.isStopping = true;
    clearInterval(this.timer);
    await Promise.all(this.running.values());
  }

  /** Does all there is to do, once. */
  async run(): Promise<void> {
    for (const step of this.steps.values()) await this.exhaust(step);
  }

  /** One step that fails, or has much to do, keeps no other from its turn. */
  private tick(): void {
    for (const [name, step] of this.steps) {
      if (this.running.has(name)) continue;
      const done = this.exhaust(step)
        .catch((err: unknown) => this.log.warn({ err, sweep: name }, 'sweep failed'))
        .finally(() => this.running.delete(name));
      this.running.set(name, done);
    }
  }

  private async exhaust(step: Step): Promise<void> {
    while (!this.isStopping && (await step())) {}
  }
}
