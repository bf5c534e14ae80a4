import {
  createLocalJWKSet,
  errors,
  type JWTPayload,
  type JWTVerifyGetKey,
  type JWTVerifyOptions,
  jwtVerify,
} from 'jose';
import type { Logger } from 'pino';
import { DomainError } from '../common/errors.js';
import { Outage } from '../common/outage.js';

/** An issuer that hangs keeps nobody waiting longer. */
const TIMEOUT_MS = 3_000;
/** Keys older than this are fetched anew, beside the requests. */
const FRESH_MS = 600_000;
/** Where no request came to have them fetched, one waits for it: so long at the most counts what the issuer has withdrawn. */
const STALE_MS = 2 * FRESH_MS;
/** Between two fetches for a key that was not there, whoever names one: so long a new key may be unknown. */
const COOL_DOWN_MS = 5_000;
const COOL_DOWN_AFTER_FAILURE_MS = 1_000;

/**
 * The public keys of an issuer, fetched when they are first needed. Once there, they serve also while the issuer is
 * away; all who wait for a fetch share one.
 */
export class KeySet {
  /** changes with the keys */
  revision = 0;
  private keys: JWTVerifyGetKey | null = null;
  private shown: string | null = null;
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
   * What a token says that one of the keys has signed. One that fits none may be by a key that is new, even
   * where it names one that is here: there are issuers that name none, or all alike.
   * @throws JOSEError when it is not good; DomainError `issuer_unavailable` when the issuer cannot be asked
   */
  async verify(token: string, rules?: JWTVerifyOptions): Promise<JWTPayload> {
    await this.prepare();
    const { revision } = this;
    try {
      return await verifyWith(this.keys!, token, rules);
    } catch (error) {
      if (!fitsNoKey(error)) throw error;
      await this.fetch();
      if (revision === this.revision) throw error;
      return verifyWith(this.keys!, token, rules);
    }
  }

  /** Whether nothing may be said by these keys before the issuer was asked again. */
  get areStale(): boolean {
    return this.now() - this.endedAt >= STALE_MS;
  }

  private async prepare(): Promise<void> {
    if (this.keys && !this.areStale) return this.keepFresh();
    await this.fetch().catch((error) => {
      if (!this.keys) throw error;
    });
  }

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
      this.take(await response.text());
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

  private take(shown: string): void {
    if (shown === this.shown) return;
    this.keys = createLocalJWKSet(JSON.parse(shown));
    this.shown = shown;
    this.revision++;
  }
}

const fitsNoKey = (error: unknown) =>
  error instanceof errors.JWKSNoMatchingKey || error instanceof errors.JWSSignatureVerificationFailed;

async function verifyWith(keys: JWTVerifyGetKey, token: string, rules?: JWTVerifyOptions) {
  try {
    return (await jwtVerify(token, keys, rules)).payload;
  } catch (error) {
    if (error instanceof errors.JWKSMultipleMatchingKeys) return verifyWithAny(error, token, rules);
    throw error;
  }
}

async function verifyWithAny(
  candidates: errors.JWKSMultipleMatchingKeys,
  token: string,
  rules?: JWTVerifyOptions,
) {
  for await (const key of candidates) {
    try {
      return (await jwtVerify(token, key, rules)).payload;
    } catch (error) {
      // what is no JOSEError says that this key is not fit, and another may be
      if (error instanceof errors.JOSEError && !fitsNoKey(error)) throw error;
    }
  }
  throw new errors.JWSSignatureVerificationFailed();
}

const unavailable = (cause?: unknown) =>
  new DomainError(
    'unavailable',
    'issuer_unavailable',
    'The keys of the tokens’ issuer cannot be had now; try again',
    { retryAfter: 1, cause },
  );
