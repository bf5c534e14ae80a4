import { Module } from '@nestjs/common';
import { CollectionsModule } from '../collections/collections.module.js';
import { MemoryModule } from '../memory/memory.module.js';
import { MessagesModule } from '../messages/messages.module.js';
import { SessionsModule } from '../sessions/sessions.module.js';
import { StatsModule } from '../stats/stats.module.js';
import { ExportController } from './export.controller.js';
import { ExportService } from './export.service.js';
import { ImportController } from './import.controller.js';
import { ImportService } from './import.service.js';
import { CheckpointsPart } from './parts/checkpoints.part.js';
import { MemoryPart } from './parts/memory.part.js';
import { MessagesPart } from './parts/messages.part.js';
import { PointsPart } from './parts/points.part.js';
import { StatsPart } from './parts/stats.part.js';
import { Parts } from './parts.js';

/** Sessions that leave, and sessions that come. */
@Module({
  imports: [SessionsModule, MessagesModule, MemoryModule, CollectionsModule, StatsModule],
  controllers: [ExportController, ImportController],
  providers: [
    CheckpointsPart,
    MessagesPart,
    MemoryPart,
    PointsPart,
    StatsPart,
    Parts,
    ExportService,
    ImportService,
  ],
})
export class TransferModule {}
