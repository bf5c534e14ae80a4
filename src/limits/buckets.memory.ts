import type { Buckets, Rate, Taken } from './buckets.js';

/** A caller beyond these, longest silent, is forgotten: his bucket is full then. */
const MOST = 100_000;

/** Buckets of this process alone. */
export class MemoryBuckets implements Buckets {
  /** name → when it is full, by when it was last taken from; a full one need not be here */
  private readonly fullAt = new Map<string, number>();

  constructor(
    private readonly rate: Rate,
    private readonly now: () => number = () => Math.floor(performance.now() * 1000),
  ) {}

  get size(): number {
    return this.fullAt.size;
  }

  async take(name: string): Promise<Taken> {
    const now = this.now();
    const full = Math.max(this.fullAt.get(name) ?? now, now);
    const next = full + this.rate.step;
    if (next - now > this.rate.whole) return { isTaken: false, fullIn: full - now };
    this.fullAt.delete(name);
    this.fullAt.set(name, next);
    this.forget(now);
    return { isTaken: true, fullIn: next - now };
  }

  close(): void {
    this.fullAt.clear();
  }

  private forget(now: number): void {
    for (const [name, full] of this.fullAt) {
      if (full > now && this.fullAt.size <= MOST) return;
      this.fullAt.delete(name);
    }
  }
}
