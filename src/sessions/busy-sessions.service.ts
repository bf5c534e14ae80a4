import { Injectable } from '@nestjs/common';
import type { Permission } from '../access/roles.js';
import { verify } from '../access/verify.js';
import type { Caller } from '../common/caller.js';
import type { JsonObject } from '../common/json.js';
import type { NewEvent } from '../events/events.sql.js';
import { BusySessionsRepository } from './busy-sessions.repository.js';
import { eventsOf, type Plan, planStatus } from './edit.js';
import { checkFree } from './lifecycle.js';
import type { SessionRow } from './session.view.js';
import { SessionsRepository } from './sessions.repository.js';

/** What becomes of a session when the job that read it has ended well. */
export interface Released {
  archive: boolean;
  /** added to what it is from */
  lineage: JsonObject;
  events: NewEvent[];
  /** the job that is not done with it yet */
  keepFor?: string | null;
}

/** Sessions that a job reads: until it ends they stay as they are, but for signs of life. */
@Injectable()
export class BusySessionsService {
  constructor(
    private readonly busy: BusySessionsRepository,
    private readonly sessions: SessionsRepository,
  ) {}

  /**
   * Holds sessions until the transaction ends; answers them in the order they are asked for.
   * @param jobId may have them already
   * @throws DomainError `session_not_found`, `session_deleted`, `forbidden`, `session_busy`, for the first of which it is so
   */
  async lock(
    ids: string[],
    caller: Caller,
    permission: Permission,
    jobId: string | null,
  ): Promise<SessionRow[]> {
    const found = new Map((await this.busy.lockAll(ids, caller.userId)).map((row) => [row.id, row]));
    const rows = ids.map((id) => verify(found.get(id), permission));
    for (const row of rows) if (row.busy_job !== jobId) checkFree(row);
    return rows;
  }

  /** From the end of this transaction on they are the job's. */
  mark(rows: SessionRow[], jobId: string): Promise<void> {
    return this.busy.mark(
      rows.map(({ key }) => key),
      jobId,
    );
  }

  /** One that the job has, edited: archived, with where it went; and free again, unless the job is not done with it. */
  async release(row: SessionRow, { archive, lineage, events, keepFor = null }: Released): Promise<void> {
    const isArchived = archive && row.status !== 'archived';
    const plan: Plan = { session: {}, details: {}, updates: ['lineage'], status: row.status };
    if (isArchived) planStatus(plan, row, 'archived');
    await this.sessions.save(
      row,
      { ...plan.session, busy_job: keepFor },
      { lineage: { ...row.lineage, ...lineage } },
      [...eventsOf(row, plan), ...events],
      null,
    );
  }

  /** All that the job had. */
  async free(jobId: string): Promise<void> {
    await this.busy.free(jobId);
  }
}
