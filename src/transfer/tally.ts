import { createHash } from 'node:crypto';
import type { Counts, End } from './format.js';

const NEWLINE = Buffer.from('\n');

/** Counts the records that have passed, and digests their lines. */
export class Tally {
  private readonly hash = createHash('sha256');
  readonly counts: Counts = Object.create(null);

  /** A line without its end. */
  digest(line: Uint8Array): void {
    this.hash.update(line).update(NEWLINE);
  }

  /** Lines with their ends. */
  digestAll(lines: string): void {
    this.hash.update(lines);
  }

  count(type: string): void {
    this.counts[type] = this.of(type) + 1;
  }

  of(type: string): number {
    return this.counts[type] ?? 0;
  }

  /** What the last line says; nothing may follow. */
  end(): End {
    return { type: 'end', counts: this.counts, sha256: this.hash.digest('hex') };
  }
}
