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
import { ErasureController } from './erasure.controller.js';
import { ErasureHandler } from './erasure.handler.js';
import { ErasureService } from './erasure.service.js';
import { ErasureOfCopies } from './erasure-copies.js';
import { ErasureElsewhere } from './erasure-elsewhere.js';
import { ErasureOfOwn } from './erasure-own.js';
import { ErasurePlace } from './erasure-place.entity.js';
import { ErasurePlacesRepository } from './erasure-places.repository.js';
import { ErasureOfTraces } from './erasure-traces.js';
import { PoliciesController } from './policies.controller.js';
import { PoliciesRepository } from './policies.repository.js';
import { PoliciesService } from './policies.service.js';
import { RetentionPolicy } from './policy.entity.js';
import { PurgeService } from './purge.service.js';
import { UserPoliciesController } from './user-policies.controller.js';

/** Forgetting: what policies say, the purge of what was deleted for good, and the erasure of users. */
@Module({
  imports: [
    TypeOrmModule.forFeature([RetentionPolicy, ErasurePlace]),
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
  controllers: [PoliciesController, UserPoliciesController, CleanupController, ErasureController],
  providers: [
    PurgeService,
    PoliciesRepository,
    PoliciesService,
    DueRepository,
    CleanupService,
    CleanupHandler,
    ErasureService,
    ErasureHandler,
    ErasureOfOwn,
    ErasureOfCopies,
    ErasureElsewhere,
    ErasureOfTraces,
    ErasurePlacesRepository,
  ],
})
export class RetentionModule {}
