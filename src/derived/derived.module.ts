import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { JobsModule } from '../jobs/jobs.module.js';
import { Derivations } from './derivations.js';
import { Due } from './due.entity.js';
import { DueRepository } from './due.repository.js';

/** What follows from messages and memory, and can be made anew at any time. */
@Module({
  imports: [TypeOrmModule.forFeature([Due]), JobsModule],
  providers: [DueRepository, Derivations],
  exports: [Derivations],
})
export class DerivedModule {}
