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
  private running: Promise<void> = Promise.resolve();
  private isStopping = false;

  constructor(
    @Inject(CONFIG) private readonly config: Config,
    @Inject(LOG) private readonly log: Logger,
  ) {}

  add(name: string, step: Step): void {
    this.steps.set(name, step);
  }

  onApplicationBootstrap(): void {
    const tick = () => {
      this.running = this.running.then(() => this.tick());
    };
    this.timer = setInterval(tick, this.config.SWEEP_SECONDS * 1000).unref();
  }

  /** Before the pool is closed: a step that runs is finished. */
  async beforeApplicationShutdown(): Promise<void> {
    this.isStopping = true;
    clearInterval(this.timer);
    await this.running;
  }

  /** Does all there is to do, once. */
  async run(): Promise<void> {
    for (const step of this.steps.values()) await this.exhaust(step);
  }

  /** A step that fails is tried again at the next tick, and keeps no other from its turn. */
  private async tick(): Promise<void> {
    for (const [name, step] of this.steps) {
      await this.exhaust(step).catch((err: unknown) => this.log.warn({ err, sweep: name }, 'sweep failed'));
    }
  }

  private async exhaust(step: Step): Promise<void> {
    while (!this.isStopping && (await step())) {}
  }
}
