import { DomainError, unavailable } from '../common/errors.js';

interface PostgresError extends Error {
  code?: string;
  constraint?: string;
}

/** SQLSTATE classes and system errors that say: not now, rather than: not so. */
const PASSING = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  '57P01', // admin_shutdown
  '57P02', // crash_shutdown
  '57P03', // cannot_connect_now
  '53300', // too_many_connections
  '25006', // read_only_sql_transaction: a standby, until it is promoted
  '40001', // serialization_failure
  '40P01', // deadlock_detected
  '55P03', // lock_not_available
  '57014', // query_canceled: the statement's time ran out
]);

/** `pg` reports these by message alone. */
const LOST =
  /Connection terminated|timeout exceeded when trying to connect|Client has encountered a connection error|not queryable/;

export function isConnectionLoss(error: unknown): boolean {
  const { code = '', message = '' } = error as PostgresError;
  return code.startsWith('08') || code.startsWith('57P') || /^E[A-Z]+/.test(code) || LOST.test(message);
}

/** What PostgreSQL cannot do now is `database_unavailable`; every other error stays what it is. */
export function translate(error: unknown): unknown {
  if (error instanceof DomainError) return error;
  const { code = '' } = error as PostgresError;
  return PASSING.has(code) || isConnectionLoss(error) ? unavailable('database', error) : error;
}

/** Whether the error is a violation of this unique index. */
export const violates = (error: unknown, index: string): boolean =>
  (error as PostgresError).code === '23505' && (error as PostgresError).constraint === index;

/** Whether a sum or a number went beyond its column. */
export const isOutOfRange = (error: unknown): boolean => (error as PostgresError).code === '22003';

/** Whether a row that was waited for was not free in time (`lock_timeout`). */
export const isLockTimeout = (error: unknown): boolean =>
  (error as PostgresError).code === '55P03' || ((error as Error).cause as PostgresError)?.code === '55P03';
