import { Injectable } from '@nestjs/common';
import { Lanes } from '../common/lanes.js';

/** PostgreSQL that is away is asked again after so long. */
export const AWAY_MS = 1_000;

/** Pages that streams read at a time: however many these are, most connections are left to requests. */
const READS = 4;

/** Events that are read, and sent, at once: so much waits in memory for each reader. */
export const PORTION = { events: 100, bytes: 256 * 1024 };

/** Reads of the log for streams. While they stand in line more is told, which the same read then finds. */
@Injectable()
export class Reading {
  private readonly lanes = new Lanes(READS);
  private readonly running = new Map<string, Promise<unknown>>();

  run<T>(read: () => Promise<T>): Promise<T> {
    return this.lanes.run(read);
  }

  /** Those who ask for the same while it is being read get one answer; it may be from before they asked. */
  shared<T>(what: string, read: () => Promise<T>): Promise<T> {
    const running = this.running.get(what) as Promise<T> | undefined;
    if (running) return running;
    const reading = this.run(read).finally(() => this.running.delete(what));
    this.running.set(what, reading);
    return reading;
  }
}
