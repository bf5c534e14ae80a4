import { setTimeout } from 'node:timers/promises';
import { DomainError } from '../common/errors.js';
import type { Json } from '../common/json.js';
import type { Progress, RunningJob } from '../jobs/job-handler.js';
import { Names } from './erasure-names.js';

/** In this order, again and again until nothing is found that is older than the erasure; then the stores of vectors, and the end. */
export const PHASES = [
  'jobs',
  'copies',
  'sessions',
  'members',
  'messages',
  'memory',
  'traces',
  'user',
] as const;
export type Phase = (typeof PHASES)[number] | 'vectors' | 'done';

/** Sessions under legal hold that are named; there may be more. */
export const MOST_NAMED = 1_000;

/** How often, and after what time, it is looked whether what is waited for has ended, before it is done without. */
export const LOOKS = 25;
const LOOK_MS = 200;

/** What was done, in rows. */
export interface Counts {
  sessions: number;
  messages: number;
  memory: number;
  jobs: number;
  memberships: number;
  policies: number;
  redacted: number;
  replaced: number;
}

/** How far an erasure is. Whoever goes on with it begins behind this. */
export type State = {
  phase: Phase;
  /** the last session whose fields were looked at for copies of his */
  walked: number;
  /** some could not be: his sessions stay for now, so that these can be told */
  kept: boolean;
  /** which part of the phase, for those that have several */
  part: number;
  /** what of it was looked at last */
  after: Json;
  pass: number;
  /** the newest session when the pass began: what comes later is the next one's, so that it ends whatever is made meanwhile */
  upTo: number;
  /** all that was being written when it began had been written when this pass began */
  settled: boolean;
  /** found in this pass, and older than the erasure */
  found: number;
  /** something is in the hands of another job: it is waited for */
  waiting: boolean;
  held: string[];
  counts: Counts;
  /** sessions that are being removed */
  batch: number[];
  /** sessions of others that are from these, and newer than `walked` */
  copied: number[];
  /** messages that are redacted, of which what was derived is still there */
  redacted: { session: number; seqs: number[] } | null;
  /** when it began */
  since: string;
  tx: string;
  token: string;
  salt: string;
};

/** An erasure while a worker is at it. */
export class Erasing {
  /** passes of this attempt that have met something in the hands of others */
  waits = 0;
  readonly names: Names;

  constructor(
    readonly job: RunningJob,
    readonly user: string,
    public state: State,
  ) {
    this.names = new Names(user, state.token, state.salt);
  }

  /** …to a session, when what may be at it has had a moment to end. */
  async writeTo(isBusy: () => Promise<boolean>, work: () => Promise<Partial<State>>): Promise<void> {
    for (let looks = 0; looks < LOOKS && (await isBusy()); looks++) await this.pause();
    await this.write(work);
  }

  /** Until somebody else may have come further. */
  pause(): Promise<void> {
    return setTimeout(LOOK_MS, undefined, { signal: this.job.signal });
  }

  /** Writes an effect together with how far the erasure is then. */
  write(work: () => Promise<Partial<State>>): Promise<void> {
    return this.job.fence(async () => {
      // what is counted meanwhile changes the state too
      const changes = await work();
      this.state = { ...this.state, ...changes };
      return { cursor: this.state as unknown as Json, progress: this.progress(), isCommitted: true };
    });
  }

  async step(changes: Partial<State>): Promise<void> {
    this.state = { ...this.state, ...changes };
    await this.job.step(this.state as unknown as Json, this.progress());
  }

  /** Counts what was done, and what of it makes another pass needed. */
  count(what: keyof Counts, rows: number, found = rows): void {
    const { counts } = this.state;
    this.state = {
      ...this.state,
      counts: { ...counts, [what]: counts[what] + rows },
      found: this.state.found + found,
    };
  }

  /** A session under legal hold stays as it is, and is named. */
  hold(id: string): void {
    const { held } = this.state;
    if (!held.includes(id) && held.length < MOST_NAMED) this.state = { ...this.state, held: [...held, id] };
  }

  wait(): void {
    this.state = { ...this.state, waiting: true };
  }

  private progress(): Progress {
    const { phase, counts } = this.state;
    return { phase, done: Object.values(counts).reduce((sum, count) => sum + count, 0) };
  }
}

/** Tried again later: what is waited for is in the hands of others. */
export const waits = (detail = 'Other jobs are at what is to be erased: they are waited for.') =>
  new DomainError('unavailable', 'erasure_waits', detail);
