import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { EventsModule } from '../events/events.module.js';
import { IdempotencyModule } from '../idempotency/idempotency.module.js';
import { JobsModule } from '../jobs/jobs.module.js';
import { SessionsModule } from '../sessions/sessions.module.js';
import { Facts } from './facts.js';
import { MemoryEntry, MemorySpace, MemoryVersion } from './memory.entity.js';
import { MemoryRepository } from './memory.repository.js';
import { MemoryService } from './memory.service.js';
import { MemorySweep } from './memory.sweep.js';
import { MemoryCopiesRepository } from './memory-copies.repository.js';
import { MemoryErasureRepository } from './memory-erasure.repository.js';
import { SessionMemoryReads, UserMemoryReads } from './memory-reads.controller.js';
import { MemoryTransferRepository } from './memory-transfer.repository.js';
import { SessionMemoryWrites, UserMemoryWrites } from './memory-writes.controller.js';
import { MemoryWritesRepository } from './memory-writes.repository.js';
import { SpacesService } from './spaces.service.js';

/** Facts that persist: of a user, or of one session. */
@Module({
  imports: [
    TypeOrmModule.forFeature([MemorySpace, MemoryEntry, MemoryVersion]),
    EventsModule,
    IdempotencyModule,
    JobsModule,
    SessionsModule,
  ],
  controllers: [UserMemoryReads, UserMemoryWrites, SessionMemoryReads, SessionMemoryWrites],
  providers: [
    MemoryRepository,
    Facts,
    MemoryWritesRepository,
    MemoryCopiesRepository,
    MemoryTransferRepository,
    MemoryService,
    SpacesService,
    MemorySweep,
    MemoryErasureRepository,
  ],
  exports: [
    MemoryService,
    Facts,
    MemoryWritesRepository,
    MemoryCopiesRepository,
    MemoryTransferRepository,
    MemoryErasureRepository,
  ],
})
export class MemoryModule {}
