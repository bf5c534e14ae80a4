import { Module } from '@nestjs/common';
import { DiscoveryModule } from '@nestjs/core';
import { TypeOrmModule } from '@nestjs/typeorm';
import { IdempotencyModule } from '../idempotency/idempotency.module.js';
import { Handlers } from './handlers.js';
import { Job } from './job.entity.js';
import { JobErasureRepository } from './job-erasure.repository.js';
import { JobHost } from './job-host.js';
import { JobQueue } from './job-queue.js';
import { JobStreams } from './job-streams.js';
import { JobsController } from './jobs.controller.js';
import { JobsRepository } from './jobs.repository.js';
import { JobsService } from './jobs.service.js';
import { JobsSweep } from './jobs.sweep.js';
import { LeasesRepository } from './leases.repository.js';
import { Schedule } from './schedule.entity.js';
import { SchedulesRepository } from './schedules.repository.js';
import { Sweeps } from './sweeps.js';

/** Work that no request waits for. */
@Module({
  imports: [TypeOrmModule.forFeature([Job, Schedule]), DiscoveryModule, IdempotencyModule],
  controllers: [JobsController],
  providers: [
    Sweeps,
    SchedulesRepository,
    JobsService,
    JobsRepository,
    LeasesRepository,
    Handlers,
    JobHost,
    JobQueue,
    JobStreams,
    JobsSweep,
    JobErasureRepository,
  ],
  exports: [Sweeps, JobsService, JobStreams, JobQueue, JobErasureRepository],
})
export class JobsModule {}
