import { Controller, Delete, Param, Res } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import type { Caller } from '../common/caller.js';
import { CurrentCaller } from '../http/caller.guard.js';
import { Operation } from '../http/operation.js';
import { PreferWait } from '../http/prefer.js';
import { JobStreams } from '../jobs/job-streams.js';
import { jobView, toView } from '../jobs/jobs.schemas.js';
import { userId } from '../sessions/sessions.schemas.js';
import { ErasureService } from './erasure.service.js';

@ApiTags('Retention')
@Controller('users/:user_id/data')
export class ErasureController {
  constructor(
    private readonly erasures: ErasureService,
    private readonly streams: JobStreams,
  ) {}

  @Delete()
  @Operation({
    id: 'eraseUser',
    summary: 'Forget a user, as a job',
    description:
      'What he owns is deleted everywhere and for good. What he wrote in sessions of others is redacted, copies included; his memory entries there are ' +
      'deleted, he leaves these sessions, and his name is replaced by one that means nothing, in events too. Sessions under legal hold stay as they are and are ' +
      'named. All that was written before the job began is covered. While an erasure of the user has not ended, it is answered again. `result` is a ' +
      'receipt of counts: `{deleted, redacted, replaced, held, passes, remaining}`. The job no longer names him then: he gets it by its id, not in his list.',
    scope: 'admin',
    ofUser: true,
    answers: { 202: jobView, 200: jobView },
    isJob: true,
  })
  async erase(
    @Param('user_id', { schema: userId }) user: string,
    @PreferWait() wait: number,
    @CurrentCaller() caller: Caller,
    @Res({ passthrough: true }) reply: FastifyReply,
  ) {
    const job = await this.streams.ended(await this.erasures.erase(user), caller, wait);
    reply
      .status(wait > 0 && job.due_at === null ? 200 : 202)
      .header('location', `/api/v1/jobs/${job.job_id}`);
    if (wait > 0) reply.header('preference-applied', `wait=${wait}`);
    return toView(job);
  }
}
