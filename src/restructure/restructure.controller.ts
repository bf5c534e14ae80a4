import { Body, Controller, Param, Post, Res } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import type { Caller } from '../common/caller.js';
import { CurrentCaller } from '../http/caller.guard.js';
import { IdempotencyKey, replyOnce } from '../http/idempotency-key.js';
import { Operation } from '../http/operation.js';
import { PreferWait } from '../http/prefer.js';
import type { Answer } from '../idempotency/idempotency.service.js';
import { JobStreams } from '../jobs/job-streams.js';
import { type JobRow, jobView, toView } from '../jobs/jobs.schemas.js';
import { sessionId } from '../sessions/sessions.schemas.js';
import { type Merge, mergeBody } from './merge.schemas.js';
import { MergeService } from './merge.service.js';
import { type Split, splitBody } from './split.schemas.js';
import { SplitService } from './split.service.js';

@ApiTags('Sessions')
@Controller('sessions')
export class RestructureController {
  constructor(
    private readonly merges: MergeService,
    private readonly splits: SplitService,
    private readonly streams: JobStreams,
  ) {}

  @Post('merge')
  @Operation({
    id: 'mergeSessions',
    summary: 'Make one session out of several, as a job',
    description:
      'Messages are copied in order of time and numbered anew, each with its `origin`; tags, collaborators and memory are united. ' +
      'The new session shows when it is whole. Until the job ends nothing of the sources can be changed (409 `session_busy`); then they are archived, ' +
      'unless `archive_sources` is false: to read them is enough in that case, to manage them is needed else. A conflict under `fail` fails the job ' +
      `(\`point_conflict\`, \`memory_conflict\`). \`result\` is \`{session_id, messages, memory, points, remapped}\`.`,
    scope: 'sessions:write',
    answers: { 202: jobView, 200: jobView },
    refusals: {
      404: ['session_not_found', 'session_deleted'],
      409: [
        'session_busy',
        'session_id_taken',
        'too_many_collaborators',
        'shape_mismatch',
        'memory_full',
        'stats_full',
        'stats_overflow',
      ],
      422: ['reserved_id', 'too_many_tags'],
    },
    body: { example: { session_ids: ['support-4711', 'support-4712'], title: 'Both invoices' } },
    idempotent: true,
    isJob: true,
  })
  async merge(
    @Body({ schema: mergeBody }) body: Merge,
    @IdempotencyKey() key: string | null,
    @PreferWait() wait: number,
    @CurrentCaller() caller: Caller,
    @Res({ passthrough: true }) reply: FastifyReply,
  ) {
    return this.answer(reply, await this.merges.merge(body, caller, key), wait, caller);
  }

  @Post(':session_id/split')
  @Operation({
    id: 'splitSession',
    summary: 'Make sessions out of parts of one, as a job',
    description:
      'A part has a range of messages, points by their ids, or both. Messages are copied, points moved unless `remove_points` is false. Parts have the owner, ' +
      'configuration and tags of the original; memory and sharing stay with it. They show all at once. Until the job ends nothing of the ' +
      `original can be changed. \`result\` is \`{sessions: [{session_id, title, messages, points}], removed_points}\`.`,
    scope: 'sessions:write',
    permission: 'manage',
    answers: { 202: jobView, 200: jobView },
    refusals: {
      409: ['legal_hold'],
      422: [
        ...['empty_part', 'missing_messages', 'overlapping_ranges', 'parted_tool_call'],
        ...['unknown_points', 'repeated_points'],
      ],
      503: ['vectors_unavailable', 'vectors_rate_limited', 'vectors_outcome_unknown', 'collection_elsewhere'],
    },
    body: { example: { parts: [{ title: 'The first invoice', from_seq: 1, to_seq: 4 }] } },
    idempotent: true,
    isJob: true,
  })
  async split(
    @Param('session_id', { schema: sessionId }) id: string,
    @Body({ schema: splitBody }) body: Split,
    @IdempotencyKey() key: string | null,
    @PreferWait() wait: number,
    @CurrentCaller() caller: Caller,
    @Res({ passthrough: true }) reply: FastifyReply,
  ) {
    return this.answer(reply, await this.splits.split(id, body, caller, key), wait, caller);
  }

  /** 202, or 200 when it has ended. */
  private async answer(reply: FastifyReply, answer: Answer<JobRow>, wait: number, caller: Caller) {
    const job = await this.streams.ended(replyOnce(reply, answer), caller, wait);
    reply
      .status(wait > 0 && job.due_at === null ? 200 : 202)
      .header('location', `/api/v1/jobs/${job.job_id}`);
    if (wait > 0) reply.header('preference-applied', `wait=${wait}`);
    return toView(job);
  }
}
