import { applyDecorators, Injectable, SetMetadata } from '@nestjs/common';
import type { Json, JsonObject } from '../common/json.js';
import type { JobKind } from './kinds.js';

/** How far a job is; what is left out stays as it was. */
export interface Progress {
  phase?: string;
  done?: number;
  /** not known: left out */
  total?: number;
}

/** How far a job has come, for its caller and for whoever goes on with it. */
export interface Reached {
  cursor: Json;
  progress?: Progress;
  /** its effect is there: it cannot be cancelled any more */
  isCommitted?: boolean;
}

/** A job, as its handler sees it. */
export interface RunningJob {
  readonly id: string;
  /** counts from 1, by every worker that took it */
  readonly attempt: number;
  readonly input: JsonObject;
  /** whose it is; null: a service's */
  readonly userId: string | null;
  readonly sessionIds: readonly string[];
  /** as the last step left it, in this attempt or an earlier one; null at first */
  readonly cursor: Json;
  /** aborted when the job is cancelled or another worker has it, or the process ends: for what waits long */
  readonly signal: AbortSignal;

  /**
   * Writes how far the job has come, so that whoever has it next goes on from there.
   * @throws Unwound when the job is not ours any more, is cancelled, or the process stops: let it pass
   */
  step(cursor: Json, progress?: Progress): Promise<void>;

  /**
   * A step whose effect is written with it in one transaction: both or neither, and by one worker only. The work
   * writes to the database and calls nobody else; it answers how far the job has come.
   * @throws Unwound as `step` does
   */
  fence(work: () => Promise<Reached>): Promise<void>;
}

/** A job that failed for good or was cancelled, as its last step left it. */
export interface EndedJob {
  readonly job_id: string;
  readonly session_ids: readonly string[];
  readonly cursor: Json;
}

/** Does the jobs of a kind. It may be ended at any moment and called again: it goes on from `job.cursor`. */
export interface Handler {
  /**
   * Answers the job's result.
   * @throws DomainError of another kind than `unavailable`: the job fails with its code; anything else is tried again
   */
  run(job: RunningJob): Promise<Json>;

  /**
   * Gives back what the job holds, in the transaction in which it ends without success; calls nothing but the database.
   * It may be tried again afterwards: `run` finds out what is still there.
   */
  abandon?(job: EndedJob): Promise<void>;
}

const HANDLES = Symbol('handles');

/** A provider that does the jobs of this kind; found at start, and there must be one for every kind. */
export const JobHandler = (kind: JobKind): ClassDecorator =>
  applyDecorators(Injectable(), SetMetadata(HANDLES, kind)) as ClassDecorator;

export const kindHandledBy = (type: object): string | undefined => Reflect.getMetadata(HANDLES, type);

/** Ends a handler from within `step`: the job goes on elsewhere, later, or not at all. */
export class Unwound extends Error {
  override readonly name = 'Unwound';

  constructor(readonly why: 'cancelled' | 'lost' | 'stopping') {
    super(`the job is ${why}`);
  }
}
