import { type CanActivate, createParamDecorator, type ExecutionContext, Injectable } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { isService } from '../common/caller.js';
import { forbidden } from '../common/errors.js';
import { Admission } from './admission.js';
import { type OperationSpec, operationOf } from './operation.js';
import { refuseUndeclared } from './undeclared-input.js';

declare module 'fastify' {
  interface FastifyRequest {
    /** the route, once the caller may use it: refusals behind it may tell of the session in its path */
    operation?: OperationSpec;
  }
}

/** Lets in who may call at all, and finds out whether his key has the scope that the route asks for, and refuses what the route does not know. */
@Injectable()
export class CallerGuard implements CanActivate {
  constructor(private readonly admission: Admission) {}

  async canActivate(context: ExecutionContext): Promise<boolean> {
    const operation = operationOf(context.getHandler());
    const scope = operation?.scope;
    if (scope === null) return true;
    const http = context.switchToHttp();
    const request = http.getRequest<FastifyRequest>();
    // one with a body has been let in before that was read
    if (!request.caller) await this.admission.admit(request, http.getResponse<FastifyReply>());
    if (scope === undefined || !request.caller!.scopes.has(scope)) {
      throw forbidden(`The key lacks the scope ${scope}.`);
    }
    if (operation?.ofUser) checkUser(request);
    if (operation?.onlyServices && !isService(request.caller!)) throw forbidden('Only a service does this.');
    request.operation = operation;
    refuseUndeclared(request, context.getClass(), context.getHandler());
    return true;
  }
}

/** What is kept for one user is no other user's; told before what is wrong with the request. */
function checkUser({ params, caller }: FastifyRequest): void {
  const { user_id } = params as { user_id: string };
  if (caller!.userId !== null && caller!.userId !== user_id)
    throw forbidden('A user reaches what is his own only.');
}

/** The caller, as a parameter of a route. */
export const CurrentCaller = createParamDecorator(
  (_: unknown, context: ExecutionContext) => context.switchToHttp().getRequest<FastifyRequest>().caller,
);
