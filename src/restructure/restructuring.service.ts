import { Injectable } from '@nestjs/common';
import type { Permission } from '../access/roles.js';
import { ahead } from '../common/ahead.js';
import { callerOf } from '../common/caller.js';
import { newId } from '../common/ids.js';
import type { Json } from '../common/json.js';
import type { Progress, Reached, RunningJob } from '../jobs/job-handler.js';
import { MessageCopiesRepository, type Picked, type Placed } from '../messages/message-copies.repository.js';
import { BusySessionsService } from '../sessions/busy-sessions.service.js';
import { HiddenSessionsService } from '../sessions/hidden-sessions.service.js';
import type { NewSession } from '../sessions/new-session.js';
import type { SessionRow } from '../sessions/session.view.js';
import { MergeOrder } from './merge-order.js';

/** A session that is being made is left to its job: the purge only removes what no job will ever come back to. */
const HIDDEN_SECONDS = 7 * 24 * 3600;

/** The last that was copied of each source, the last to be copied of each, and how far the job is when so many more are copied. */
type How = [
  reached: number[],
  upTo: number[],
  reach: (reached: number[], copied: number) => { cursor: Json; progress: Progress },
];

/** What stands in order in sessions, and is copied in that order: messages, reports on models. */
export interface InOrder {
  /** What stands behind a number, in order. */
  placed(session: number, after: number, limit: number): Promise<Placed[]>;
  /** Appends copies to a session that has copies only. */
  append(copy: number, picked: Picked[]): Promise<void>;
}

/** What jobs do that make sessions out of others: the sources are theirs, the targets hidden, until they end. */
@Injectable()
export class RestructuringService {
  constructor(
    private readonly busy: BusySessionsService,
    private readonly hidden: HiddenSessionsService,
    private readonly messages: MessageCopiesRepository,
  ) {}

  /** Within a fence: takes the sources, or finds that the job has them. A job that was abandoned and is tried again lost them meanwhile. */
  async take(job: RunningJob, permission: Permission): Promise<SessionRow[]> {
    const sources = await this.busy.lock([...job.sessionIds], callerOf(job.userId), permission, job.id);
    await this.busy.mark(sources, job.id);
    return sources;
  }

  /** Makes a target; answers its key. */
  make(session: NewSession, job: RunningJob): Promise<number> {
    return this.hidden.begin(session, HIDDEN_SECONDS, callerOf(job.userId));
  }

  /** Whether a target is still being made. */
  isThere(target: number): Promise<boolean> {
    return this.hidden.isThere(target, HIDDEN_SECONDS);
  }

  /** Writes to a target, and with it how far the job is; nobody else writes there. */
  write(job: RunningJob, target: number, work: () => Promise<Reached>): Promise<void> {
    return job.fence(() => this.hidden.write(target, HIDDEN_SECONDS, work));
  }

  /** Appends copies of what is left of histories to a target, page by page; see `copy`. */
  copyMessages(job: RunningJob, sources: SessionRow[], target: number, ...how: How): Promise<void> {
    return this.copy(this.messages, job, sources, target, ...how);
  }

  /**
   * Appends copies of what is left to a target, page by page, by time.
   */
  async copy(
    rows: InOrder,
    job: RunningJob,
    sources: SessionRow[],
    target: number,
    ...[from, upTo, reach]: How
  ): Promise<void> {
    const order = new MergeOrder(
      (source, after, limit) => {
        const left = upTo[source]! - after;
        return rows.placed(sources[source]!.key, after, Math.min(limit, left));
      },
      [...from],
    );
    for await (const { places, reached } of ahead(order.pages())) {
      const picked = places.map(({ source, seq }) => ({ source: sources[source]!, seq, otherId: newId() }));
      await this.write(job, target, async () => {
        await rows.append(target, picked);
        return reach(reached, places.length);
      });
    }
  }

  /** What the job made is removed, what it read is free. */
  async abandon(jobId: string, targets: number[]): Promise<void> {
    for (const target of targets) await this.hidden.discard(target);
    await this.busy.free(jobId);
  }
}
