import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { IdempotencyModule } from '../idempotency/idempotency.module.js';
import { JobsModule } from '../jobs/jobs.module.js';
import { MemoryModule } from '../memory/memory.module.js';
import { MessagesModule } from '../messages/messages.module.js';
import { SessionsModule } from '../sessions/sessions.module.js';
import { MessageFoldsService } from './message-folds.service.js';
import { ModelUsageRepository } from './model-usage.repository.js';
import { ModelUsageService } from './model-usage.service.js';
import { Recount } from './recount.js';
import { SessionStatsController } from './session-stats.controller.js';
import { ModelReport, ModelUsage, SessionStats } from './session-stats.entity.js';
import { SessionStatsRepository } from './session-stats.repository.js';
import { SessionStatsService } from './session-stats.service.js';
import { StatsController } from './stats.controller.js';
import { StatsCopiesRepository } from './stats-copies.repository.js';
import { StatsTransferRepository } from './stats-transfer.repository.js';
import { StreamRepository } from './stream.repository.js';
import { SummariesService } from './summaries.service.js';
import { ServiceTotals, SessionTotals } from './totals.entity.js';
import { TotalsRepository } from './totals.repository.js';
import { TotalsService } from './totals.service.js';

/** Figures: of a session, of a user, of the service. */
@Module({
  imports: [
    TypeOrmModule.forFeature([SessionTotals, ServiceTotals, SessionStats, ModelUsage, ModelReport]),
    SessionsModule,
    MessagesModule,
    MemoryModule,
    JobsModule,
    IdempotencyModule,
  ],
  controllers: [StatsController, SessionStatsController],
  providers: [
    StreamRepository,
    TotalsRepository,
    TotalsService,
    SummariesService,
    MessageFoldsService,
    Recount,
    SessionStatsRepository,
    SessionStatsService,
    ModelUsageRepository,
    ModelUsageService,
    StatsCopiesRepository,
    StatsTransferRepository,
  ],
  exports: [
    SummariesService,
    Recount,
    SessionStatsRepository,
    StatsCopiesRepository,
    StatsTransferRepository,
  ],
})
export class StatsModule {}
