/** A message, as far as choosing needs to know it. */
export interface Row {
  seq: number;
  role: 'system' | 'developer' | 'user' | 'assistant' | 'tool';
  tokens: number;
  bytes: number;
  /** ids of the calls it makes */
  calls: string[];
  /** of a tool message: the seq of the message that made the call, and the call's id */
  answers: { seq: number; id: string } | null;
  isRedacted: boolean;
}

/** What is taken or dropped whole: a message, or an assistant message with its calls and all their results. */
export interface Group {
  /** by seq */
  rows: Row[];
  tokens: number;
  bytes: number;
  /** its highest seq */
  newest: number;
  /** why no model may see it */
  fault: 'redacted' | 'unanswered_call' | null;
}

interface Draft {
  rows: Row[];
  /** calls that have no result yet */
  open: Set<string>;
}

/** Groups of rows in any order, newest first. A result may stand anywhere behind its call. */
export function groupsOf(rows: Row[]): Group[] {
  const drafts = new Map<number, Draft>();
  for (const row of [...rows].sort((a, b) => a.seq - b.seq)) {
    const caller = row.answers && drafts.get(row.answers.seq);
    // taking the call off: a second result would be an orphan for the model
    if (caller?.open.delete(row.answers!.id)) caller.rows.push(row);
    else drafts.set(row.seq, { rows: [row], open: new Set(row.calls) });
  }
  return [...drafts.values()].map(groupOf).sort((a, b) => b.newest - a.newest);
}

function groupOf({ rows, open }: Draft): Group {
  return {
    rows,
    tokens: rows.reduce((sum, row) => sum + row.tokens, 0),
    bytes: rows.reduce((sum, row) => sum + row.bytes, 0),
    newest: rows.at(-1)!.seq,
    fault: faultOf(rows, open),
  };
}

function faultOf(rows: Row[], open: Set<string>): Group['fault'] {
  if (rows.some((row) => row.isRedacted)) return 'redacted';
  // a result that stands first found no call: without it, it is as useless as a call without its result
  return open.size > 0 || rows[0]!.role === 'tool' ? 'unanswered_call' : null;
}
