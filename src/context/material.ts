import type { Row } from './groups.js';

/** The stored summary of the messages `from_seq` to `to_seq`. */
export interface Summary {
  text: string;
  from_seq: number;
  to_seq: number;
  tokens: number;
}

/** A memory entry, as far as choosing needs to know it. */
export interface Fact {
  tokens: number;
  importance: number;
  updatedAt: Date;
  key: number;
}

/** A message found for the query. */
export interface Passage {
  /** key of its session */
  session: number;
  seq: number;
  /** whether it is of the very session whose context is made */
  isOwn: boolean;
  tokens: number;
  bytes: number;
}

/** What a context is made from. */
export interface Material {
  /** the session's messages are seq 1 to `count` */
  count: number;
  /** `rows` hold every message from this seq on: a window, which the caller widens */
  from: number;
  /**
   * The window; below it what completes a group that has a member in the window and, for `pinned`, what is pinned
   * (others look past it). In any order.
   */
  rows: Row[];
  /** `max_tokens - reserve_tokens`; may be zero or less */
  budget: number;
  /** `reserve_tokens`: what a caller must ask for beside the budget */
  reserved: number;
  /** bounds the bytes of all messages and passages */
  maxBytes: number;
  summary: Summary | null;
  /** empty when not asked for */
  memory: Fact[];
  /** best first; empty without a query */
  passages: Passage[];
}

export type Why = 'budget' | 'too_large' | 'unanswered_call' | 'redacted' | 'covered_by_summary';

export interface Dropped {
  from_seq: number;
  to_seq: number;
  why: Why;
}

/** What a context holds. `seqs` and `dropped` cover the session exactly. */
export interface Plan {
  /** ascending */
  seqs: number[];
  /** ascending, neighbours with one reason as one */
  dropped: Dropped[];
  summary: Summary | null;
  /** most important first */
  memory: Fact[];
  /** best first */
  passages: Passage[];
  /** over everything above, never more than the budget */
  tokenCount: number;
  /** the window was too small to tell: ask again with a wider one */
  isOpen: boolean;
}
