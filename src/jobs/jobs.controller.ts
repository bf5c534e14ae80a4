import { Controller, Get, Param, Post, Query, Res } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import { z } from 'zod';
import type { Caller } from '../common/caller.js';
import { pageRequest, pageView } from '../common/page-request.js';
import { cutPage, encodeCursor } from '../common/paging.js';
import { CurrentCaller } from '../http/caller.guard.js';
import { IdempotencyKey, replyOnce } from '../http/idempotency-key.js';
import { Operation } from '../http/operation.js';
import { COMMENT, EVENT_STREAM, type Sent, sendEvents } from '../http/sse.js';
import { JobStreams } from './job-streams.js';
import { type JobRow, type JobsQuery, jobId, jobsPage, jobsQuery, jobView, toView } from './jobs.schemas.js';
import { JobsService } from './jobs.service.js';

const DEFAULT_LIMIT = 50;

@ApiTags('Jobs')
@Controller('jobs')
export class JobsController {
  constructor(
    private readonly jobs: JobsService,
    private readonly streams: JobStreams,
  ) {}

  @Get()
  @Operation({
    id: 'listJobs',
    summary: 'The caller’s jobs, newest first; a service’s: all there are',
    scope: 'sessions:read',
    answers: { 200: jobsPage },
    refusals: { 400: ['invalid_cursor'] },
  })
  async list(@Query({ schema: jobsQuery }) query: JobsQuery, @CurrentCaller() caller: Caller) {
    const { state = null, kind = null } = query;
    const listScope = ['jobs', state, kind];
    const page = pageRequest(query, DEFAULT_LIMIT, listScope, isKey);
    const rows = await this.jobs.page({ state, kind, before: page.after, limit: page.limit }, caller);
    const cut = cutPage(rows, page.limit, ({ key }) => encodeCursor(listScope, key));
    return { jobs: cut.rows.map(toView), ...pageView(page, cut) };
  }

  @Get(':job_id')
  @Operation({
    id: 'getJob',
    summary: 'Get a job: how far it is, and what became of it',
    scope: 'sessions:read',
    answers: { 200: jobView },
    refusals: { 404: ['job_not_found'] },
  })
  async get(@Param('job_id', { schema: jobId }) id: string, @CurrentCaller() caller: Caller) {
    return toView(await this.jobs.get(id, caller));
  }

  @Post(':job_id/cancel')
  @Operation({
    id: 'cancelJob',
    summary: 'Cancel: at once if it is queued, else at its next step',
    description:
      'Answers the job as it is now: one that still runs shows `running` until its worker has stopped.',
    scope: 'sessions:write',
    answers: { 200: jobView },
    refusals: { 404: ['job_not_found'], 409: ['job_finished'] },
    idempotent: true,
  })
  async cancel(
    @Param('job_id', { schema: jobId }) id: string,
    @CurrentCaller() caller: Caller,
    @IdempotencyKey() key: string | null,
    @Res({ passthrough: true }) reply: FastifyReply,
  ) {
    return toView(replyOnce(reply, await this.jobs.cancel(id, caller, key)));
  }

  @Post(':job_id/retry')
  @Operation({
    id: 'retryJob',
    summary: 'Let a job that failed or was cancelled go on from where it stood',
    scope: 'sessions:write',
    answers: { 200: jobView },
    refusals: { 404: ['job_not_found'], 409: ['job_not_ended', 'job_exists'] },
    idempotent: true,
  })
  async retry(
    @Param('job_id', { schema: jobId }) id: string,
    @CurrentCaller() caller: Caller,
    @IdempotencyKey() key: string | null,
    @Res({ passthrough: true }) reply: FastifyReply,
  ) {
    return toView(replyOnce(reply, await this.jobs.retry(id, caller, key)));
  }

  @Get(':job_id/events')
  @Operation({
    id: 'watchJob',
    summary: 'The job now and at each change, until it is over (SSE)',
    description:
      'Events are called `job` and hold the job; a comment every 15 s shows that somebody is there.',
    scope: 'sessions:read',
    answers: { 200: z.string() },
    refusals: { 404: ['job_not_found'] },
    mediaType: EVENT_STREAM,
    example: 'event: job\ndata: {"job_id":"0190b5b0-6a3c-7c7e-9a53-6f1d3c1f2a10","state":"succeeded"}\n\n',
  })
  async watch(
    @Param('job_id', { schema: jobId }) id: string,
    @CurrentCaller() caller: Caller,
    @Res({ passthrough: true }) reply: FastifyReply,
  ) {
    const job = await this.jobs.get(id, caller);
    return sendEvents(reply, ({ left }) => asEvents(this.streams.follow(job, caller, left)));
  }
}

const isKey = (key: unknown): key is number => Number.isSafeInteger(key) && (key as number) > 0;

async function* asEvents(jobs: AsyncIterable<JobRow | null>): AsyncGenerator<Sent> {
  for await (const job of jobs) yield job ? [{ type: 'job', data: toView(job) }] : COMMENT;
}
