import { Injectable, type OnModuleInit } from '@nestjs/common';
import { MembersRepository } from '../access/members.repository.js';
import { CollectionsRepository } from '../collections/collections.repository.js';
import { SummariesRepository } from '../context/summaries.repository.js';
import { Database } from '../database/database.js';
import { Derivations } from '../derived/derivations.js';
import { EventsRepository } from '../events/events.repository.js';
import { IdempotencyService } from '../idempotency/idempotency.service.js';
import { Sweeps } from '../jobs/sweeps.js';
import { MemoryWritesRepository } from '../memory/memory-writes.repository.js';
import { MessageSums } from '../messages/message-sums.js';
import { MessagesRepository } from '../messages/messages.repository.js';
import { EmbeddingsRepository } from '../search/embeddings.repository.js';
import { TextsRepository } from '../search/texts.repository.js';
import { CheckpointsRepository } from '../sessions/checkpoints.repository.js';
import { SessionsRepository } from '../sessions/sessions.repository.js';
import { SessionStatsRepository } from '../stats/session-stats.repository.js';

/** Rows removed in one transaction: short enough to hold nobody up. */
const BATCH = 1_000;

interface Purging {
  /** Removes at most `limit` rows of a session; answers how many. */
  purge(key: number, limit: number): Promise<number>;
}

/** Removes what was deleted for good, and idempotency keys that have served their time. */
@Injectable()
export class PurgeService implements OnModuleInit {
  constructor(
    private readonly database: Database,
    private readonly sessions: SessionsRepository,
    private readonly checkpoints: CheckpointsRepository,
    private readonly collections: CollectionsRepository,
    private readonly texts: TextsRepository,
    private readonly embeddings: EmbeddingsRepository,
    private readonly summaries: SummariesRepository,
    private readonly derivations: Derivations,
    private readonly messages: MessagesRepository,
    private readonly sums: MessageSums,
    private readonly stats: SessionStatsRepository,
    private readonly memory: MemoryWritesRepository,
    private readonly members: MembersRepository,
    private readonly events: EventsRepository,
    private readonly idempotency: IdempotencyService,
    private readonly sweeps: Sweeps,
  ) {}

  onModuleInit(): void {
    this.sweeps.add('purge of sessions', () => this.purgeSessions());
    this.sweeps.add('purge of idempotency keys', () => this.purgeKeys());
  }

  /** A batch of one room's rows, or when nothing else is left the session itself. */
  private purgeSessions(): Promise<boolean> {
    return this.database.run(async () => {
      const key = await this.sessions.lockPurged();
      if (key === null) return false;
      await this.removeSome(key);
      return true;
    });
  }

  /** Within a transaction that holds a purged session: removes a batch of its rows, when nothing else is left its own. */
  async removeSome(key: number): Promise<void> {
    const rooms = [
      this.collections,
      this.messages,
      this.sums,
      this.stats,
      this.checkpoints,
      this.memory,
      this.members,
      this.events,
    ];
    if (await this.purgeFirst(rooms, key)) return;
    // whoever read the session before it was deleted has written by now
    await this.derivations.hold();
    if (await this.purgeFirst([this.texts, this.embeddings, this.summaries], key)) return;
    await this.sessions.remove(key);
  }

  /** Whether a room had something left to remove. */
  private async purgeFirst(rooms: Purging[], key: number): Promise<boolean> {
    for (const room of rooms) if (await room.purge(key, BATCH)) return true;
    return false;
  }

  private async purgeKeys(): Promise<boolean> {
    return (await this.idempotency.purge(BATCH)) === BATCH;
  }
}
