import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { AccessModule } from '../access/access.module.js';
import { CollectionsModule } from '../collections/collections.module.js';
import { ContextModule } from '../context/context.module.js';
import { DerivedModule } from '../derived/derived.module.js';
import { EventsModule } from '../events/events.module.js';
import { IdempotencyModule } from '../idempotency/idempotency.module.js';
import { JobsModule } from '../jobs/jobs.module.js';
import { MemoryModule } from '../memory/memory.module.js';
import { MessagesModule } from '../messages/messages.module.js';
import { SearchModule } from '../search/search.module.js';
import { SessionsModule } from '../sessions/sessions.module.js';
import { StatsModule } from '../stats/stats.module.js';
import { CleanupController } from './cleanup.controller.js';
import { CleanupHandler } from './cleanup.handler.js';
import { CleanupService } from './cleanup.service.js';
import { DueRepository } from './due.repository.js';
import { PoliciesController } from './policies.controller.js';
import { PoliciesRepository } from './policies.repository.js';
import { PoliciesService } from './policies.service.js';
import { RetentionPolicy } from './policy.entity.js';
import { PurgeService } from './purge.service.js';
import { UserPoliciesController } from './user-policies.controller.js';

/** Forgetting: what policies say, and the purge of what was deleted for good. */
@Module({
  imports: [
    TypeOrmModule.forFeature([RetentionPolicy]),
    SessionsModule,
    CollectionsModule,
    MessagesModule,
    MemoryModule,
    SearchModule,
    ContextModule,
    StatsModule,
    DerivedModule,
    AccessModule,
    EventsModule,
    IdempotencyModule,
    JobsModule,
  ],
  controllers: [PoliciesController, UserPoliciesController, CleanupController],
  providers: [
    PurgeService,
    PoliciesRepository,
    PoliciesService,
    DueRepository,
    CleanupService,
    CleanupHandler,
  ],
})
export class RetentionModule {}
