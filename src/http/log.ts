import type { LoggerService } from '@nestjs/common';
import { type Logger, pino } from 'pino';
import type { Config } from '../config/config.js';

/** Injection token of the process's log. */
export const LOG = Symbol('Log');

/** Structured log on standard output: JSON, one line an entry. Contents of sessions and messages never go in. */
export const createLog = (config: Config): Logger =>
  pino({
    level: config.LOG_LEVEL,
    base: { service: config.SERVICE_NAME, environment: config.ENVIRONMENT },
    timestamp: pino.stdTimeFunctions.isoTime,
    serializers: { err: withoutContents },
  });

/** An error without what PostgreSQL quotes of the rows (`detail`, `where`, parameters). */
function withoutContents(error: Error & { code?: string }) {
  return { type: error.name, code: error.code, message: error.message, stack: error.stack };
}

/** What Nest itself has to say, at debug level unless it is trouble. */
export class NestLog implements LoggerService {
  constructor(private readonly sink: Logger) {}

  log(message: unknown, context?: unknown): void {
    this.sink.debug({ context }, String(message));
  }
  error(message: unknown, ...rest: unknown[]): void {
    this.sink.error({ err: message instanceof Error ? message : undefined, rest }, String(message));
  }
  warn(message: unknown, context?: unknown): void {
    this.sink.warn({ context }, String(message));
  }
}
