import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { JobsModule } from '../jobs/jobs.module.js';
import { MemoryModule } from '../memory/memory.module.js';
import { SessionsModule } from '../sessions/sessions.module.js';
import { StatsController } from './stats.controller.js';
import { SummariesService } from './summaries.service.js';
import { ServiceTotals, SessionTotals } from './totals.entity.js';
import { TotalsRepository } from './totals.repository.js';
import { TotalsService } from './totals.service.js';

/** Figures: of a session, of a user, of the service. */
@Module({
  imports: [
    TypeOrmModule.forFeature([SessionTotals, ServiceTotals]),
    SessionsModule,
    MemoryModule,
    JobsModule,
  ],
  controllers: [StatsController],
  providers: [TotalsRepository, TotalsService, SummariesService],
  exports: [SummariesService],
})
export class StatsModule {}
