import { createHash } from 'node:crypto';
import { errors, type JWTVerifyOptions } from 'jose';
import type { Logger } from 'pino';
import { ALL_SCOPES, type Caller } from '../common/caller.js';
import { DomainError } from '../common/errors.js';
import { isPrintableName } from '../common/ids.js';
import type { Config } from '../config/config.js';
import { KeySet } from './key-set.js';
import { RecentTokens } from './recent-tokens.js';

/** Asymmetric ones only: whoever can check a token must not be able to make one. */
const ALGORITHMS = [
  ...['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'],
  ...['ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519'],
];
/** Clocks differ. */
const SKEW_SECONDS = 30;
const MAX_LENGTH = 12_288;
/** The last instant that a date can tell. */
const LAST_MS = 8.64e15;

/** Tells whose a token is (`AUTH_MODE=jwt`). */
export class Tokens {
  private readonly keys: KeySet;
  private readonly recent: RecentTokens;
  private readonly rules: JWTVerifyOptions;

  constructor(
    config: Config,
    private readonly log: Logger,
  ) {
    this.keys = new KeySet(config.JWT_JWKS_URL!, log);
    this.recent = new RecentTokens(this.keys);
    this.rules = {
      ...{ issuer: config.JWT_ISSUER!, audience: config.JWT_AUDIENCE! },
      ...{ algorithms: ALGORITHMS, clockTolerance: SKEW_SECONDS, requiredClaims: ['sub', 'exp'] },
    };
  }

  /** @throws DomainError `invalid_token`, `token_expired`; `issuer_unavailable` when there is no key to check it with */
  async callerOf(token: string): Promise<Caller> {
    if (token.length > MAX_LENGTH) throw invalidToken(`it is longer than ${MAX_LENGTH} characters`);
    const digest = createHash('sha256').update(token).digest('base64');
    return this.recent.find(digest) ?? this.recent.keep(digest, () => this.examine(token));
  }

  private async examine(token: string): Promise<Caller & { expiresAt: Date }> {
    const { sub, exp } = await this.check(token);
    if (typeof sub !== 'string' || !isPrintableName(sub))
      throw invalidToken('its `sub` must be 1 to 255 printable characters');
    const expiresAt = new Date(Math.min((exp! + SKEW_SECONDS) * 1000, LAST_MS));
    return { userId: sub, service: null, scopes: ALL_SCOPES, expiresAt };
  }

  private async check(token: string) {
    try {
      return await this.keys.verify(token, this.rules);
    } catch (error) {
      if (error instanceof DomainError) throw error;
      if (error instanceof errors.JWTExpired) throw refused('token_expired', 'The token has expired.');
      if (error instanceof errors.JOSEError) throw invalidToken(error.message);
      this.log.warn({ err: error }, 'a token cannot be checked');
      throw invalidToken('it cannot be checked');
    }
  }
}

const refused = (code: string, detail: string) => new DomainError('unauthenticated', code, detail);

const invalidToken = (why: string) => refused('invalid_token', `The token is not accepted: ${why}.`);
