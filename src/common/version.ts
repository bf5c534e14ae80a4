import { DomainError } from './errors.js';

/** The versions a change is allowed on, or `*`: any that is there; null: nothing was said. */
export type Allowed = readonly string[] | null;

/** @throws DomainError kind `precondition` when the version is none of those allowed */
export function checkVersion(version: number, allowed: Allowed): void {
  if (allowed === null || allowed.includes('*') || allowed.includes(String(version))) return;
  throw new DomainError('precondition', 'version_mismatch', `It has version ${version} now; read it again.`, {
    extra: { version },
  });
}
