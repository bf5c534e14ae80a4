import { Module } from '@nestjs/common';
import { APP_INTERCEPTOR } from '@nestjs/core';
import { TypeOrmModule } from '@nestjs/typeorm';
import { AccessModule } from '../access/access.module.js';
import { IdempotencyModule } from '../idempotency/idempotency.module.js';
import { AccessFirstInterceptor } from './access-first.interceptor.js';
import { Session, SessionDetails } from './session.entity.js';
import { SessionEditsService } from './session-edits.service.js';
import { SessionListRepository } from './session-list.repository.js';
import { SessionListService } from './session-list.service.js';
import { SessionsController } from './sessions.controller.js';
import { SessionsRepository } from './sessions.repository.js';
import { SessionsService } from './sessions.service.js';
import { TransitionsController } from './transitions.controller.js';
import { UserSessionsController } from './user-sessions.controller.js';

/** Sessions: their lifecycle, fields and lists. */
@Module({
  imports: [TypeOrmModule.forFeature([Session, SessionDetails]), AccessModule, IdempotencyModule],
  controllers: [SessionsController, TransitionsController, UserSessionsController],
  providers: [
    SessionsRepository,
    SessionListRepository,
    SessionsService,
    SessionEditsService,
    SessionListService,
    { provide: APP_INTERCEPTOR, useClass: AccessFirstInterceptor },
  ],
  exports: [SessionsService, SessionsRepository],
})
export class SessionsModule {}
