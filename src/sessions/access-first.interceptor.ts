import { type CallHandler, type ExecutionContext, Injectable, type NestInterceptor } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { catchError, from, type Observable, switchMap, throwError } from 'rxjs';
import type { Permission } from '../access/roles.js';
import { DomainError } from '../common/errors.js';
import { canonicalId } from '../common/ids.js';
import { type OperationSpec, operationOf } from '../http/operation.js';
import { SessionsService } from './sessions.service.js';

/**
 * What is wrong with a request is told only to those who may act on the session at all. Services check access in the statement that
 * does the work; input that never gets that far is checked here, so that a good request pays no second round trip.
 */
@Injectable()
export class AccessFirstInterceptor implements NestInterceptor {
  constructor(private readonly sessions: SessionsService) {}

  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    const spec = operationOf(context.getHandler());
    if (!spec?.permission) return next.handle();
    return next.handle().pipe(
      catchError((error: unknown) => {
        const refusal = () => throwError(() => error);
        return tells(error) ? from(this.check(context, spec)).pipe(switchMap(refusal)) : refusal();
      }),
    );
  }

  private async check(
    context: ExecutionContext,
    { permission, seesDeleted = false }: OperationSpec,
  ): Promise<void> {
    const { params, caller } = context
      .switchToHttp()
      .getRequest<FastifyRequest<{ Params: { session_id: string } }>>();
    const id = canonicalId(params.session_id.replaceAll('\0', ''));
    await this.sessions.check(id, caller!, permission as Permission, seesDeleted);
  }
}

/** Refusals that tell something, be it only that a session was looked at; all others are thrown on as they are. */
const TELLING = new Set(['invalid', 'malformed', 'too-large', 'forbidden', 'conflict']);

const tells = (error: unknown) => error instanceof DomainError && TELLING.has(error.kind);
