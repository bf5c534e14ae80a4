import { Body, Controller, Post, Res } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import type { Caller } from '../common/caller.js';
import { CurrentCaller } from '../http/caller.guard.js';
import { IdempotencyKey, replyOnce } from '../http/idempotency-key.js';
import { Operation } from '../http/operation.js';
import { PreferWait } from '../http/prefer.js';
import { JobStreams } from '../jobs/job-streams.js';
import { jobView, toView } from '../jobs/jobs.schemas.js';
import { type CleanupRequest, cleanupBody } from './cleanup.schemas.js';
import { CleanupService } from './cleanup.service.js';

@ApiTags('Retention')
@Controller('sessions/cleanup')
export class CleanupController {
  constructor(
    private readonly cleanup: CleanupService,
    private readonly streams: JobStreams,
  ) {}

  @Post()
  @Operation({
    id: 'cleanUp',
    summary:
      'Archive, delete and purge what the retention policies say, as a job; the one that runs, if there is one',
    description:
      'At most one step a session: what is deleted now is purged by a later run. Of several rules that are due the strongest counts (purge, delete, archive). ' +
      'Sessions under legal hold are left alone, those that a merge or split reads until the next run. `result` is ' +
      '`{dry_run, as_of, counts: {archive, delete, purge}, actions: [{session_id, action, rule, due_since}]}`: `as_of` is the moment that the rules were held ' +
      'against, `actions` are the first 1,000, in no order that means anything. A dry run beside it has a job of its own.',
    scope: 'admin',
    onlyServices: true,
    answers: { 202: jobView, 200: jobView },
    body: { example: { dry_run: true }, required: false },
    idempotent: true,
    isJob: true,
  })
  async start(
    @Body({ schema: cleanupBody }) body: CleanupRequest,
    @IdempotencyKey() key: string | null,
    @PreferWait() wait: number,
    @CurrentCaller() caller: Caller,
    @Res({ passthrough: true }) reply: FastifyReply,
  ) {
    const begun = replyOnce(reply, await this.cleanup.ask(body.dry_run, caller, key));
    const job = await this.streams.ended(begun, caller, wait);
    reply
      .status(wait > 0 && job.due_at === null ? 200 : 202)
      .header('location', `/api/v1/jobs/${job.job_id}`);
    if (wait > 0) reply.header('preference-applied', `wait=${wait}`);
    return toView(job);
  }
}
