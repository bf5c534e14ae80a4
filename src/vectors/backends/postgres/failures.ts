import { isUnavailable } from '../../../common/errors.js';
import { outcomeUnknown, storeUnavailable } from '../../errors.js';

/** With these PostgreSQL has not begun, or has taken back what it began. */
const NOTHING_DONE = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  '57P03', // cannot_connect_now
  '53300', // too_many_connections
  '25006', // read_only_sql_transaction
  '40001', // serialization_failure
  '40P01', // deadlock_detected
  '55P03', // lock_not_available
  '57014', // query_canceled
]);

/** What the database could not do for a read, in words of vector stores. */
export const readFailed = (error: unknown): unknown =>
  isUnavailable(error) ? storeUnavailable(error) : error;

/** …for a write: it may have been done when the connection was lost on the way. */
export function writeFailed(error: unknown): unknown {
  if (!isUnavailable(error)) return error;
  const { code = '', message = '' } = ((error as Error).cause ?? {}) as { code?: string; message?: string };
  const isUndone = NOTHING_DONE.has(code) || /timeout exceeded when trying to connect/.test(message);
  return isUndone ? storeUnavailable(error) : outcomeUnknown(error);
}
