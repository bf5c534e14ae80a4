import { Injectable } from '@nestjs/common';
import type { Caller } from '../common/caller.js';
import type { PageRequest, Within } from '../common/paging.js';
import { checkOwner } from '../common/paging.js';
import { Database } from '../database/database.js';
import { type Answer, IdempotencyService } from '../idempotency/idempotency.service.js';
import { checkFree } from '../sessions/lifecycle.js';
import type { SessionRow } from '../sessions/session.view.js';
import { SessionsService } from '../sessions/sessions.service.js';
import { ModelUsageRepository } from './model-usage.repository.js';
import type { ReportUsage, Usage } from './model-usage.schemas.js';

/** Which models a session used, and for how much, as those report who called them. */
@Injectable()
export class ModelUsageService {
  constructor(
    private readonly database: Database,
    private readonly sessions: SessionsService,
    private readonly usage: ModelUsageRepository,
    private readonly idempotency: IdempotencyService,
  ) {}

  /** @throws DomainError `invalid` for a total that is too large, `stats_full`, `session_busy`, `key_reused` */
  report(id: string, input: ReportUsage, caller: Caller, key: string | null): Promise<Answer<Usage>> {
    return this.database.run(async () => {
      const session = await this.sessions.lock(id, caller, 'work');
      const request = { key, caller, route: `PUT model-usage ${session.key}`, body: input };
      const work = async () => ({
        ...{ status: 200, ids: [session.key] },
        value: await this.write(session, input),
      });
      return this.idempotency.once(request, work, ([used]) => this.usage.find(used!));
    });
  }

  async of(id: string, caller: Caller): Promise<Usage> {
    return this.usage.find((await this.sessions.get(id, caller)).key);
  }

  /** …with a page of the reports. */
  async history(id: string, page: PageRequest<Within>, caller: Caller) {
    const { key } = await this.sessions.get(id, caller);
    checkOwner(page.after, key);
    const rows = await this.usage.findPage(key, page.after?.[1] ?? null, page.limit);
    return { session: key, usage: await this.usage.find(key), rows };
  }

  private async write(session: SessionRow, input: ReportUsage): Promise<Usage> {
    checkFree(session);
    await this.usage.append(session.key, [input]);
    const event = { type: 'stats.updated', payload: { updates: ['model_usage'] } };
    await this.sessions.tell(session.key, [event]);
    return this.usage.find(session.key);
  }
}
