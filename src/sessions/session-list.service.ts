import { Injectable } from '@nestjs/common';
import { type Caller, isService } from '../common/caller.js';
import { forbidden, invalid } from '../common/errors.js';
import { firstFault } from '../common/json.js';
import { pageRequest } from '../common/page-request.js';
import { cutPage, encodeCursor, type Page, type PageRequest } from '../common/paging.js';
import type { SessionRow } from './session.view.js';
import { type ListKey, orderOf, SessionListRepository } from './session-list.repository.js';
import type { SessionsQuery } from './sessions.schemas.js';

const DEFAULT_LIMIT = 50;

export interface SessionsPage {
  request: PageRequest<ListKey>;
  page: Page<SessionRow>;
}

/** Pages of sessions. */
@Injectable()
export class SessionListService {
  constructor(private readonly sessions: SessionListRepository) {}

  /**
   * @param subject whose sessions; null: the caller's own, for a service everybody's
   * @throws DomainError `forbidden` when a user asks for another's, `invalid_cursor`
   */
  async page(query: SessionsQuery, subject: string | null, caller: Caller): Promise<SessionsPage> {
    if (!isService(caller) && (subject ?? caller.userId) !== caller.userId) {
      throw forbidden('A user lists his own sessions only.');
    }
    const user = subject ?? caller.userId;
    if (query.shared_with_me && user === null) {
      throw invalid([{ pointer: '?shared_with_me', detail: 'name the user in user_id' }]);
    }
    const scope = scopeOf(query, user);
    const page = pageRequest(query, DEFAULT_LIMIT, scope, keyGuard(query.order));
    const request = { query, user, page };
    const read = await this.sessions.findPage(request);
    const cursorOf = (row: SessionRow) => encodeCursor(scope, [sortedBy(row), row.key]);
    const cut = cutPage(read, page.limit, cursorOf, page.offset !== null);
    const total = page.includeTotal ? await this.sessions.count(request) : undefined;
    return { request: page, page: { ...cut, total } };
  }
}

/** What a cursor is good for: the filters and the order, not the way of paging. */
function scopeOf(query: SessionsQuery, user: string | null) {
  const { limit: _l, cursor: _c, offset: _o, page: _p, page_size: _s, include_total: _t, ...filters } = query;
  return { ...filters, user };
}

function sortedBy(row: object): string {
  const { sorted_by } = row as { sorted_by: Date | string };
  return typeof sorted_by === 'string' ? sorted_by : sorted_by.toISOString();
}

function keyGuard(order: SessionsQuery['order']) {
  const isText = orderOf(order).column === 'title';
  return (key: unknown): key is ListKey =>
    Array.isArray(key) &&
    key.length === 2 &&
    typeof key[0] === 'string' &&
    (isText ? firstFault(key[0]) === null : isTime(key[0])) &&
    Number.isSafeInteger(key[1]);
}

const isTime = (text: string) =>
  /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/.test(text) && !Number.isNaN(Date.parse(text));
