import type { Scope } from '../common/caller.js';

/** What a kind of job is. */
export interface JobKindSpec {
  /** in a few words, for the operator */
  about: string;
  /** what a service key needs, beside the scope of the route, to cancel one or to let it go on */
  scope?: Scope;
  /** attempts that may fail before it is dead, 5 by default */
  attempts?: number;
}

/** Every kind of job there is. The room whose work it does holds its handler (`@JobHandler`); without one the start is refused. */
export const JOB_KINDS = {
  cleanup: {
    about: 'archives, deletes and purges what the retention policies say',
    scope: 'admin',
    attempts: 100,
  },
  erasure: { about: 'removes a user, and what he wrote', scope: 'admin', attempts: 200 },
  merge: { about: 'makes one session out of several', attempts: 100 },
  split: { about: 'makes several sessions out of parts of one', attempts: 100 },
  summarize: { about: 'lets a model sum a session up', attempts: 50 },
} as const satisfies Record<string, JobKindSpec>;

export type JobKind = keyof typeof JOB_KINDS;

/** Injection token of the kinds by name. */
export const KINDS = Symbol('JobKinds');
export type Kinds = Readonly<Record<string, JobKindSpec>>;
