import type { Placed } from '../messages/message-copies.repository.js';

/** One message of one of several histories. */
export interface Place {
  /** which of the histories */
  source: number;
  seq: number;
}

interface Page {
  places: Place[];
  /** the last seq of each history up to the end of this page */
  reached: number[];
}

/** Messages, and bytes of them, that are copied at once. */
const [PAGE, BYTES] = [1_000, 16 * 1024 * 1024];

/** The messages of a history behind a seq, in order, at most so many. */
export type Read = (source: number, after: number, limit: number) => Promise<Placed[]>;

/**
 * Several histories as one: by time, then in the order of the histories, within one by its own seq (times never go back
 * there). Of each only so much is read ahead as a page has.
 */
export class MergeOrder {
  private readonly ahead: Placed[][];
  private readonly isRead: boolean[];

  constructor(
    private readonly read: Read,
    /** the last seq taken of each */
    private readonly reached: number[],
  ) {
    this.ahead = reached.map(() => []);
    this.isRead = reached.map(() => false);
  }

  /** All of them, as many at a time as are copied at once. */
  async *pages(): AsyncGenerator<Page> {
    for (let places = await this.next(); places.length > 0; places = await this.next())
      yield { places, reached: [...this.reached] };
  }

  private async next(): Promise<Place[]> {
    const page: Place[] = [];
    for (let bytes = 0; page.length < PAGE && bytes < BYTES; ) {
      const source = await this.first();
      if (source < 0) break;
      const message = this.ahead[source]!.shift()!;
      this.reached[source] = message.seq;
      bytes += message.bytes;
      page.push({ source, seq: message.seq });
    }
    return page;
  }

  private async first(): Promise<number> {
    let first = -1;
    for (let source = 0; source < this.ahead.length; source++) {
      const head = await this.head(source);
      if (head && (first < 0 || head.created_at < this.ahead[first]![0]!.created_at)) first = source;
    }
    return first;
  }

  private async head(source: number): Promise<Placed | undefined> {
    if (this.ahead[source]!.length === 0 && !this.isRead[source]) {
      this.ahead[source] = await this.read(source, this.reached[source]!, PAGE);
      this.isRead[source] = this.ahead[source]!.length < PAGE;
    }
    return this.ahead[source]![0];
  }
}
