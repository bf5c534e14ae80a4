import { type CallHandler, type ExecutionContext, Injectable, type NestInterceptor } from '@nestjs/common';
import { ROUTE_ARGS_METADATA } from '@nestjs/common/constants.js';
import { RouteParamtypes } from '@nestjs/common/enums/route-paramtypes.enum.js';
import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import { ValidationPipe } from './validation.pipe.js';

const NOTHING = z.strictObject({});

/**
 * Pipes see what a route binds. What a route does not bind at all, a query or a body, is held to the same law here:
 * what is not known is refused, not ignored.
 */
@Injectable()
export class UndeclaredInputInterceptor implements NestInterceptor {
  private readonly pipe = new ValidationPipe();

  intercept(context: ExecutionContext, next: CallHandler) {
    const { query, body } = context.switchToHttp().getRequest<FastifyRequest>();
    const bound = Reflect.getMetadata(ROUTE_ARGS_METADATA, context.getClass(), context.getHandler().name);
    const binds = (type: RouteParamtypes) =>
      Object.keys(bound ?? {}).some((key) => key.startsWith(`${type}:`));
    if (!binds(RouteParamtypes.QUERY)) this.pipe.transform(query, { type: 'query', schema: NOTHING });
    if (!binds(RouteParamtypes.BODY)) this.pipe.transform(body, { type: 'body', schema: NOTHING });
    return next.handle();
  }
}
