import { DomainError, type Fault } from '../common/errors.js';

/** What is brought in is no export that can be taken. */
export const badExport = (detail: string, errors?: Fault[]) =>
  new DomainError('invalid', 'invalid_export', detail, { errors });

export const unknownVersion = (version: number) =>
  new DomainError(
    'invalid',
    'unsupported_version',
    `The export has version ${version} of the format; this service knows version 1. Import it with a newer one.`,
  );

export const wrongDigest = () =>
  new DomainError('invalid', 'digest_mismatch', 'The SHA-256 is not that of the lines: they were altered.');

export const tooLong = (bytes: number) =>
  new DomainError('too-large', 'too_large', `A record is longer than ${bytes} bytes.`);

/** What is only seen when records meet those before them: it is the export that is wrong. */
export const ofRecords = (error: unknown): unknown =>
  error instanceof DomainError && error.code === 'invalid' ? badExport(error.message, error.errors) : error;

/** Says in which line, counted from 1, something was wrong; a record of a document is counted behind the manifest. */
export function atLine(line: number, error: unknown): unknown {
  if (!(error instanceof DomainError)) return error;
  const { kind, code, message, errors } = error;
  if (kind !== 'invalid' && kind !== 'malformed' && kind !== 'too-large') return error;
  const isOwn = code !== 'invalid' && code !== 'malformed_json';
  const detail = `Line ${line}: ${message}`;
  return isOwn
    ? new DomainError(kind, code, detail, { errors, extra: { line } })
    : new DomainError('invalid', 'invalid_export', detail, { errors, extra: { line } });
}
