import { Module } from '@nestjs/common';
import { IdempotencyModule } from '../idempotency/idempotency.module.js';
import { MemoryModule } from '../memory/memory.module.js';
import { MessagesModule } from '../messages/messages.module.js';
import { SessionsModule } from '../sessions/sessions.module.js';
import { StatsModule } from '../stats/stats.module.js';
import { CompareController } from './compare.controller.js';
import { CompareService } from './compare.service.js';
import { ForkController } from './fork.controller.js';
import { ForkService } from './fork.service.js';

/** Sessions made out of others, and sessions beside others. */
@Module({
  imports: [SessionsModule, MessagesModule, MemoryModule, StatsModule, IdempotencyModule],
  controllers: [CompareController, ForkController],
  providers: [CompareService, ForkService],
})
export class RestructureModule {}
