import { Inject, Injectable } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Logger } from 'pino';
import { bucketName, type Caller } from '../common/caller.js';
import { DomainError } from '../common/errors.js';
import { CONFIG, type Config } from '../config/config.js';
import { authenticate } from './authenticate.js';
import { type Allowance, LIMITER, type Limiter } from './limiter.js';
import { LOG } from './log.js';
import { Tokens } from './tokens.js';

declare module 'fastify' {
  interface FastifyRequest {
    /** set by `Admission` on every route that asks for a credential */
    caller?: Caller;
  }
}

/** Lets a request in: finds out who calls, and whether he does so more often than he may. */
@Injectable()
export class Admission {
  private readonly tokens: Tokens | null;

  constructor(
    @Inject(CONFIG) private readonly config: Config,
    @Inject(LOG) log: Logger,
    @Inject(LIMITER) private readonly limiter: Limiter | null,
  ) {
    this.tokens = config.AUTH_MODE === 'jwt' ? new Tokens(config, log) : null;
  }

  /** @throws DomainError those of `authenticate`, `rate_limited` */
  async admit(request: FastifyRequest, reply: FastifyReply): Promise<void> {
    request.caller = await authenticate(request.raw, this.config, this.tokens);
    if (!this.limiter) return;
    const allowance = await this.limiter.take(bucketName(request.caller));
    tell(reply, allowance);
    if (!allowance.isAllowed) throw tooMany(allowance);
  }
}

/** As in draft-ietf-httpapi-ratelimit-headers-10. */
function tell(reply: FastifyReply, { limit, remaining, resetSeconds }: Allowance): void {
  reply.header('ratelimit-policy', `"caller";q=${limit};w=60`);
  reply.header('ratelimit', `"caller";r=${remaining};t=${resetSeconds}`);
}

const tooMany = ({ limit, retryAfterSeconds }: Allowance) =>
  new DomainError('too-many', 'rate_limited', `More than ${limit} requests a minute are too many.`, {
    retryAfter: retryAfterSeconds,
  });
