import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { DerivedModule } from '../derived/derived.module.js';
import { JobsModule } from '../jobs/jobs.module.js';
import { MemoryModule } from '../memory/memory.module.js';
import { MessagesModule } from '../messages/messages.module.js';
import { ModelsModule } from '../models/models.module.js';
import { SearchModule } from '../search/search.module.js';
import { SessionsModule } from '../sessions/sessions.module.js';
import { ContextController } from './context.controller.js';
import { ContextService } from './context.service.js';
import { SummariesRepository } from './summaries.repository.js';
import { SummarizeHandler } from './summarize.handler.js';
import { SummarizingService } from './summarizing.service.js';
import { StoredSummary } from './summary.entity.js';
import { TokenCounter } from './token-counter.js';
import { TokenCountsService } from './token-counts.service.js';

/** What of a session, and of what is known beside it, goes into a model's window. */
@Module({
  imports: [
    TypeOrmModule.forFeature([StoredSummary]),
    DerivedModule,
    SessionsModule,
    MessagesModule,
    MemoryModule,
    SearchModule,
    ModelsModule,
    JobsModule,
  ],
  controllers: [ContextController],
  providers: [
    SummariesRepository,
    SummarizingService,
    SummarizeHandler,
    TokenCounter,
    TokenCountsService,
    ContextService,
  ],
  exports: [SummariesRepository, SummarizingService],
})
export class ContextModule {}
