import { Injectable, type OnModuleInit } from '@nestjs/common';
import { Database } from '../database/database.js';
import { Sweeps } from '../jobs/sweeps.js';
import { CHUNK, MessageSums } from '../messages/message-sums.js';
import { StreamRepository } from './stream.repository.js';

/** Events read at once, and messages taken into sums in one transaction. */
const [EVENTS, MESSAGES] = [5_000, 2 * CHUNK];
const WHO = 'message_sums';

/**
 * Brings the sums over messages up to date before anybody asks for them, in sessions where there is much to do. Events tell
 * which these may be; what is left out here is found by whoever reads.
 */
@Injectable()
export class MessageFoldsService implements OnModuleInit {
  constructor(
    private readonly database: Database,
    private readonly stream: StreamRepository,
    private readonly sums: MessageSums,
    private readonly sweeps: Sweeps,
  ) {}

  onModuleInit(): void {
    this.sweeps.add('sums over messages', () => this.step());
  }

  /** One process at a time: it holds the place in the stream, then the sessions' folds in the order of their keys. */
  private step(): Promise<boolean> {
    return this.database.run(async () => {
      const start = await this.stream.lock(WHO);
      if (!start) return false;
      const { keys, count, as_of, ...end } = await this.stream.readOn(start, EVENTS);
      if (count === 0) return false;
      // what is left stays behind the place where this stands, and is met again
      if (!(await this.fold(keys))) return true;
      await this.stream.move(WHO, end, as_of!);
      return count === EVENTS;
    });
  }

  /** Whether nothing is left to do. */
  private async fold(sessions: number[]): Promise<boolean> {
    let left = MESSAGES;
    for (const session of await this.sums.behind(sessions)) {
      for (let folded = CHUNK; folded === CHUNK; ) {
        if (left <= 0) return false;
        folded = await this.sums.fold(session);
        left -= folded;
      }
    }
    return true;
  }
}
