import { DomainError, type Fault } from './errors.js';

/** Any JSON value, as parsed. */
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
export type JsonObject = { [key: string]: Json };

export const MAX_DEPTH = 64;

const utf8 = new TextDecoder('utf-8', { fatal: true });

const malformed = (detail: string) => new DomainError('malformed', 'malformed_json', detail);

/**
 * Parses a body strictly. What is not UTF-8 or not JSON is `malformed`; what PostgreSQL or JavaScript could not
 * keep as it is (NUL, lone surrogates, numbers beyond a double, `__proto__`, more than 64 levels) is `invalid`,
 * with a pointer to it.
 */
export function parseJson(body: Uint8Array): Json {
  let value: Json;
  try {
    value = JSON.parse(utf8.decode(body));
  } catch {
    throw malformed('The body is not valid JSON in UTF-8.');
  }
  const fault = firstFault(value, '', 1);
  if (fault) {
    throw new DomainError('invalid', 'invalid', `${fault.pointer || '/'}: ${fault.detail}`, {
      errors: [fault],
    });
  }
  return value;
}

/** The first thing in a value that cannot be stored as it is, or null. */
export function firstFault(value: unknown, pointer: string, depth: number): Fault | null {
  if (typeof value === 'string') return textFault(value, pointer);
  if (typeof value === 'number') {
    return Number.isFinite(value) ? null : { pointer, detail: 'number out of range' };
  }
  if (value === null || typeof value !== 'object') return null;
  if (depth > MAX_DEPTH) return { pointer, detail: `more than ${MAX_DEPTH} levels deep` };
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i++) {
      const fault = firstFault(value[i], `${pointer}/${i}`, depth + 1);
      if (fault) return fault;
    }
    return null;
  }
  for (const key of Object.keys(value)) {
    const fault = memberFault(value as Record<string, unknown>, key, pointer, depth);
    if (fault) return fault;
  }
  return null;
}

function memberFault(object: Record<string, unknown>, key: string, parent: string, depth: number) {
  const pointer = `${parent}/${escapePointer(key)}`;
  if (key === '__proto__') return { pointer, detail: 'this member name is not accepted' };
  return textFault(key, pointer) ?? firstFault(object[key], pointer, depth + 1);
}

/** NUL and lone surrogates are no text: PostgreSQL cannot hold the one, UTF-8 not the other. */
export function textFault(text: string, pointer: string): Fault | null {
  if (text.includes('\0')) return { pointer: pointer.replaceAll('\0', '\\0'), detail: 'contains NUL' };
  if (!text.isWellFormed()) return { pointer: pointer.toWellFormed(), detail: 'contains a lone surrogate' };
  return null;
}

export const escapePointer = (key: string) => key.replaceAll('~', '~0').replaceAll('/', '~1');

/** Bytes of the value as JSON text in UTF-8: what the size limits count. */
export const jsonBytes = (value: unknown): number => Buffer.byteLength(JSON.stringify(value) ?? '');

const isObject = (value: Json | undefined): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** @throws DomainError kind `too-large` naming the member */
export function checkSize(pointer: string, value: unknown, maxKiB: number): void {
  if (value === undefined || value === null) return;
  const bytes = jsonBytes(value);
  if (bytes <= maxKiB * 1024) return;
  throw new DomainError(
    'too-large',
    'too_large',
    `${pointer} has ${bytes} bytes as JSON, at most ${maxKiB * 1024} are taken.`,
  );
}

/** JSON Merge Patch, RFC 7396: null removes, objects merge, everything else replaces. */
export function mergePatch(target: Json | undefined, patch: Json): Json {
  if (!isObject(patch)) return patch;
  const merged: JsonObject = isObject(target) ? { ...target } : {};
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete merged[key];
    else merged[key] = mergePatch(merged[key], value);
  }
  return merged;
}
