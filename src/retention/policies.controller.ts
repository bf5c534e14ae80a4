import { Body, Controller, Get, Headers, Put, Res } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import { ifMatch, tagged } from '../http/etag.js';
import { Operation } from '../http/operation.js';
import { type OwnPolicy, policyBody, servicePolicyView, toView } from './policies.schemas.js';
import { PoliciesService } from './policies.service.js';

/** What holds for everybody for whom nothing else is said. */
@ApiTags('Retention')
@Controller('sessions/retention-policy')
export class PoliciesController {
  constructor(private readonly policies: PoliciesService) {}

  @Get()
  @Operation({
    id: 'getRetentionPolicy',
    summary: 'For how long sessions are kept, where nothing else is said for their owner',
    scope: 'admin',
    onlyServices: true,
    answers: { 200: servicePolicyView },
    versioned: 'read',
  })
  async get(@Res({ passthrough: true }) reply: FastifyReply) {
    return toView(tagged(reply, await this.policies.get(null)));
  }

  @Put()
  @Operation({
    id: 'putRetentionPolicy',
    summary: 'Set the policy of the service, whole',
    description:
      'What is left out goes back to its default: off, and 30 for `purge_deleted_days`. `null` is off, 0 is due at the next cleanup. ' +
      'A day is 24 hours. Nothing happens before the next cleanup.',
    scope: 'admin',
    onlyServices: true,
    answers: { 200: servicePolicyView },
    body: { example: { auto_archive_inactive_days: 90, auto_delete_archived_days: 365 }, required: true },
    versioned: 'write',
  })
  async put(
    @Body({ schema: policyBody }) body: OwnPolicy,
    @Headers('if-match') match: string | undefined,
    @Res({ passthrough: true }) reply: FastifyReply,
  ) {
    return toView(tagged(reply, await this.policies.put(null, body, ifMatch(match))));
  }
}
