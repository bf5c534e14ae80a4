import { Injectable } from '@nestjs/common';
import { MembersRepository } from '../access/members.repository.js';
import { MOST_MEMBERS, tooManyMembers } from '../collaboration/collaboration.service.js';
import { checkSameShape, PointCopiesService } from '../collections/point-copies.service.js';
import { type Caller, isService, type Scope } from '../common/caller.js';
import { forbidden, invalid } from '../common/errors.js';
import type { JsonObject } from '../common/json.js';
import { type Answer, type Effect, IdempotencyService } from '../idempotency/idempotency.service.js';
import type { JobRow } from '../jobs/jobs.schemas.js';
import { JobsService } from '../jobs/jobs.service.js';
import { MOST_ENTRIES, memoryFull } from '../memory/memory.service.js';
import { MemoryCopiesRepository } from '../memory/memory-copies.repository.js';
import { BusySessionsService } from '../sessions/busy-sessions.service.js';
import type { SessionRow } from '../sessions/session.view.js';
import { MAX_TAGS } from '../sessions/sessions.schemas.js';
import { SessionsService } from '../sessions/sessions.service.js';
import { StatsCopiesRepository } from '../stats/stats-copies.repository.js';
import { type Included, type Merge, type MergeInput, ownerOf, permissionOf } from './merge.schemas.js';

/** What a key must have beside the scope of the route to read what is copied. */
const SCOPES: Partial<Record<Included, Scope>> = {
  memory: 'memory:read',
  vectors: 'collections:read',
  stats: 'stats:read',
};

/** Asks for one session to be made out of several: refuses what can be refused, and hands the rest to a job. */
@Injectable()
export class MergeService {
  constructor(
    private readonly sessions: SessionsService,
    private readonly busy: BusySessionsService,
    private readonly members: MembersRepository,
    private readonly memory: MemoryCopiesRepository,
    private readonly points: PointCopiesService,
    private readonly stats: StatsCopiesRepository,
    private readonly jobs: JobsService,
    private readonly idempotency: IdempotencyService,
  ) {}

  /**
   * The sources are the job's from now on.
   * @throws DomainError `session_busy`, `session_id_taken`, `too_many_collaborators`, `shape_mismatch`, `memory_full`, `stats_full`, `stats_overflow`, `key_reused`, and those of every session route
   */
  merge(input: Merge, caller: Caller, key: string | null): Promise<Answer<JobRow>> {
    for (const part of input.include) checkScope(part, caller);
    if (!isService(caller) && (input.user_id ?? caller.userId) !== caller.userId)
      throw forbidden('A user acts for himself only.');
    const request = { key, caller, route: 'POST /sessions/merge', body: input };
    return this.idempotency.once(
      request,
      () => this.begin(input, caller),
      ([job]) => this.jobs.getByKey(job!, caller),
    );
  }

  private async begin(input: Merge, caller: Caller): Promise<Effect<JobRow>> {
    const { session_ids, session_id } = input;
    const rows = await this.busy.lock(session_ids, caller, permissionOf(input), null);
    const { session_ids: _, ...asked } = input;
    const merge: MergeInput = {
      ...asked,
      user_id: caller.userId ?? input.user_id,
      tags: tagsOf(input, rows),
    };
    const owner = { user_id: ownerOf(merge, rows[0]!), agent_id: rows[0]!.agent_id };
    if (session_id !== undefined) await this.sessions.checkFreeId(session_id, owner, caller);
    await this.checkContents(merge, rows);
    const { job } = await this.jobs.create({
      kind: 'merge',
      userId: caller.userId,
      sessionIds: session_ids,
      input: merge as unknown as JsonObject,
    });
    await this.busy.mark(rows, job.job_id);
    return { status: 202, ids: [job.key], value: job };
  }

  private async checkContents(merge: MergeInput, rows: SessionRow[]): Promise<void> {
    const { include } = merge;
    const keys = rows.map(({ key }) => key);
    const members = await this.members.countTogether(keys, ownerOf(merge, rows[0]!));
    if (members > MOST_MEMBERS) throw tooManyMembers();
    if (include.includes('vectors')) checkSameShape([...(await this.points.findAll(keys)).values()]);
    if (include.includes('memory') && (await this.memory.countTogether(keys)) > MOST_ENTRIES)
      throw memoryFull();
    if (include.includes('stats')) await this.stats.checkTogether(keys);
  }
}

function checkScope(part: Included, { scopes }: Caller): void {
  const scope = SCOPES[part];
  if (scope && !scopes.has(scope)) throw forbidden(`The key lacks the scope ${scope}, which ${part} needs.`);
}

function tagsOf({ tags }: Merge, rows: SessionRow[]): string[] {
  const united = [...new Set([...rows.flatMap((row) => row.tags), ...(tags ?? [])])];
  if (united.length <= MAX_TAGS) return united;
  throw invalid(
    [
      {
        pointer: '/session_ids',
        detail: `have together ${united.length} tags, at most ${MAX_TAGS} are kept`,
      },
    ],
    'too_many_tags',
  );
}
