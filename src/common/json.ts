import { DomainError, type Fault } from './errors.js';

/** Any JSON value, as parsed. */
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
export type JsonObject = { [key: string]: Json };

export const MAX_DEPTH = 64;

const utf8 = new TextDecoder('utf-8', { fatal: true });

const malformed = (detail: string) => new DomainError('malformed', 'malformed_json', detail);

/**
 * Parses a body strictly. What is not UTF-8 or not JSON is `malformed`; what PostgreSQL or JavaScript could not
 * keep as it is (NUL, lone surrogates, integers that a double would round, `__proto__`, more than 64 levels) is
 * `invalid`, with a pointer to it.
 */
export function parseJson(body: Uint8Array): Json {
  let text: string;
  let value: Json;
  try {
    text = utf8.decode(body);
    value = JSON.parse(text);
  } catch {
    throw malformed('The body is not valid JSON in UTF-8.');
  }
  const fault = firstFault(value, 1, roundedIntegers(text));
  if (fault) {
    throw new DomainError('invalid', 'invalid', `${fault.pointer || '/'}: ${fault.detail}`, {
      errors: [fault],
    });
  }
  return value;
}

const NONE: ReadonlySet<number> = new Set();

/**
 * What became of the integers that a double cannot hold digit for digit. They are rare, so the text is only walked
 * through when it has a long run of digits somewhere that is no part of a fraction, as vectors are full of.
 */
function roundedIntegers(text: string): ReadonlySet<number> {
  if (!LONG_INTEGER.test(text)) return NONE;
  const rounded = new Set<number>();
  for (let at = 0; at < text.length; at++) {
    const char = text[at]!;
    if (char === '"') at = endOfString(text, at);
    if (char !== '-' && (char < '0' || char > '9')) continue;
    NUMBER.lastIndex = at;
    const [digits] = NUMBER.exec(text)!;
    const isInteger = digits.length >= 16 && /^-?\d+$/.test(digits);
    if (isInteger && String(Number(digits)) !== digits) rounded.add(Number(digits));
    at += digits.length - 1;
  }
  return rounded;
}

const LONG_INTEGER = /(?:^|[[\s,:-])\d{16,}(?:$|[\s,\]}])/;
const NUMBER = /[-+.\deE]+/y;

/** Where the string that begins here ends; a quote behind an odd number of backslashes belongs to it. */
function endOfString(text: string, start: number): number {
  for (let end = text.indexOf('"', start + 1); ; end = text.indexOf('"', end + 1)) {
    let before = end - 1;
    while (text[before] === '\\') before--;
    if ((end - before) % 2 === 1) return end;
  }
}

/** The first thing in a value that cannot be stored as it is, or null. Where it is gets worked out on the way back only. */
export function firstFault(value: unknown, depth = 1, rounded = NONE): Fault | null {
  if (typeof value === 'string') return textFault(value);
  if (typeof value === 'number') return numberFault(value, rounded);
  if (value === null || typeof value !== 'object') return null;
  if (depth > MAX_DEPTH) return { pointer: '', detail: `more than ${MAX_DEPTH} levels deep` };
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i++) {
      const fault = firstFault(value[i], depth + 1, rounded);
      if (fault) return within(String(i), fault);
    }
    return null;
  }
  for (const [name, member] of Object.entries(value)) {
    const fault = nameFault(name) ?? firstFault(member, depth + 1, rounded);
    if (fault) return within(name, fault);
  }
  return null;
}

const within = (name: string, { pointer, detail }: Fault): Fault => ({
  pointer: `/${escapePointer(name).replaceAll('\0', '\\0').toWellFormed()}${pointer}`,
  detail,
});

const nameFault = (name: string): Fault | null =>
  name === '__proto__' ? { pointer: '', detail: 'this member name is not accepted' } : textFault(name);

function numberFault(value: number, rounded: ReadonlySet<number>): Fault | null {
  if (!Number.isFinite(value)) return { pointer: '', detail: 'number out of range' };
  if (rounded.has(value))
    return { pointer: '', detail: 'would be rounded: send so large an integer as text' };
  return null;
}

/** NUL and lone surrogates are no text: PostgreSQL cannot hold the one, UTF-8 not the other. */
function textFault(text: string): Fault | null {
  if (text.includes('\0')) return { pointer: '', detail: 'contains NUL' };
  if (!text.isWellFormed()) return { pointer: '', detail: 'contains a lone surrogate' };
  return null;
}

export const escapePointer = (key: string) => key.replaceAll('~', '~0').replaceAll('/', '~1');

/** Bytes of the value as JSON text in UTF-8: what the size limits count. */
export const jsonBytes = (value: unknown): number => Buffer.byteLength(JSON.stringify(value) ?? '');

const isObject = (value: Json | undefined): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/**
 * Bytes of the value as JSON text, 0 for none.
 * @throws DomainError kind `too-large` naming the member
 */
export function checkSize(pointer: string, value: unknown, maxKiB: number): number {
  if (value === undefined || value === null) return 0;
  const bytes = jsonBytes(value);
  if (bytes <= maxKiB * 1024) return bytes;
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
