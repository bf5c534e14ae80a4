import { Module } from '@nestjs/common';
import { IdempotencyModule } from '../idempotency/idempotency.module.js';
import { SessionsModule } from '../sessions/sessions.module.js';
import { CollaborationController } from './collaboration.controller.js';
import { CollaborationService } from './collaboration.service.js';
import { CollaboratorsRepository } from './collaborators.repository.js';

/** Sessions that several people work with: share, revoke, leave, transfer. */
@Module({
  imports: [SessionsModule, IdempotencyModule],
  controllers: [CollaborationController],
  providers: [CollaborationService, CollaboratorsRepository],
})
export class CollaborationModule {}
