import { Injectable } from '@nestjs/common';
import { verify } from '../access/verify.js';
import type { Caller } from '../common/caller.js';
import { checkSize, type JsonObject, mergePatch } from '../common/json.js';
import { Database } from '../database/database.js';
import { type Answer, IdempotencyService } from '../idempotency/idempotency.service.js';
import { MessageSums } from '../messages/message-sums.js';
import { checkFree } from '../sessions/lifecycle.js';
import type { SessionRow } from '../sessions/session.view.js';
import { SessionsService } from '../sessions/sessions.service.js';
import { added, METADATA_KIB } from './counters.js';
import { ModelUsageRepository } from './model-usage.repository.js';
import { type Counted, SessionStatsRepository } from './session-stats.repository.js';
import type { AddStats, Stats } from './session-stats.schemas.js';

/** What others count for a session, and what it comes to altogether. */
@Injectable()
export class SessionStatsService {
  constructor(
    private readonly database: Database,
    private readonly sessions: SessionsService,
    private readonly sums: MessageSums,
    private readonly stats: SessionStatsRepository,
    private readonly usage: ModelUsageRepository,
    private readonly idempotency: IdempotencyService,
  ) {}

  /**
   * Adds to counters, merges into the metadata (RFC 7396). It is no edit, and no sign of life.
   * @throws DomainError `invalid` for a sum that is too large, `stats_full`, `too_large`, `session_busy`, `key_reused`
   */
  add(id: string, input: AddStats, caller: Caller, key: string | null): Promise<Answer<Counted>> {
    return this.database.run(async () => {
      const session = await this.sessions.lock(id, caller, 'work');
      const request = { key, caller, route: `PUT stats ${session.key}`, body: input };
      const work = async () => ({
        ...{ status: 200, ids: [session.key] },
        value: await this.write(session, input),
      });
      return this.idempotency.once(request, work, ([counted]) => this.stats.find(counted!));
    });
  }

  /** All figures, those of messages as of one moment. */
  async of(id: string, caller: Caller): Promise<Stats> {
    const session = await this.sessions.get(id, caller);
    const sums = await this.sums.read(session.key);
    // deleted for good meanwhile
    if (!sums) return verify<never>(null, 'read');
    const [counted, usage] = [await this.stats.find(session.key), await this.usage.find(session.key)];
    return { session, sums, usage, ...counted };
  }

  private async write(session: SessionRow, input: AddStats): Promise<Counted> {
    checkFree(session);
    const held = await this.stats.find(session.key);
    const counters = added(held.counters, input.counters, input.at);
    const metadata = mergePatch(held.metadata, input.metadata ?? {}) as JsonObject;
    checkSize('/metadata', metadata, METADATA_KIB);
    const names = Object.keys(input.counters).sort();
    const updates = [...(names.length ? ['counters'] : []), ...(input.metadata ? ['metadata'] : [])];
    const event = { type: 'stats.updated', payload: { updates, counters: names } };
    await this.stats.save(session.key, counters, metadata, [event]);
    return { counters, metadata };
  }
}
