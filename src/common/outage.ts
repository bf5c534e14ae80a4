import type { Logger } from 'pino';

/** Logs once that something is away, and once that it is back. */
export class Outage {
  private isAway = false;

  /** @param meanwhile what follows for those who rely on it */
  constructor(
    private readonly log: Logger,
    private readonly what: string,
    private readonly meanwhile: string,
  ) {}

  begin(err: unknown): void {
    if (!this.isAway) this.log.warn({ err }, `${this.what} is away: ${this.meanwhile}`);
    this.isAway = true;
  }

  end(): void {
    if (this.isAway) this.log.info(`${this.what} is back`);
    this.isAway = false;
  }
}
