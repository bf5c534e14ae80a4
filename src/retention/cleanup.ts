import type { Json } from '../common/json.js';
import type { Reached } from '../jobs/job-handler.js';
import type { Due, Place } from './due.repository.js';
import type { Action } from './rules.js';

/** Steps that are told one by one; all are counted. */
const MOST_TOLD = 1_000;

/** A step that was taken, or in a dry run would be. */
interface Told {
  session_id: string;
  action: Action;
  rule: string;
  due_since: string;
}

/** How far a cleanup is, and what it has done. */
export interface State {
  dry_run: boolean;
  /** the moment it began: every rule is held against it, however often the job changes hands */
  as_of: string;
  /** first session by session, then user by user */
  phase: 'rules' | 'limits' | 'done';
  /** the last session, or user, that is done with */
  after: number | string;
  /** the next user's: the most active session beyond what he may have, and how far those up to it are done with */
  within: { edge: Place; place: Place | null } | null;
  counts: Record<Action, number>;
  actions: Told[];
}

export const begun = (dryRun: boolean, now: Date): State => ({
  ...{ dry_run: dryRun, as_of: now.toISOString() },
  ...{ phase: 'rules', after: 0, within: null },
  ...{ counts: { archive: 0, delete: 0, purge: 0 }, actions: [] },
});

/** …with these steps taken. */
export function noted(state: State, due: Due[]): State {
  const counts = { ...state.counts };
  for (const { action } of due) counts[action]++;
  const room = MOST_TOLD - state.actions.length;
  const told = due.slice(0, room).map(({ session_id, action, rule, due_since }) => ({
    ...{ session_id, action, rule },
    due_since: due_since.toISOString(),
  }));
  return { ...state, counts, actions: [...state.actions, ...told] };
}

export function reached(state: State): Reached {
  const { archive, delete: deleted, purge } = state.counts;
  return {
    cursor: state as unknown as Json,
    progress: { phase: state.phase, done: archive + deleted + purge },
  };
}

export const resultOf = ({ dry_run, as_of, counts, actions }: State): Json =>
  ({ dry_run, as_of, counts, actions }) as unknown as Json;
