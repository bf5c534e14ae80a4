import { Module } from '@nestjs/common';
import { AccessModule } from '../access/access.module.js';
import { CollectionsModule } from '../collections/collections.module.js';
import { IdempotencyModule } from '../idempotency/idempotency.module.js';
import { JobsModule } from '../jobs/jobs.module.js';
import { MemoryModule } from '../memory/memory.module.js';
import { MessagesModule } from '../messages/messages.module.js';
import { SessionsModule } from '../sessions/sessions.module.js';
import { StatsModule } from '../stats/stats.module.js';
import { CompareController } from './compare.controller.js';
import { CompareService } from './compare.service.js';
import { ForkController } from './fork.controller.js';
import { ForkService } from './fork.service.js';
import { MergeHandler } from './merge.handler.js';
import { MergeService } from './merge.service.js';
import { MergeStatsService } from './merge-stats.service.js';
import { RestructureController } from './restructure.controller.js';
import { RestructuringService } from './restructuring.service.js';
import { SplitHandler } from './split.handler.js';
import { SplitService } from './split.service.js';

/** Sessions made out of others, and sessions beside others. */
@Module({
  imports: [
    SessionsModule,
    MessagesModule,
    MemoryModule,
    CollectionsModule,
    AccessModule,
    StatsModule,
    JobsModule,
    IdempotencyModule,
  ],
  controllers: [CompareController, ForkController, RestructureController],
  providers: [
    CompareService,
    ForkService,
    RestructuringService,
    MergeService,
    MergeStatsService,
    MergeHandler,
    SplitService,
    SplitHandler,
  ],
})
export class RestructureModule {}
