import { type ArgumentMetadata, Injectable, type PipeTransform } from '@nestjs/common';
import type { z } from 'zod';
import { DomainError, type Fault } from '../common/errors.js';
import { escapePointer, firstFault, parseJson } from '../common/json.js';
import { readOnlyMembers } from './schemas.js';

/**
 * Validates what `@Body`, `@Query` and `@Param` bind against their Zod schema; the body is parsed here, strictly.
 * Access is checked before a fault is told (see `AccessFirstFilter`).
 */
@Injectable()
export class ValidationPipe implements PipeTransform {
  transform(value: unknown, metadata: ArgumentMetadata): unknown {
    const schema = metadata.schema as z.ZodType | undefined;
    if (!schema) return value;
    const input = metadata.type === 'body' ? parseBody(value) : checkText(value, metadata);
    const result = schema.safeParse(input);
    if (result.success) return result.data;
    const faults = result.error.issues.flatMap((issue) => toFaults(issue, schema, metadata)).slice(0, 100);
    throw new DomainError(...problemOf(faults));
  }
}

type Found = Fault & { code: 'invalid' | 'read_only' | 'reserved_id' };

function problemOf(faults: Found[]): ConstructorParameters<typeof DomainError> {
  const first = faults[0]!;
  const errors = faults.map(({ pointer, detail }) => ({ pointer, detail }));
  return ['invalid', first.code, `${first.pointer || '/'}: ${first.detail}`, { errors }];
}

const parseBody = (value: unknown) => (Buffer.isBuffer(value) && value.length > 0 ? parseJson(value) : {});

function checkText(value: unknown, { type, data }: ArgumentMetadata): unknown {
  const fault = firstFault(value);
  if (!fault) return value;
  const where = pointerTo(type, data, fault.pointer.split('/').filter(Boolean));
  throw new DomainError('invalid', 'invalid', `${where}: ${fault.detail}`, {
    errors: [{ pointer: where, detail: fault.detail }],
  });
}

function toFaults(issue: z.core.$ZodIssue, schema: z.ZodType, { type, data }: ArgumentMetadata): Found[] {
  if (issue.code === 'unrecognized_keys') {
    const readOnly = readOnlyMembers(schema);
    return issue.keys.map((key) => ({
      pointer: pointerTo(type, data, [...issue.path, key]),
      ...(readOnly.has(key) && issue.path.length === 0
        ? { code: 'read_only', detail: 'is read-only' }
        : { code: 'invalid', detail: 'is not known here' }),
    }));
  }
  if (issue.code === 'invalid_union') {
    return closest(issue.errors).flatMap((inner) =>
      toFaults({ ...inner, path: [...issue.path, ...inner.path] } as z.core.$ZodIssue, schema, {
        type,
        data,
      }),
    );
  }
  const code = issue.code === 'custom' && issue.params?.code === 'reserved_id' ? 'reserved_id' : 'invalid';
  return [{ pointer: pointerTo(type, data, issue.path), detail: issue.message, code }];
}

/** Of several forms, the one that was most likely meant: it knows the members that were given, and has least to say. */
function closest(alternatives: z.core.$ZodIssue[][]): z.core.$ZodIssue[] {
  const strangeness = (issues: z.core.$ZodIssue[]) =>
    issues.reduce((sum, issue) => sum + (issue.path.length === 0 ? 1000 : 1), 0);
  return alternatives.reduce((best, issues) => (strangeness(issues) < strangeness(best) ? issues : best));
}

function pointerTo(
  type: ArgumentMetadata['type'],
  data: string | undefined,
  path: readonly PropertyKey[],
): string {
  if (type === 'param') return `:${data ?? String(path[0])}`;
  if (type === 'query') return `?${path.map(String).join('.')}`;
  return path.map((key) => `/${escapePointer(String(key))}`).join('');
}
