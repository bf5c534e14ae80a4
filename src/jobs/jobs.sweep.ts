import { Injectable, type OnModuleInit } from '@nestjs/common';
import { JobsRepository } from './jobs.repository.js';
import { Sweeps } from './sweeps.js';

const DAYS = 30;
const BATCH = 1_000;
const DAILY = '47 2 * * *';

/** Forgets jobs that ended long ago; those that failed stay, for somebody to look at. */
@Injectable()
export class JobsSweep implements OnModuleInit {
  constructor(
    private readonly jobs: JobsRepository,
    private readonly sweeps: Sweeps,
  ) {}

  onModuleInit(): void {
    this.sweeps.schedule(
      'jobs that ended long ago',
      DAILY,
      async () => (await this.jobs.forget(DAYS, BATCH)) === BATCH,
    );
  }
}
