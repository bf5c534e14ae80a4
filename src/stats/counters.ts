import { DomainError, invalid } from '../common/errors.js';

export const COUNTER_NAME = /^[a-z][a-z0-9_]{0,63}$/;

/** How many names a session counts under, and how many models it has reports of. */
export const [MOST_COUNTERS, MOST_MODELS] = [200, 200];

export const METADATA_KIB = 64;

/** Integers by name. */
export type Counters = Record<string, number>;

/**
 * What counters come to when others are added, in the order of their names.
 * @param at where those that are added stand in their body
 * @throws DomainError `invalid` when a sum could not be held exactly, `stats_full`
 */
export function added(counters: Counters, more: Counters, at = '/counters'): Counters {
  const sums = new Map(Object.entries(counters));
  for (const [name, value] of Object.entries(more)) {
    const sum = (sums.get(name) ?? 0) + value;
    if (!Number.isSafeInteger(sum)) throw invalid([{ pointer: `${at}/${name}`, detail: OVERFLOW }]);
    sums.set(name, sum);
  }
  if (sums.size > MOST_COUNTERS) throw statsFull(`more than ${MOST_COUNTERS} counters`);
  return Object.fromEntries([...sums].sort(([a], [b]) => (a < b ? -1 : 1)));
}

export const OVERFLOW = 'the sum would be beyond 2^53 − 1';

export const statsFull = (what: string) =>
  new DomainError('conflict', 'stats_full', `A session cannot have ${what}.`);
