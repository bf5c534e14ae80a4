import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { AccessModule } from '../access/access.module.js';
import { IdempotencyModule } from '../idempotency/idempotency.module.js';
import { JobsModule } from '../jobs/jobs.module.js';
import { BusySessionsRepository } from './busy-sessions.repository.js';
import { BusySessionsService } from './busy-sessions.service.js';
import { Checkpoint } from './checkpoint.entity.js';
import { CheckpointTransferRepository } from './checkpoint-transfer.repository.js';
import { CheckpointsController } from './checkpoints.controller.js';
import { CheckpointsRepository } from './checkpoints.repository.js';
import { CheckpointsService } from './checkpoints.service.js';
import { CopiedFieldsRepository } from './copied-fields.repository.js';
import { DueSweep } from './due.sweep.js';
import { HiddenSessionsRepository } from './hidden-sessions.repository.js';
import { HiddenSessionsService } from './hidden-sessions.service.js';
import { LivenessController } from './liveness.controller.js';
import { LivenessRepository } from './liveness.repository.js';
import { LivenessService } from './liveness.service.js';
import { Session, SessionDetails } from './session.entity.js';
import { SessionCopiesService } from './session-copies.service.js';
import { SessionEditsService } from './session-edits.service.js';
import { SessionErasureRepository } from './session-erasure.repository.js';
import { SessionListRepository } from './session-list.repository.js';
import { SessionListService } from './session-list.service.js';
import { SessionStepsRepository } from './session-steps.repository.js';
import { SessionStepsService } from './session-steps.service.js';
import { SessionTransferRepository } from './session-transfer.repository.js';
import { SessionTransferService } from './session-transfer.service.js';
import { SessionsController } from './sessions.controller.js';
import { SessionsRepository } from './sessions.repository.js';
import { SessionsService } from './sessions.service.js';
import { SettlingService } from './settling.service.js';
import { TransitionsController } from './transitions.controller.js';
import { UserSessionsController } from './user-sessions.controller.js';

/** Sessions: their lifecycle, fields and lists. */
@Module({
  imports: [
    TypeOrmModule.forFeature([Session, SessionDetails, Checkpoint]),
    AccessModule,
    IdempotencyModule,
    JobsModule,
  ],
  controllers: [
    SessionsController,
    TransitionsController,
    LivenessController,
    CheckpointsController,
    UserSessionsController,
  ],
  providers: [
    SessionsRepository,
    SessionListRepository,
    CheckpointsRepository,
    LivenessRepository,
    BusySessionsRepository,
    BusySessionsService,
    HiddenSessionsRepository,
    HiddenSessionsService,
    SessionsService,
    SessionEditsService,
    SessionListService,
    SessionCopiesService,
    SessionTransferRepository,
    SessionTransferService,
    CheckpointTransferRepository,
    SettlingService,
    SessionStepsRepository,
    SessionStepsService,
    CheckpointsService,
    LivenessService,
    DueSweep,
    SessionErasureRepository,
    CopiedFieldsRepository,
  ],
  exports: [
    SessionsService,
    SessionEditsService,
    BusySessionsService,
    HiddenSessionsService,
    SessionCopiesService,
    SessionTransferService,
    CheckpointTransferRepository,
    LivenessService,
    SessionStepsService,
    SessionsRepository,
    CheckpointsRepository,
    SessionErasureRepository,
    CopiedFieldsRepository,
  ],
})
export class SessionsModule {}
