import type { Outage } from '../common/outage.js';

/** A way to other processes: whoever is connected hears that somebody has written events, and nothing more. */
export interface Bus {
  /** @throws when it cannot be told now */
  tell(): Promise<void>;
  close(): Promise<void>;
}

/** Of the process that connects. */
export interface Ear {
  /** its name, unlike any other's */
  name: string;
  /** another process has told; or may have, while the bus was away */
  hear(): void;
  outage: Outage;
}

/** The channel of the bus; what is told is the name of who tells. */
export const CHANNEL = 'session-service:news';

/** After so long another try is made to reach a bus that is away. */
export const RECONNECT_MS = 1_000;

/** A connection on which nothing comes back for so long is opened anew. */
export const DEAD_MS = 5_000;
