import { Injectable } from '@nestjs/common';
import type { JobRow } from '../jobs/jobs.schemas.js';
import { JobsService } from '../jobs/jobs.service.js';

/** Asks for a user to be forgotten. */
@Injectable()
export class ErasureService {
  constructor(private readonly jobs: JobsService) {}

  /** The job is the user's, whoever asks: he sees it, and services do. One that has not ended is answered again. */
  async erase(user: string): Promise<JobRow> {
    const { job } = await this.jobs.create({
      ...{ kind: 'erasure', userId: user, sessionIds: [], input: { user_id: user } },
      dedupKey: `erasure:${user}`,
    });
    return job;
  }
}
