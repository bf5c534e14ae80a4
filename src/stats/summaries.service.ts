import { Injectable } from '@nestjs/common';
import { MemoryService } from '../memory/memory.service.js';
import type { SessionRow } from '../sessions/session.view.js';
import { toSummary } from './stats.schemas.js';

/** Sessions in figures. */
@Injectable()
export class SummariesService {
  constructor(private readonly memory: MemoryService) {}

  /** One of each session, in their order. */
  async of(sessions: SessionRow[]) {
    const kept = await this.memory.kept(sessions.map(({ key }) => key));
    return sessions.map((session) => toSummary(session, kept.has(session.key)));
  }
}
