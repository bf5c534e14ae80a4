import type { Logger } from 'pino';

/** Logs once that something is away, with what follows from it, and once that it is back. */
export class Outage {
  private isAway = false;

  constructor(
    private readonly log: Logger,
    private readonly what: string,
    private readonly consequence: string,
  ) {}

  begin(err: unknown): void {
    if (!this.isAway) this.log.warn({ err }, `${this.what} is away: ${this.consequence}`);
    this.isAway = true;
  }

  end(): void {
    if (this.isAway) this.log.info(`${this.what} is back`);
    this.isAway = false;
  }
}
