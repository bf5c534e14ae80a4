import { Module } from '@nestjs/common';
import { JobsModule } from '../jobs/jobs.module.js';
import { ModelsModule } from '../models/models.module.js';
import { VectorsModule } from '../vectors/vectors.module.js';
import { HealthService } from './health.service.js';
import { OpenApiDocument } from './openapi-document.js';
import { OperationsController } from './operations.controller.js';

/** What operators ask of the process. */
@Module({
  imports: [JobsModule, ModelsModule, VectorsModule],
  controllers: [OperationsController],
  providers: [HealthService, OpenApiDocument],
})
export class OperationsModule {}
