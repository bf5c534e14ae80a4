import { type ArgumentsHost, Catch } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import type { Permission } from '../access/roles.js';
import { DomainError } from '../common/errors.js';
import { canonicalId } from '../common/ids.js';
import { ProblemFilter } from '../http/problem.filter.js';
import { SessionsService } from './sessions.service.js';

/**
 * What is wrong with a request is told only to those who may act on the session at all. Services check access in the statement that
 * does the work; input that never gets that far is checked here, so that a good request pays no second round trip.
 */
@Catch()
export class AccessFirstFilter extends ProblemFilter {
  constructor(private readonly sessions: SessionsService) {
    super();
  }

  override catch(error: unknown, host: ArgumentsHost): void {
    const request = host.switchToHttp().getRequest<FastifyRequest>();
    const send = (refusal: unknown) => super.catch(refusal, host);
    if (tells(error) && request.operation?.permission) this.check(request).then(() => send(error), send);
    else send(error);
  }

  private check({ params, caller, operation }: FastifyRequest): Promise<void> {
    const id = canonicalId((params as { session_id: string }).session_id.replaceAll('\0', ''));
    const { permission, seesDeleted = false } = operation!;
    return this.sessions.check(id, caller!, permission as Permission, seesDeleted);
  }
}

/** Refusals that tell something, be it only that a session was looked at; all others are sent as they are. */
const TELLING = new Set(['invalid', 'malformed', 'too-large', 'forbidden', 'conflict']);

const tells = (error: unknown) => error instanceof DomainError && TELLING.has(error.kind);
