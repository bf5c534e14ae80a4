import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { ALL_SCOPES, type Caller } from '../common/caller.js';
import { DomainError } from '../common/errors.js';
import { isPrintableName } from '../common/ids.js';
import type { Config } from '../config/config.js';
import type { ServiceKey } from '../config/service-keys.js';
import type { Tokens } from './tokens.js';

const refused = (code: string, detail: string) => new DomainError('unauthenticated', code, detail);

/**
 * Tells who calls, from headers alone.
 * @param tokens checks them where `AUTH_MODE=jwt`
 * @throws DomainError kind `unauthenticated` when nobody does, or somebody we do not know
 */
export function authenticate(
  request: IncomingMessage,
  config: Config,
  tokens: Tokens | null,
): Caller | Promise<Caller> {
  if (tokens) return byToken(request, config, tokens);
  const userId = namedUser(request);
  if (config.AUTH_MODE === 'none') return caller(userId, 'anonymous', ALL_SCOPES);
  const key = serviceKey(request, config.SERVICE_API_KEYS);
  if (key) return caller(userId, key.name, key.scopes);
  // gateways pass the user's own token on
  if (userId === null && bearerOf(request) !== null)
    throw refused('unknown_api_key', 'The bearer token is not a known service key.');
  if (userId === null) throw refused('unauthenticated', 'Name the user in X-User-ID, or give a service key.');
  checkGateway(request, config.GATEWAY_SECRET);
  return caller(userId, null, ALL_SCOPES);
}

/** X-User-ID makes nobody a user here, but it narrows a service as ever: ignored, it would widen what that sees. */
function byToken(request: IncomingMessage, config: Config, tokens: Tokens): Caller | Promise<Caller> {
  const key = serviceKey(request, config.SERVICE_API_KEYS);
  if (key) return caller(namedUser(request), key.name, key.scopes);
  const token = bearerOf(request);
  if (token === null) throw refused('unauthenticated', 'Give a bearer token, or a service key.');
  return tokens.callerOf(token);
}

const caller = (userId: string | null, service: string | null, scopes: Caller['scopes']): Caller => ({
  ...{ userId, service, scopes, expiresAt: null },
});

/** `X-User-ID`, which must be there once or not at all; Node joins repeated headers, so the raw ones are counted. */
function namedUser(request: IncomingMessage): string | null {
  const values = rawValues(request, 'x-user-id');
  if (values.length === 0) return null;
  if (values.length > 1) throw refused('invalid_user_id', 'X-User-ID is given more than once.');
  const userId = asUtf8(values[0]!);
  if (userId === null || !isPrintableName(userId)) {
    throw refused('invalid_user_id', 'X-User-ID must be 1 to 255 printable characters.');
  }
  return userId;
}

function rawValues(request: IncomingMessage, name: string): string[] {
  const raw = request.rawHeaders;
  return raw.filter((_, i) => i % 2 === 1 && raw[i - 1]!.toLowerCase() === name);
}

/** Node reads header bytes as latin1; the same user is percent-encoded UTF-8 in a path. */
function asUtf8(header: string): string | null {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.from(header, 'latin1'));
  } catch {
    return null;
  }
}

/** The service behind `X-API-Key` or a bearer token; null: neither is there, or the bearer is something else. */
function serviceKey(request: IncomingMessage, keys: readonly ServiceKey[]): ServiceKey | null {
  const apiKey = request.headers['x-api-key'];
  if (apiKey !== undefined) {
    const found = matchKey(String(apiKey), keys);
    if (!found) throw refused('unknown_api_key', 'The X-API-Key is not known.');
    return found;
  }
  const bearer = bearerOf(request);
  return bearer === null ? null : matchKey(bearer, keys);
}

const bearerOf = ({ headers }: IncomingMessage): string | null =>
  /^Bearer +(\S+) *$/i.exec(headers.authorization ?? '')?.[1] ?? null;

function checkGateway(request: IncomingMessage, secret: string | undefined): void {
  if (secret === undefined) return;
  if (!sameSecret(String(request.headers['x-gateway-secret'] ?? ''), secret)) {
    throw refused(
      'unknown_gateway',
      'X-User-ID is taken only from the gateway, which proves itself by X-Gateway-Secret.',
    );
  }
}

/** Looks at every key, so that the time tells nothing about which one nearly matched. */
function matchKey(given: string, keys: readonly ServiceKey[]): ServiceKey | null {
  let found: ServiceKey | null = null;
  for (const key of keys) if (sameSecret(given, key.key)) found = key;
  return found;
}

const hash = (text: string) => createHash('sha256').update(text).digest();

const sameSecret = (a: string, b: string) => timingSafeEqual(hash(a), hash(b));
