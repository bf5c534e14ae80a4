import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { IdempotencyModule } from '../idempotency/idempotency.module.js';
import { JobsModule } from '../jobs/jobs.module.js';
import { SessionsModule } from '../sessions/sessions.module.js';
import { VectorsModule } from '../vectors/vectors.module.js';
import { Collection } from './collection.entity.js';
import { CollectionTransferService } from './collection-transfer.service.js';
import { CollectionsController } from './collections.controller.js';
import { CollectionsRepository } from './collections.repository.js';
import { CollectionsService } from './collections.service.js';
import { PointCopiesService } from './point-copies.service.js';
import { PointsController } from './points.controller.js';
import { PointsService } from './points.service.js';
import { ProvisioningService } from './provisioning.service.js';

/** A session's vector collection, and the points in it. */
@Module({
  imports: [
    TypeOrmModule.forFeature([Collection]),
    IdempotencyModule,
    JobsModule,
    SessionsModule,
    VectorsModule,
  ],
  controllers: [CollectionsController, PointsController],
  providers: [
    CollectionsRepository,
    CollectionTransferService,
    CollectionsService,
    ProvisioningService,
    PointsService,
    PointCopiesService,
  ],
  exports: [CollectionTransferService, CollectionsRepository, ProvisioningService, PointCopiesService],
})
export class CollectionsModule {}
