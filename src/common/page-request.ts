import { DomainError } from './errors.js';
import { decodeCursor, type Page, type PageRequest } from './paging.js';

/** The paging members of a list's query, as validated. */
export interface PageParams {
  limit?: number;
  cursor?: string;
  offset?: number;
  page?: number;
  page_size?: number;
  include_total?: boolean;
}

/**
 * Reads the paging members of a query. `scope` is the order and the filters the cursor must have been made for.
 * @throws DomainError `invalid` when two ways of paging are mixed, `invalid_cursor`
 */
export function pageRequest<Key>(
  query: PageParams,
  defaultLimit: number,
  scope: unknown,
  isKey: (key: unknown) => key is Key,
): PageRequest<Key> {
  const ways = [query.cursor, query.offset, query.page].filter((way) => way !== undefined);
  if (ways.length > 1) throw mixed('cursor', 'cursor, offset and page exclude each other');
  if (query.limit !== undefined && query.page_size !== undefined && query.limit !== query.page_size) {
    throw mixed('page_size', 'limit and page_size differ');
  }
  const limit = query.limit ?? query.page_size ?? defaultLimit;
  const paged = query.page ?? (query.page_size === undefined || query.cursor || query.offset ? null : 1);
  return {
    limit,
    after: query.cursor === undefined ? null : decodeCursor(query.cursor, scope, isKey),
    offset: query.offset ?? (paged === null ? null : (paged - 1) * limit),
    page: paged,
    includeTotal: query.include_total ?? (query.offset !== undefined || paged !== null),
  };
}

const mixed = (name: string, detail: string) =>
  new DomainError('invalid', 'invalid', `?${name}: ${detail}`, { errors: [{ pointer: `?${name}`, detail }] });

/** Page members of an answer. */
export function pageView<Key>(request: PageRequest<Key>, page: Page<unknown>) {
  return {
    limit: request.limit,
    next_cursor: page.next,
    has_more: page.next !== null,
    ...(request.offset !== null && { offset: request.offset }),
    ...(request.page !== null && { page: request.page, page_size: request.limit }),
    ...(page.total && { total: page.total.count, total_capped: page.total.capped }),
  };
}
