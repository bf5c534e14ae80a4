/**
 * A bucket of tokens for each name: full at first, filled again evenly over a minute. All there is to know of one is the moment at
 * which it will be full: it is empty when that is a whole filling away.
 */
export interface Buckets {
  /**
   * Takes a token if there is one.
   * @throws when the store of the buckets does not answer
   */
  take(name: string): Promise<Taken>;
  close(): void;
}

export interface Taken {
  isTaken: boolean;
  /** microseconds until the bucket is full again */
  fullIn: number;
}

/** How buckets fill, in whole microseconds. */
export interface Rate {
  /** for one token */
  step: number;
  /** for all of them */
  whole: number;
}

const MINUTE = 60_000_000;

export function rateOf(perMinute: number): Rate {
  const step = Math.floor(MINUTE / perMinute);
  return { step, whole: step * perMinute };
}
