import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { ALL_SCOPES, type Caller } from '../common/caller.js';
import { DomainError } from '../common/errors.js';
import { isPrintableName } from '../common/ids.js';
import type { Config } from '../config/config.js';
import type { ServiceKey } from '../config/service-keys.js';

const refused = (code: string, detail: string) => new DomainError('unauthenticated', code, detail);

/**
 * Tells who calls, from headers alone.
 * @throws DomainError kind `unauthenticated` when nobody does, or somebody we do not know
 */
export function authenticate(request: IncomingMessage, config: Config): Caller {
  const userId = namedUser(request);
  const service = config.AUTH_MODE === 'none' ? 'anonymous' : null;
  if (service) return { userId, service, scopes: ALL_SCOPES };
  const key = serviceKey(request, config.SERVICE_API_KEYS, userId !== null);
  if (key) return { userId, service: key.name, scopes: key.scopes };
  if (userId === null) throw refused('unauthenticated', 'Name the user in X-User-ID, or give a service key.');
  checkGateway(request, config.GATEWAY_SECRET);
  return { userId, service: null, scopes: ALL_SCOPES };
}

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

/** The service behind `X-API-Key` or a bearer token. Gateways pass the user's own token on, so a bearer beside a user is let go. */
function serviceKey(
  request: IncomingMessage,
  keys: readonly ServiceKey[],
  hasUser: boolean,
): ServiceKey | null {
  const apiKey = request.headers['x-api-key'];
  if (apiKey !== undefined) {
    const found = matchKey(String(apiKey), keys);
    if (!found) throw refused('unknown_api_key', 'The X-API-Key is not known.');
    return found;
  }
  const bearer = /^Bearer +(\S+) *$/i.exec(request.headers.authorization ?? '')?.[1];
  if (bearer === undefined) return null;
  const found = matchKey(bearer, keys);
  if (!found && !hasUser) throw refused('unknown_api_key', 'The bearer token is not a known service key.');
  return found;
}

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
