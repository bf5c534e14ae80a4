import { DomainError } from '../common/errors.js';

export const STATUSES = ['active', 'paused', 'completed', 'crashed', 'archived', 'deleted'] as const;

export type Status = (typeof STATUSES)[number];
export type State = Exclude<Status, 'archived' | 'deleted'>;

/** What may follow a status. What was archived or deleted goes back to what it was by `restored`. */
const NEXT: Record<Status, readonly Status[]> = {
  active: ['paused', 'completed', 'crashed', 'archived', 'deleted'],
  paused: ['active', 'completed', 'crashed', 'archived', 'deleted'],
  completed: ['active', 'archived', 'deleted'],
  crashed: ['active', 'completed', 'archived', 'deleted'],
  archived: ['active', 'deleted'],
  deleted: [],
};

/** @throws DomainError `invalid_transition` naming what is allowed */
export function checkTransition(from: Status, to: Status): void {
  if (NEXT[from].includes(to)) return;
  const allowed = [...NEXT[from], ...(from === 'archived' ? ['what it was, by /restore'] : [])];
  throw refusal(from, `A session that is ${from} cannot become ${to}; it can become: ${allowed.join(', ')}.`);
}

/** @throws DomainError `invalid_transition` when it neither crashed nor is active already */
export function checkRecoverable(from: Status): void {
  if (from === 'crashed' || from === 'active') return;
  throw refusal(from, `A session that is ${from} has not crashed.`);
}

/**
 * Before anything of a session is changed but its activity.
 * @throws DomainError `session_busy` while a job reads it
 */
export function checkFree({ busy_job }: { busy_job: string | null }): void {
  if (busy_job === null) return;
  throw new DomainError(
    'conflict',
    'session_busy',
    'A merge or a split reads the session: try again when it has ended.',
    {
      retryAfter: 5,
      extra: { job_id: busy_job },
    },
  );
}

const refusal = (from: Status, detail: string) =>
  new DomainError('conflict', 'invalid_transition', detail, {
    extra: { session_status: from, allowed: NEXT[from] },
  });

/** The event that tells of a change of status, beside `session.updated`. */
export function eventOf(from: Status, to: Status): string {
  if (from === 'deleted' || from === 'archived')
    return to === 'deleted' ? 'session.deleted' : 'session.restored';
  if (to === 'active') return from === 'crashed' ? 'session.recovered' : 'session.resumed';
  return `session.${to}`;
}
