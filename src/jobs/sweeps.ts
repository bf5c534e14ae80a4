import {
  type BeforeApplicationShutdown,
  Inject,
  Injectable,
  type OnApplicationBootstrap,
} from '@nestjs/common';
import type { Logger } from 'pino';
import { CONFIG, type Config } from '../config/config.js';
import { LOG } from '../http/log.js';
import { SchedulesRepository } from './schedules.repository.js';

/** One short transaction's worth of work, found by looking at rows. Answers whether there may be more. */
export type Step = () => Promise<boolean>;

interface Sweep {
  step: Step;
  /** between two turns */
  seconds: number;
  /** set times, once for all processes; null: each process has turns of its own */
  cron: string | null;
}

/**
 * What is done again and again, by every process but one that only serves (`ROLE=api`): rooms add their steps. A step takes rows
 * that no other process holds, so several share the work and a killed one leaves it to the next.
 */
@Injectable()
export class Sweeps implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private readonly sweeps = new Map<string, Sweep>();
  private readonly timers: NodeJS.Timeout[] = [];
  private readonly running = new Map<string, Promise<void>>();
  private isStopping = false;

  constructor(
    @Inject(CONFIG) private readonly config: Config,
    @Inject(LOG) private readonly log: Logger,
    private readonly schedules: SchedulesRepository,
  ) {}

  /** …every `SWEEP_SECONDS`, or at a pace of its own. */
  add(name: string, step: Step, seconds = this.config.SWEEP_SECONDS): void {
    this.sweeps.set(name, { step, seconds, cron: null });
  }

  /** …at set times (five fields, UTC), by one process: the next time is a row, so it is not forgotten while none runs. */
  schedule(name: string, cron: string, step: Step): void {
    this.sweeps.set(name, { step, seconds: this.config.SWEEP_SECONDS, cron });
  }

  onApplicationBootstrap(): void {
    if (this.config.ROLE === 'api') return;
    for (const [name, sweep] of this.sweeps)
      this.timers.push(setInterval(() => this.turn(name, sweep), sweep.seconds * 1000).unref());
  }

  /** Before the pool is closed: a step that runs is finished. */
  async beforeApplicationShutdown(): Promise<void> {
    this.isStopping = true;
    for (const timer of this.timers) clearInterval(timer);
    await Promise.all(this.running.values());
  }

  /** Does all there is to do, once, whatever the time. */
  async run(): Promise<void> {
    for (const [name, { step }] of this.sweeps) {
      await this.running.get(name);
      await this.exhaust(step);
    }
  }

  /** One step that fails, or has much to do, keeps no other from its turn. */
  private turn(name: string, sweep: Sweep): void {
    if (this.running.has(name)) return;
    const done = this.doIfDue(name, sweep)
      .catch((err: unknown) => this.log.warn({ err, sweep: name }, 'sweep failed'))
      .finally(() => this.running.delete(name));
    this.running.set(name, done);
  }

  /** One that fails is not done: it is due again when its lease is over. */
  private async doIfDue(name: string, { step, cron }: Sweep): Promise<void> {
    if (cron === null) return this.exhaust(step);
    if (!(await this.schedules.take(name, cron))) return;
    await this.exhaust(step);
    // what was left because the process stops is not done
    if (!this.isStopping) await this.schedules.done(name, cron);
  }

  private async exhaust(step: Step): Promise<void> {
    while (!this.isStopping && (await step())) {}
  }
}
