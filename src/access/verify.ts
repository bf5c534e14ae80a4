import { DomainError, forbidden } from '../common/errors.js';
import { allows, type Permission, type Role } from './roles.js';

/** What a statement found out about a session and the caller, whatever else it read. */
export interface Seen {
  role: Role | null;
  status: string;
}

const notFound = () => new DomainError('not-found', 'session_not_found', 'There is no such session.');

/**
 * The fail-closed gate of every session route: what the caller may not see does not exist for him.
 * @throws DomainError `session_not_found`, `forbidden`, or `session_deleted` (unless `deletedToo`)
 */
export function verify<Row extends Seen>(
  row: Row | null | undefined,
  permission: Permission,
  deletedToo = false,
): Row & { role: Role } {
  if (!row?.role) throw notFound();
  if (!allows(row.role, permission)) throw forbidden(`The role ${row.role} does not allow this.`);
  if (row.status === 'deleted' && !deletedToo) {
    throw new DomainError('not-found', 'session_deleted', 'The session is deleted; it can be restored.');
  }
  return row as Row & { role: Role };
}
