/** What a service key may be limited to; a key without scopes has all of them. */
export const SCOPES = [
  'sessions:read',
  'sessions:write',
  'memory:read',
  'memory:write',
  'collections:read',
  'collections:write',
  'stats:read',
  'stats:write',
  'events:read',
  'admin',
] as const;

export type Scope = (typeof SCOPES)[number];

/** Who makes a request. */
export interface Caller {
  /** whose rows he sees; null: a service acting for nobody in particular, which sees everything */
  readonly userId: string | null;
  /** name of the service key; null: a user */
  readonly service: string | null;
  /** what the key may do; a user has all */
  readonly scopes: ReadonlySet<Scope>;
  /** when his token stops to count, and streams that are open for him end; null: never */
  readonly expiresAt: Date | null;
}

export const ALL_SCOPES: ReadonlySet<Scope> = new Set(SCOPES);

/** A service that acts for nobody in particular. With a user's name beside the key it is that user. */
export const isService = (caller: Caller): boolean => caller.userId === null;

/** Who asked for work that outlives his request; a user, or a service. */
export const callerOf = (userId: string | null): Caller => ({
  userId,
  service: userId === null ? 'job' : null,
  scopes: ALL_SCOPES,
  expiresAt: null,
});

/**
 * What is counted as one caller by the rate limit. A service is one whomever it acts for: users that it may name at will would
 * each bring it a new allowance.
 */
export const bucketName = ({ service, userId }: Caller): string =>
  service === null ? `user:${userId}` : `service:${service}`;

/** Tells callers apart, in idempotency keys and logs. */
export const callerName = (caller: Caller): string =>
  caller.service === null ? `user:${caller.userId}` : `service:${caller.service}:${caller.userId ?? ''}`;
