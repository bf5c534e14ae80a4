import type { OnApplicationShutdown } from '@nestjs/common';
import type { Outage } from '../common/outage.js';
import type { Allowance, Limiter } from '../http/limiter.js';
import { type Buckets, rateOf, type Taken } from './buckets.js';

/** So long this process counts alone after shared buckets did not answer; then one request tries them. */
const REST_MS = 1_000;

/** A token bucket for each caller: shared ones while they answer, else this process's own. */
export class RateLimiter implements Limiter, OnApplicationShutdown {
  private isInDoubt = false;
  private restsUntil = 0;

  constructor(
    private readonly perMinute: number,
    private readonly own: Buckets,
    private readonly shared: Buckets | null,
    private readonly outage: Outage,
  ) {}

  async take(name: string): Promise<Allowance> {
    return this.allowance((await this.takeShared(name)) ?? (await this.own.take(name)));
  }

  onApplicationShutdown(): void {
    this.own.close();
    this.shared?.close();
  }

  private async takeShared(name: string): Promise<Taken | null> {
    const now = performance.now();
    if (!this.shared || now < this.restsUntil) return null;
    if (this.isInDoubt) this.restsUntil = now + REST_MS;
    try {
      const taken = await this.shared.take(name);
      this.isInDoubt = false;
      this.restsUntil = 0;
      this.outage.end();
      return taken;
    } catch (error) {
      this.outage.begin(error);
      this.isInDoubt = true;
      this.restsUntil = performance.now() + REST_MS;
      return null;
    }
  }

  private allowance({ isTaken, fullIn }: Taken): Allowance {
    const { step, whole } = rateOf(this.perMinute);
    return {
      isAllowed: isTaken,
      limit: this.perMinute,
      remaining: Math.floor((whole - fullIn) / step),
      resetSeconds: Math.ceil(fullIn / 1e6),
      retryAfterSeconds: isTaken ? 0 : Math.max(1, Math.ceil((fullIn + step - whole) / 1e6)),
    };
  }
}
