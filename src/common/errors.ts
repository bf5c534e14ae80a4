/** What went wrong, in words of the domain; each transport maps a kind to its own status in one table. */
export type ErrorKind =
  | 'malformed'
  | 'unauthenticated'
  | 'forbidden'
  | 'not-found'
  | 'conflict'
  | 'precondition'
  | 'gone'
  | 'too-large'
  | 'unsupported-media'
  | 'invalid'
  | 'too-many'
  | 'not-configured'
  | 'unavailable';

/**
 * One fault in the input. `pointer` is a JSON Pointer into the body (`/messages/0/role`), `?name` for a query
 * parameter, `:name` for a path parameter, or the header's name.
 */
export interface Fault {
  pointer: string;
  detail: string;
}

export interface ErrorOptions {
  /** every fault found, for `invalid` */
  errors?: Fault[];
  /** seconds after which trying again makes sense */
  retryAfter?: number;
  /** further members of the answer, for the caller to act on (never content of others) */
  extra?: Record<string, unknown>;
  cause?: unknown;
}

/** A refusal the caller can understand: stable `code`, `kind`, and a detail for people. */
export class DomainError extends Error {
  override readonly name = 'DomainError';
  readonly errors?: Fault[];
  readonly retryAfter?: number;
  readonly extra?: Record<string, unknown>;

  constructor(
    readonly kind: ErrorKind,
    readonly code: string,
    detail: string,
    options: ErrorOptions = {},
  ) {
    super(detail, { cause: options.cause });
    this.errors = options.errors;
    this.retryAfter = options.retryAfter;
    this.extra = options.extra;
  }
}

/** The input has faults: 422 over HTTP. */
export const invalid = (errors: Fault[], code = 'invalid') =>
  new DomainError(
    'invalid',
    code,
    errors.map((e) => `${e.pointer || '/'}: ${e.detail}`)[0] ?? 'invalid input',
    {
      errors,
    },
  );

export const forbidden = (detail: string) => new DomainError('forbidden', 'forbidden', detail);

export const unavailable = (what: string, cause?: unknown) =>
  new DomainError('unavailable', `${what}_unavailable`, `${what} does not answer; try again`, {
    retryAfter: 1,
    cause,
  });

/** Something else is down: what was asked for may be right. */
export const isUnavailable = (error: unknown): boolean =>
  error instanceof DomainError && error.kind === 'unavailable';
