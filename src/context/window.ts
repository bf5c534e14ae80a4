import { DomainError } from '../common/errors.js';
import type { History } from '../messages/history.js';
import type { FoundMessage, Outline } from '../messages/message.view.js';
import type { Row } from './groups.js';

/** Bytes that an answered message has beside its content. */
const ENVELOPE = 1_000;

/** Messages read at first, and at most at once. */
const [FIRST, MOST] = [64, 10_000];

/** System and developer messages that may be pinned. */
const PINNED = 1_000;

/** Bytes of messages that are counted before the strategy is asked again. */
const BYTES = 2 * 1024 * 1024;

export type Counts = (session: number, uncounted: Outline[]) => Promise<Map<number, number>>;

/**
 * The end of a session's history, without what it says: read as far back as is asked for, with what completes the calls
 * in it. Each message has its tokens, counted if nobody has needed them before.
 */
export class Window {
  readonly rows = new Map<number, Row>();
  /** every message from this seq on is here */
  from: number;
  private limit = FIRST;

  constructor(
    private readonly history: History,
    private readonly counts: Counts,
    private readonly session: number,
    private readonly count: number,
  ) {
    this.from = count + 1;
  }

  /** Reads further back, twice as far each time. */
  async widen(): Promise<void> {
    const page = withinBytes(await this.history.outline(this.session, this.from, this.limit));
    this.from = page.at(-1)?.seq ?? 1;
    this.limit = Math.min(2 * this.limit, MOST);
    const outside = page.flatMap(({ tool_call_seq }) =>
      tool_call_seq !== null && tool_call_seq < this.from && !this.rows.has(tool_call_seq)
        ? [tool_call_seq]
        : [],
    );
    const calls = outside.length
      ? await this.history.outlineCalls(this.session, [...new Set(outside)], this.count)
      : [];
    await this.add([...page, ...calls]);
  }

  /** @throws DomainError `too_many_pinned` */
  async addPinned(): Promise<void> {
    const pinned = await this.history.outlinePinned(this.session, this.count, PINNED + 1);
    if (pinned.length > PINNED + 1)
      throw new DomainError(
        'invalid',
        'too_many_pinned',
        `More than ${PINNED} messages are pinned: use another strategy.`,
      );
    await this.add(pinned);
  }

  /** Takes messages for redacted that are so now; answers whether there were any. */
  forget(messages: FoundMessage[]): boolean {
    const redacted = messages.filter(({ redacted_at }) => redacted_at !== null);
    for (const { seq } of redacted) this.rows.set(seq, { ...this.rows.get(seq)!, isRedacted: true });
    return redacted.length > 0;
  }

  private async add(outlines: Outline[]): Promise<void> {
    const fresh = outlines.filter(({ seq }) => !this.rows.has(seq));
    const uncounted = fresh.filter(({ token_count, is_redacted }) => token_count === null && !is_redacted);
    const counts = uncounted.length ? await this.counts(this.session, uncounted) : new Map<number, number>();
    for (const outline of fresh) {
      const tokens = outline.token_count ?? counts.get(outline.seq);
      this.rows.set(outline.seq, rowOf(outline, tokens));
    }
  }
}

/** The first ones, as long as they are not too much together; one at least. */
function withinBytes(page: Outline[]): Outline[] {
  let left = BYTES;
  const end = page.findIndex(({ bytes }) => {
    left -= bytes;
    return left < 0;
  });
  return end < 0 ? page : page.slice(0, Math.max(1, end));
}

/** One that could not be counted is gone meanwhile. */
const rowOf = (outline: Outline, tokens: number | undefined): Row => ({
  seq: outline.seq,
  role: outline.role,
  tokens: tokens ?? 0,
  bytes: outline.bytes + ENVELOPE,
  calls: outline.calls,
  answers: outline.tool_call_seq === null ? null : { seq: outline.tool_call_seq, id: outline.tool_call_id! },
  isRedacted: outline.is_redacted || tokens === undefined,
});
