import { Injectable } from '@nestjs/common';
import type { Caller } from '../common/caller.js';
import { History } from '../messages/history.js';
import { toView } from '../sessions/session.view.js';
import { SessionsService } from '../sessions/sessions.service.js';
import { SummariesService } from '../stats/summaries.service.js';
import { type Compared, commonOf, differencesOf } from './differences.js';

/** Sessions beside one another. */
@Injectable()
export class CompareService {
  constructor(
    private readonly sessions: SessionsService,
    private readonly history: History,
    private readonly summaries: SummariesService,
  ) {}

  /** @throws DomainError `session_not_found`, `session_deleted` for the first that the caller cannot read */
  async compare(ids: string[], caller: Caller) {
    const rows = await this.sessions.getAll(ids, caller);
    const models = await this.history.models(rows.map(({ key }) => key));
    const compared: Compared[] = rows.map((row) => ({ ...toView(row), models: models.get(row.key) ?? [] }));
    return {
      sessions: await this.summaries.of(rows),
      common: {
        tags: commonOf(compared.map(({ tags }) => tags)),
        models: commonOf(compared.map((session) => session.models)),
      },
      differences: differencesOf(compared),
    };
  }
}
