import { Injectable } from '@nestjs/common';
import { History } from '../messages/history.js';
import type { FoundMessage, Outline } from '../messages/message.view.js';
import { measured } from './measured.js';
import { TokenCounter } from './token-counter.js';

/** Messages whose content is in memory at once. */
const BATCH = 200;

/** What messages count in a window: counted when first needed, and stored with them. */
@Injectable()
export class TokenCountsService {
  constructor(
    private readonly history: History,
    private readonly counter: TokenCounter,
  ) {}

  /** Of messages that have no count yet, by seq; those redacted meanwhile have none. */
  async count(session: number, uncounted: Outline[]): Promise<Map<number, number>> {
    const counts = new Map<number, number>();
    for (let seqs = uncounted.map(({ seq }) => seq).sort((a, b) => a - b); seqs.length > 0; ) {
      const rows = await this.history.bySeq(session, seqs.slice(0, BATCH));
      if (rows.length === 0) break;
      const batch = await this.countRows(rows.filter(({ redacted_at }) => redacted_at === null));
      await this.history.storeCounts(
        session,
        batch.map(({ row: { seq }, tokens }) => ({ seq, tokens })),
      );
      for (const { row, tokens } of batch) counts.set(row.seq, tokens);
      // a page may hold fewer of them than were asked for
      const read = new Set(rows.map(({ seq }) => seq));
      seqs = rows.length < rows[0]!.found ? seqs.filter((seq) => !read.has(seq)) : seqs.slice(BATCH);
    }
    return counts;
  }

  /** Of messages of any sessions, those that have no count yet get theirs. */
  async complete(rows: FoundMessage[]): Promise<void> {
    const counted = await this.countRows(rows.filter(({ token_count }) => token_count === null));
    for (const { row, tokens } of counted) {
      row.token_count = tokens;
      await this.history.storeCounts(row.session_key, [{ seq: row.seq, tokens }]);
    }
  }

  /** Of texts that are stored nowhere. */
  ofTexts(texts: string[]): Promise<number[]> {
    return texts.length ? this.counter.count(texts) : Promise.resolve([]);
  }

  private async countRows<R extends FoundMessage>(rows: R[]): Promise<{ row: R; tokens: number }[]> {
    const sizes = rows.map(measured);
    const tokens = await this.ofTexts(sizes.map(({ text }) => text));
    return rows.map((row, index) => ({ row, tokens: tokens[index]! + sizes[index]!.more }));
  }
}
