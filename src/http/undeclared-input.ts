import type { Type } from '@nestjs/common';
import { ROUTE_ARGS_METADATA } from '@nestjs/common/constants.js';
import { RouteParamtypes } from '@nestjs/common/enums/route-paramtypes.enum.js';
import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import { ValidationPipe } from './validation.pipe.js';

const NOTHING = z.strictObject({});
const pipe = new ValidationPipe();

interface Bound {
  query: boolean;
  body: boolean;
}

const known = new WeakMap<object, Bound>();

/**
 * Pipes see what a route binds. What a route does not bind at all, a query or a body, is held to the same law here:
 * what is not known is refused, not ignored.
 * @throws DomainError `invalid`, `malformed_json`
 */
export function refuseUndeclared(request: FastifyRequest, controller: Type, handler: { name: string }): void {
  let bound = known.get(handler);
  if (!bound) {
    bound = boundBy(controller, handler.name);
    known.set(handler, bound);
  }
  if (!bound.query) pipe.transform(request.query, { type: 'query', schema: NOTHING });
  if (!bound.body && request.body !== undefined)
    pipe.transform(request.body, { type: 'body', schema: NOTHING });
}

function boundBy(controller: Type, method: string): Bound {
  const parameters = Object.keys(Reflect.getMetadata(ROUTE_ARGS_METADATA, controller, method) ?? {});
  const binds = (type: RouteParamtypes) => parameters.some((key) => key.startsWith(`${type}:`));
  return { query: binds(RouteParamtypes.QUERY), body: binds(RouteParamtypes.BODY) };
}
