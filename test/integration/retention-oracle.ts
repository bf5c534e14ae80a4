import type { Kept, Step } from '../setup/retention.js';

export type Policy = Record<string, number | null>;

const DAY = 86_400_000;
const STRENGTH = { purge: 0, delete: 1, archive: 2 };

/** The rules are held against the moment a run began, the status is that of its turn: a moment later. */
const statusOf = (s: Kept, began: number) => {
  const now = began + 2;
  if (s.deleted !== null) return 'deleted';
  if (s.archived !== null) return 'archived';
  const isOverdue = s.overdue !== null && s.overdue <= now && !s.busy;
  if (isOverdue && (s.held || s.expires === null || s.overdue! < s.expires)) return 'crashed';
  if (s.expires !== null && s.expires <= now && !s.held && !s.busy) return 'deleted';
  return s.state;
};

const isOpen = (status: string) => status !== 'archived' && status !== 'deleted';
const recovers = (s: Kept, now: number) =>
  statusOf(s, now) === 'crashed' && s.state === 'active' && s.recovers;

/** The rules once more, from their description, one session at a time. */
function dueByItself(s: Kept, policy: Policy, now: number): Step | null {
  if (s.held || s.busy || s.hidden) return null;
  const status = statusOf(s, now);
  const due: Step[] = [];
  const rule = (name: string, action: Step['action'], since: number | null) => {
    const days = policy[name];
    if (days == null || since === null || now - since < days * DAY) return;
    due.push({ session_id: s.id, action, rule: name, due_since: new Date(since + days * DAY).toISOString() });
  };
  if (status === 'deleted') rule('purge_deleted_days', 'purge', s.deleted ?? s.expires);
  if (status === 'archived') rule('auto_delete_archived_days', 'delete', s.archived);
  if (status === 'completed') rule('delete_completed_days', 'delete', s.completed);
  if (status !== 'deleted') rule('max_age_days', 'delete', s.created);
  if (isOpen(status) && !recovers(s, now)) rule('auto_archive_inactive_days', 'archive', s.activity);
  // sort keeps the order of what is equal
  const before = (a: Step, b: Step) => (a.due_since < b.due_since ? -1 : a.due_since > b.due_since ? 1 : 0);
  return due.sort((a, b) => STRENGTH[a.action] - STRENGTH[b.action] || before(a, b))[0] ?? null;
}

/** What a cleanup that begins now is to do, in the order of keys and then user by user. */
export function expectedSteps(
  sessions: Kept[],
  policyOf: (user: string | null) => Policy,
  now: number,
): Step[] {
  const byItself = new Map(sessions.map((s) => [s, dueByItself(s, policyOf(s.user), now)]));
  const steps = [...byItself.values()].filter((step) => step !== null);
  const users = [...new Set(sessions.map(({ user }) => user))].filter((user) => user !== null).sort();
  for (const user of users) {
    const most = policyOf(user).max_sessions_per_user;
    if (most == null) continue;
    const counted = sessions
      .map((s, key) => ({ s, key }))
      .filter(({ s }) => s.user === user && !s.hidden && isOpen(statusOf(s, now)) && byItself.get(s) === null)
      .sort((a, b) => b.s.activity - a.s.activity || b.key - a.key);
    for (const { s } of counted.slice(most).reverse()) {
      // who was active since the run began counts, and stays
      if (s.held || s.busy || recovers(s, now) || s.activity > now) continue;
      const due_since = new Date(s.activity).toISOString();
      steps.push({ session_id: s.id, action: 'archive', rule: 'max_sessions_per_user', due_since });
    }
  }
  return steps;
}
