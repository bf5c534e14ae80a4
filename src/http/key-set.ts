import { createLocalJWKSet, errors, type JWTVerifyGetKey } from 'jose';
import type { Logger } from 'pino';
import { DomainError } from '../common/errors.js';
import { Outage } from '../common/outage.js';

/** An issuer that hangs keeps nobody waiting longer. */
const TIMEOUT_MS = 3_000;
/** Keys older than this are fetched anew, beside the requests: so long counts what the issuer has withdrawn. */
const FRESH_MS = 600_000;
/** Between two fetches for a key that was not there, whoever names one: so long a new key may be unknown. */
const COOL_DOWN_MS = 5_000;
const COOL_DOWN_AFTER_FAILURE_MS = 1_000;

/**
 * The public keys of an issuer, fetched when they are first needed. Once there, they serve also while the issuer is
 * away; all who wait for a fetch share one.
 */
export class KeySet {
  /** changes whenever the keys may have */
  revision = 0;
  private keys: JWTVerifyGetKey | null = null;
  private fetching: Promise<void> | null = null;
  private hasFailed = false;
  private endedAt = Number.NEGATIVE_INFINITY;
  private readonly outage: Outage;

  constructor(
    private readonly url: string,
    log: Logger,
    private readonly now: () => number = () => performance.now(),
  ) {
    this.outage = new Outage(log, 'the issuer’s key set', 'tokens are held to the keys that are here');
  }

  /**
   * The key that a token names.
   * @throws JOSEError when the issuer has no such key; DomainError `issuer_unavailable` when it cannot be asked
   */
  readonly find: JWTVerifyGetKey = async (header, token) => {
    if (!this.keys) await this.fetch();
    else this.keepFresh();
    try {
      return await this.keys!(header, token);
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey)) throw error;
      await this.fetch();
      return this.keys!(header, token);
    }
  };

  /** Begins to fetch the keys anew when it is time. */
  keepFresh(): void {
    if (!this.keys || (!this.hasFailed && this.now() - this.endedAt < FRESH_MS)) return;
    this.fetch().catch(() => undefined);
  }

  /** Leaves the keys as they are for a while after each time. */
  private fetch(): Promise<void> {
    const rest = this.hasFailed ? COOL_DOWN_AFTER_FAILURE_MS : COOL_DOWN_MS;
    if (!this.fetching && this.now() - this.endedAt < rest)
      return this.hasFailed ? Promise.reject(unavailable()) : Promise.resolve();
    this.fetching ??= this.ask().finally(() => {
      this.fetching = null;
      this.endedAt = this.now();
    });
    return this.fetching;
  }

  private async ask(): Promise<void> {
    try {
      const response = await fetch(this.url, {
        headers: { accept: 'application/jwk-set+json, application/json' },
        redirect: 'error',
        signal: AbortSignal.timeout(TIMEOUT_MS),
      });
      if (response.status !== 200) {
        await response.body?.cancel();
        throw new Error(`the issuer answers ${response.status}`);
      }
      this.keys = createLocalJWKSet((await response.json()) as Parameters<typeof createLocalJWKSet>[0]);
      this.revision++;
      this.hasFailed = false;
      this.outage.end();
    } catch (error) {
      // what fetch throws says nothing by itself
      const cause = (error as Error).cause ?? error;
      this.hasFailed = true;
      this.outage.begin(cause);
      throw unavailable(cause);
    }
  }
}

const unavailable = (cause?: unknown) =>
  new DomainError(
    'unavailable',
    'issuer_unavailable',
    'The keys of the tokens’ issuer cannot be had now; try again',
    { retryAfter: 1, cause },
  );
