import { applyDecorators, HttpCode, SetMetadata } from '@nestjs/common';
import { ApiOperation } from '@nestjs/swagger';
import type { z } from 'zod';
import type { Scope } from '../common/caller.js';

/** What a route says of itself: guards act on it, the OpenAPI document tells it. */
export interface OperationSpec {
  /** operationId, as a client generator names the method */
  id: string;
  summary: string;
  description?: string;
  /** a service key needs it; null: the route asks for no credential at all */
  scope: Scope | null;
  /** what the caller's role in the session of the path must allow; absent: no session in the path */
  permission?: string;
  /** the path names a user: he himself may, and services */
  ofUser?: boolean;
  /** services alone may, not even the user that the path names */
  onlyServices?: boolean;
  /** reaches deleted sessions too */
  seesDeleted?: boolean;
  /** status → schema of the answer, null for no content; the first is the ordinary one */
  answers: Record<number, z.ZodType | null>;
  /** status → codes it is refused with, beside those that all routes of its kind share */
  refusals?: Record<number, string[]>;
  /** takes a body; its example */
  body?: { example: unknown; required?: boolean; mediaTypes?: string[]; streams?: StreamedTypes };
  /** takes `Idempotency-Key` */
  idempotent?: boolean;
  /** answers `ETag`; one that writes takes `If-Match` too */
  versioned?: 'read' | 'write';
  /** a 201 answers `Location` */
  located?: boolean;
  /** begins a job and answers where it is: 202, or with `Prefer: wait` 200 when it has ended */
  isJob?: boolean;
  /** of the ordinary answer, when it is not JSON */
  mediaType?: string;
  /** …which may be JSON too, if that is asked for */
  alsoJson?: z.ZodType;
  /** …which is a stream of events, if that is asked for; an example of it */
  alsoEvents?: string;
  /** an example of the ordinary answer, beside those in its schema */
  example?: unknown;
}

/** Of a body that is read as it comes: what it is in each media type; null: bytes. */
export type StreamedTypes = Record<string, { schema: z.ZodType | null; example?: unknown }>;

const OPERATION = Symbol('operation');

const declared = new Map<string, OperationSpec>();

/** Declares a route: what it answers and refuses, its headers, scope and permission, in one place. */
export function Operation(spec: OperationSpec): MethodDecorator {
  declared.set(spec.id, spec);
  return applyDecorators(
    SetMetadata(OPERATION, spec),
    HttpCode(Number(Object.keys(spec.answers)[0])),
    ApiOperation({ operationId: spec.id, summary: spec.summary }),
  );
}

/** The declaration of a route's handler; undefined for what is not ours. */
export const operationOf = (handler: object): OperationSpec | undefined =>
  Reflect.getMetadata(OPERATION, handler);

export const operationById = (id: string): OperationSpec | undefined => declared.get(id);

/** Status → codes of everything the route may be refused with. */
export function refusalsOf(spec: OperationSpec): Record<number, string[]> {
  const codes: Record<number, string[]> = spec.scope === null ? {} : sharedRefusals(spec);
  for (const [status, own] of Object.entries(spec.refusals ?? {})) {
    codes[Number(status)] = [...own, ...(codes[Number(status)] ?? [])];
  }
  codes[500] = ['internal'];
  return codes;
}

function sharedRefusals(spec: OperationSpec): Record<number, string[]> {
  const mayHaveBody =
    spec.body !== undefined || spec.scope?.endsWith(':write') || spec.versioned === 'write' || spec.isJob;
  const codes: Record<number, string[]> = {
    400: ['malformed_request', ...(mayHaveBody ? ['malformed_json'] : [])],
    401: [
      ...['unauthenticated', 'unknown_api_key', 'unknown_gateway', 'invalid_user_id'],
      ...['invalid_token', 'token_expired'],
    ],
    403: ['forbidden'],
    408: ['request_timeout'],
    422: ['invalid', ...(spec.idempotent ? ['key_reused'] : [])],
    429: ['rate_limited'],
    431: ['headers_too_large'],
    503: ['database_unavailable', 'issuer_unavailable', 'shutting_down'],
  };
  if (spec.permission) codes[404] = ['session_not_found', 'session_deleted'];
  if (spec.permission && spec.permission !== 'read' && mayHaveBody) codes[409] = ['session_busy'];
  if (spec.versioned === 'write') codes[412] = ['version_mismatch'];
  if (mayHaveBody) {
    codes[413] = ['body_too_large', ...(spec.body ? ['too_large'] : [])];
    codes[415] = ['unsupported_media_type'];
  }
  return codes;
}
