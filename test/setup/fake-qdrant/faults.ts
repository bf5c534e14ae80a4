/** What happens instead of an answer, or to it. */
export interface How {
  status?: number;
  headers?: Record<string, string>;
  /** with `status`: what is said instead; alone: said in place of the right answer to a call that is done */
  body?: string;
  /** the status of an update that is done */
  unfinished?: 'acknowledged' | 'wait_timeout';
  /** when the connection ends: before the call is done, after it, or in the middle of the answer */
  cut?: 'before' | 'after' | 'within-answer';
  /** never an answer; done or not */
  hang?: 'before' | 'after';
}

/** Something that shall go wrong with the next calls that fit. */
export interface Fault {
  /** holds of `METHOD /path`; all, if it is not given */
  on?: RegExp;
  /** how often; for ever, if it is not given */
  times?: number;
  how: How;
}

export class Faults {
  private readonly pending: { fault: Fault; left: number }[] = [];

  add(fault: Fault): void {
    this.pending.push({ fault, left: fault.times ?? Number.POSITIVE_INFINITY });
  }

  clear(): void {
    this.pending.length = 0;
  }

  take(call: string): How {
    const found = this.pending.find(({ fault, left }) => left > 0 && (fault.on?.test(call) ?? true));
    if (!found) return {};
    found.left--;
    return found.fault.how;
  }
}
