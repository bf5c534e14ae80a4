import { Body, Controller, Delete, Get, Headers, Param, Put, Res } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import { ifMatch, tagged } from '../http/etag.js';
import { Operation } from '../http/operation.js';
import { userId } from '../sessions/sessions.schemas.js';
import { type OwnPolicy, policyBody, toView, userPolicyView } from './policies.schemas.js';
import { PoliciesService } from './policies.service.js';

/** What is said otherwise for one user: for the sessions he owns. */
@ApiTags('Retention')
@Controller('users/:user_id/retention-policy')
export class UserPoliciesController {
  constructor(private readonly policies: PoliciesService) {}

  @Get()
  @Operation({
    id: 'getUserRetentionPolicy',
    summary: 'For how long a user’s sessions are kept: what is said for him, and what holds',
    scope: 'sessions:read',
    ofUser: true,
    answers: { 200: userPolicyView },
    versioned: 'read',
  })
  async get(
    @Param('user_id', { schema: userId }) user: string,
    @Res({ passthrough: true }) reply: FastifyReply,
  ) {
    return toView(tagged(reply, await this.policies.get(user)));
  }

  @Put()
  @Operation({
    id: 'putUserRetentionPolicy',
    summary: 'Set the policy of a user, whole',
    description:
      'A member that is left out is inherited from the service, `null` is off for this user, 0 is due at the next cleanup.',
    scope: 'admin',
    onlyServices: true,
    answers: { 200: userPolicyView },
    body: { example: { max_age_days: null, max_sessions_per_user: 100 }, required: true },
    versioned: 'write',
  })
  async put(
    @Param('user_id', { schema: userId }) user: string,
    @Body({ schema: policyBody }) body: OwnPolicy,
    @Headers('if-match') match: string | undefined,
    @Res({ passthrough: true }) reply: FastifyReply,
  ) {
    return toView(tagged(reply, await this.policies.put(user, body, ifMatch(match))));
  }

  @Delete()
  @Operation({
    id: 'deleteUserRetentionPolicy',
    summary: 'Let a user inherit everything again',
    scope: 'admin',
    onlyServices: true,
    answers: { 204: null },
    versioned: 'write',
  })
  async delete(
    @Param('user_id', { schema: userId }) user: string,
    @Headers('if-match') match: string | undefined,
  ): Promise<void> {
    await this.policies.delete(user, ifMatch(match));
  }
}
