import type { Dropped, Summary, Why } from './material.js';

/**
 * What of the messages 1 to `count` is not in the context, and why. `known` tells of each message that was looked
 * at: why it was passed over, or null for one that was taken. All others fell to the budget.
 */
export function droppedOf(
  count: number,
  known: ReadonlyMap<number, Why | null>,
  summary: Summary | null,
): Dropped[] {
  const dropped: Dropped[] = [];
  let next = 1;
  for (const [seq, why] of [...known].sort(([a], [b]) => a - b)) {
    dropped.push(...beyondBudget(next, seq - 1, summary));
    if (why) dropped.push({ from_seq: seq, to_seq: seq, why });
    next = seq + 1;
  }
  return joined([...dropped, ...beyondBudget(next, count, summary)]);
}

/** A run that fell to the budget, in up to three parts: the summary tells of the middle one. */
function beyondBudget(from: number, to: number, summary: Summary | null): Dropped[] {
  const start = Math.max(from, summary?.from_seq ?? Infinity);
  const end = Math.min(to, summary?.to_seq ?? 0);
  const budget: Why = 'budget';
  const parts: Dropped[] =
    start > end
      ? [{ from_seq: from, to_seq: to, why: budget }]
      : [
          { from_seq: from, to_seq: start - 1, why: budget },
          { from_seq: start, to_seq: end, why: 'covered_by_summary' },
          { from_seq: end + 1, to_seq: to, why: budget },
        ];
  return parts.filter(({ from_seq, to_seq }) => from_seq <= to_seq);
}

function joined(runs: Dropped[]): Dropped[] {
  const result: Dropped[] = [];
  for (const run of runs) {
    const last = result.at(-1);
    if (last?.why === run.why && last.to_seq + 1 === run.from_seq) last.to_seq = run.to_seq;
    else result.push(run);
  }
  return result;
}
