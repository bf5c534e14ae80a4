import { z } from 'zod';
import { pageFields } from '../http/paging.js';
import { pageQuery, printableName, timestamp } from '../http/schemas.js';

/** Sessions are shared with people, one by one. */
export const MOST_AT_ONCE = 100;

const ROLES = ['viewer', 'editor', 'manager'] as const;

export const shareBody = z
  .strictObject({
    user_ids: z
      .array(printableName)
      .min(1)
      .max(MOST_AT_ONCE)
      .transform((users) => [...new Set(users)]),
    role: z.enum(ROLES),
  })
  .meta({ id: 'Share' });
export type Share = z.output<typeof shareBody>;

export const transferBody = z.strictObject({ user_id: printableName }).meta({ id: 'Transfer' });
export type Transfer = z.output<typeof transferBody>;

export const MOST_LISTED = 200;
export const collaboratorsQuery = z.strictObject(pageQuery(50, MOST_LISTED));
export type CollaboratorsQuery = z.output<typeof collaboratorsQuery>;

const collaboratorView = z
  .strictObject({
    user_id: z.string(),
    role: z.enum([...ROLES, 'owner']),
    added_by: z.string().nullable().meta({ description: 'null: a service; of the owner nobody' }),
    added_at: timestamp.meta({ description: 'of the owner: when the session was made' }),
  })
  .meta({
    id: 'Collaborator',
    example: { user_id: 'bob', role: 'editor', added_by: 'alice', added_at: '2026-01-31T12:00:00.250Z' },
  });

export const collaboratorsPage = z
  .strictObject({ collaborators: z.array(collaboratorView), ...pageFields })
  .meta({ id: 'CollaboratorsPage' });

/** Somebody a session is shared with, or its owner. */
export interface Collaborator {
  user_id: string;
  role: (typeof ROLES)[number] | 'owner';
  added_by: string | null;
  added_at: Date;
}

export const toView = ({ user_id, role, added_by, added_at }: Collaborator) => ({
  user_id,
  role,
  added_by,
  added_at: added_at.toISOString(),
});
