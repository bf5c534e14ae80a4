import type { Status } from '../sessions/lifecycle.js';

/** What a cleanup does to a session. */
export type Action = 'archive' | 'delete' | 'purge';

/** What a field of a policy asks for: so many days after a moment. */
interface Rule {
  action: Action;
  /** those it is for, as they show at the moment */
  statuses: readonly Status[];
  /** SQL for the moment, of a row `s` of sessions */
  since: string;
}

const KEPT = ['active', 'paused', 'completed', 'crashed'] as const;

/** Of several that are due the strongest counts, of equally strong ones the one that has been due longest, then the first here. */
export const RULES = {
  purge_deleted_days: {
    action: 'purge',
    statuses: ['deleted'],
    // one that expired is deleted from that instant, whether or not that is written down
    since: 'coalesce(s.deleted_at, s.expires_at)',
  },
  auto_delete_archived_days: { action: 'delete', statuses: ['archived'], since: 's.archived_at' },
  delete_completed_days: { action: 'delete', statuses: ['completed'], since: 's.completed_at' },
  max_age_days: { action: 'delete', statuses: [...KEPT, 'archived'], since: 's.created_at' },
  auto_archive_inactive_days: { action: 'archive', statuses: KEPT, since: 's.last_activity_at' },
} as const satisfies Record<string, Rule>;

/** What of a user counts for `max_sessions_per_user`. */
export const COUNTED = KEPT;

export type FieldName = keyof typeof RULES | 'max_sessions_per_user';

/** The service's policy until somebody sets one, and what it goes back to. */
export const DEFAULTS: Record<FieldName, number | null> = {
  auto_archive_inactive_days: null,
  auto_delete_archived_days: null,
  delete_completed_days: null,
  max_age_days: null,
  purge_deleted_days: 30,
  max_sessions_per_user: null,
};
