/** What a caller is to a session: the collaborators' roles, its owner, or a service. */
export type Role = 'viewer' | 'editor' | 'manager' | 'owner' | 'service';

/** What can be done to a session, each with the roles that may do it. */
export const PERMISSIONS = {
  /** read, list, export, stream */
  read: ['viewer', 'editor', 'manager', 'owner', 'service'],
  /** append, heartbeat, checkpoints, pause, resume, complete, crash, recover */
  work: ['editor', 'manager', 'owner', 'service'],
  /** other fields, archive and its restore, viewers and editors */
  manage: ['manager', 'owner', 'service'],
  /** delete and its restore, managers, transfer */
  own: ['owner', 'service'],
  /** what services alone may set */
  serve: ['service'],
} satisfies Record<string, readonly Role[]>;

export type Permission = keyof typeof PERMISSIONS;

export const allows = (role: Role, permission: Permission): boolean =>
  (PERMISSIONS[permission] as readonly Role[]).includes(role);
