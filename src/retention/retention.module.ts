import { Module } from '@nestjs/common';
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
import { PurgeService } from './purge.service.js';

/** Forgetting: the purge of what was deleted for good. */
@Module({
  imports: [
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
  providers: [PurgeService],
})
export class RetentionModule {}
