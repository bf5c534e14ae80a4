import type { DomainError } from '../../../common/errors.js';
import { outcomeUnknown } from '../../errors.js';
import { explain, isTimeout } from './failures.js';

const TRIES = 3;
/** A caller that was told to wait longer than this is told so instead. */
const LONGEST_PAUSE_MS = 2000;

/**
 * Does a call again when that may help; every call of the backend is safe to repeat. Whatever becomes of the last
 * try: when an earlier one may have been done, the outcome is unknown.
 */
export async function repeating<T>(
  isWrite: boolean,
  firstPauseMs: number,
  call: () => Promise<T>,
): Promise<T> {
  let maybeDone = false;
  for (let tries = 1; ; tries++) {
    try {
      return await call();
    } catch (cause) {
      const error = explain(cause, isWrite);
      maybeDone ||= error.code === 'vectors_outcome_unknown';
      const pause = Math.max(firstPauseMs * 3 ** (tries - 1) * (0.5 + Math.random()), askedFor(error));
      if (tries === TRIES || pause > LONGEST_PAUSE_MS || error.kind !== 'unavailable' || isTimeout(cause))
        throw maybeDone && error.kind === 'unavailable' ? outcomeUnknown(cause) : error;
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
  }
}

const askedFor = ({ code, retryAfter = 0 }: DomainError): number =>
  code === 'vectors_rate_limited' ? retryAfter * 1000 : 0;
