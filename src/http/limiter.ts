/** What a caller may still do within the rate limit. */
export interface Allowance {
  isAllowed: boolean;
  /** requests a minute, and at once */
  limit: number;
  /** requests that he may make now */
  remaining: number;
  /** until he has all of them again */
  resetSeconds: number;
  /** until he has one */
  retryAfterSeconds: number;
}

/** Counts the requests of each caller. */
export interface Limiter {
  /** Counts one, and answers in bounded time whatever is down. */
  take(name: string): Promise<Allowance>;
}

/** Injection token of the process's limiter; null: there is no limit. */
export const LIMITER = Symbol('Limiter');
