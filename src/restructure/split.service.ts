import { Injectable } from '@nestjs/common';
import type { CollectionRow } from '../collections/collection.view.js';
import { PointCopiesService } from '../collections/point-copies.service.js';
import { type Caller, type Scope } from '../common/caller.js';
import { DomainError, type Fault, forbidden, invalid } from '../common/errors.js';
import type { JsonObject } from '../common/json.js';
import { type Answer, type Effect, IdempotencyService } from '../idempotency/idempotency.service.js';
import type { JobRow } from '../jobs/jobs.schemas.js';
import { JobsService } from '../jobs/jobs.service.js';
import { MessageCopiesRepository } from '../messages/message-copies.repository.js';
import { BusySessionsService } from '../sessions/busy-sessions.service.js';
import type { SessionRow } from '../sessions/session.view.js';
import { legalHold } from '../sessions/session-edits.service.js';
import { SessionsService } from '../sessions/sessions.service.js';
import { type PointId, showPointId } from '../vectors/point-id.js';
import { overlapping, partsOf, rangesOf, repeated } from './parts.js';
import type { PartInput, Split, SplitInput } from './split.schemas.js';

/** Points looked up at once, and ids told of in a refusal. */
const [LOOKED_UP, TOLD] = [1000, 10];

/** Asks for several sessions to be made out of parts of one: refuses what can be refused, and hands the rest to a job. */
@Injectable()
export class SplitService {
  constructor(
    private readonly sessions: SessionsService,
    private readonly busy: BusySessionsService,
    private readonly messages: MessageCopiesRepository,
    private readonly points: PointCopiesService,
    private readonly jobs: JobsService,
    private readonly idempotency: IdempotencyService,
  ) {}

  /**
   * The original is the job's from now on.
   * @throws DomainError `empty_part`, `missing_messages`, `overlapping_ranges`, `parted_tool_call`, `unknown_points`,
   *   `repeated_points`, `legal_hold`, `session_busy`, `key_reused`, and those of every session route
   */
  async split(id: string, input: Split, caller: Caller, key: string | null): Promise<Answer<JobRow>> {
    const seen = await this.sessions.get(id, caller);
    const request = { key, caller, route: `POST split ${seen.key}`, body: input };
    const render = ([job]: number[]) => this.jobs.getByKey(job!, caller);
    const earlier = await this.idempotency.replayed(request, render);
    if (earlier) return earlier;
    const ids = input.parts.map(({ point_ids = [] }) => point_ids);
    // the store is asked before the transaction; what is removed meanwhile the job finds missing
    await this.checkPoints(seen, ids, caller);
    return this.idempotency.once(request, () => this.begin(id, input, caller), render);
  }

  private async begin(id: string, input: Split, caller: Caller): Promise<Effect<JobRow>> {
    const [source] = await this.busy.lock([id], caller, 'manage', null);
    const parts = partsOf(input.parts, source!.message_count);
    await this.checkRanges(source!, parts);
    const removes = input.remove_points && parts.some(({ point_ids }) => point_ids.length > 0);
    if (removes && source!.legal_hold) throw legalHold();
    const { archive_original } = input;
    const split: SplitInput = { parts, remove_points: removes, archive_original };
    const { job } = await this.jobs.create({
      kind: 'split',
      userId: caller.userId,
      sessionIds: [id],
      input: split as unknown as JsonObject,
    });
    await this.busy.mark([source!], job.job_id);
    return { status: 202, ids: [job.key], value: job };
  }

  private async checkRanges(source: SessionRow, parts: PartInput[]): Promise<void> {
    const ranges = rangesOf(parts);
    const twice = overlapping(ranges);
    if (twice) throw fault(twice[1], `overlaps with part ${twice[0]}`, 'overlapping_ranges');
    const parted = await this.messages.findParted(source.key, ranges);
    if (!parted) return;
    const { at } = ranges[parted.range]!;
    throw fault(at, `parts a tool call from its result: message ${parted.seq}`, 'parted_tool_call');
  }

  private async checkPoints(source: SessionRow, parts: PointId[][], caller: Caller): Promise<void> {
    const twice = repeated(parts);
    if (twice) throw fault(twice.part, `names the point ${twice.id} again`, 'repeated_points');
    const ids = parts.flat();
    if (ids.length === 0) return;
    for (const scope of ['collections:read', 'collections:write'] satisfies Scope[])
      if (!caller.scopes.has(scope)) throw forbidden(`The key lacks the scope ${scope}, which points need.`);
    const collection = (await this.points.findAll([source.key])).get(source.key);
    const unknown =
      collection?.state === 'ready' ? await this.findMissing(collection, ids) : ids.slice(0, TOLD);
    if (unknown.length > 0)
      throw new DomainError('invalid', 'unknown_points', `There is no point ${unknown[0]}.`, {
        errors: [{ pointer: '/parts', detail: `there is no point ${unknown.join(', ')}` }],
        extra: { point_ids: unknown.map(showPointId) },
      });
  }

  private async findMissing(collection: CollectionRow, ids: PointId[]): Promise<PointId[]> {
    const missing: PointId[] = [];
    for (let at = 0; at < ids.length && missing.length < TOLD; at += LOOKED_UP)
      missing.push(...(await this.points.missing(collection, ids.slice(at, at + LOOKED_UP))));
    return missing.slice(0, TOLD);
  }
}

const fault = (part: number, detail: string, code: string) =>
  invalid([{ pointer: `/parts/${part}`, detail } satisfies Fault], code);
