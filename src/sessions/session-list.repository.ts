import { Injectable } from '@nestjs/common';
import { sharedWith } from '../access/access.sql.js';
import { boundedPage, COUNT_CAP, type Counted, type PageRequest, pageBytes } from '../common/paging.js';
import { Database } from '../database/database.js';
import { statusOf } from './session.sql.js';
import type { SessionRow } from './session.view.js';
import type { SessionsQuery } from './sessions.schemas.js';
import { sessionColumns } from './sessions.sql.js';

/** Where a page goes on: the value it is sorted by, and the session's key. */
export type ListKey = [value: string, key: number];

export interface ListRequest {
  query: SessionsQuery;
  /** whose sessions; null: everybody's */
  user: string | null;
  page: PageRequest<ListKey>;
}

const COLUMNS = {
  last_activity_at: { sql: 's.last_activity_at', cast: 'timestamptz' },
  created_at: { sql: 'd.created_at', cast: 'timestamptz' },
  updated_at: { sql: 'd.updated_at', cast: 'timestamptz' },
  title: { sql: 'd.title', cast: 'text' },
} as const;

const SIZE = ['metadata', 'context', 'configuration', 'conversation_data', 'checkpoint', 'runtime_metadata']
  .map((column) => `coalesce(octet_length(d.${column}::text), 0)`)
  .join(' + ');

/** Lists sessions: one statement a page, by keyset unless an offset is asked for. */
@Injectable()
export class SessionListRepository {
  constructor(private readonly database: Database) {}

  findPage(request: ListRequest): Promise<(SessionRow & Counted)[]> {
    const { values, add } = parameters();
    const { page } = request;
    const { column, descending } = orderOf(request.query.order);
    const where = conditions(request, add);
    if (page.after) where.push(behind(column, descending, page.after, add));
    const direction = descending ? 'desc' : 'asc';
    const text = `
      select ${sessionColumns(add(request.user))}, ${COLUMNS[column].sql} as sorted_by, ${SIZE} as size
      ${from(where)}
      order by ${COLUMNS[column].sql} ${direction}, s.key ${direction}
      limit ${add(page.limit + 1)} offset ${add(page.offset ?? 0)}`;
    const bytes = add(pageBytes(page.offset !== null));
    const paged = boundedPage(text, `sorted_by ${direction}, key ${direction}`, bytes);
    return this.database.query({ name: nameOf(request), text: paged }, values);
  }

  /** How many match, counted up to the cap. */
  async count(request: ListRequest): Promise<{ count: number; capped: boolean }> {
    const { values, add } = parameters();
    const text = `select count(*) from (select 1 ${from(conditions(request, add))} limit ${COUNT_CAP + 1}) counted`;
    const [row] = await this.database.query<{ count: number }>({ text }, values);
    return { count: Math.min(row!.count, COUNT_CAP), capped: row!.count > COUNT_CAP };
  }
}

/** Only what is asked without filters, by nearly everybody, has a name: there are too many other texts to keep them all. */
function nameOf({ query, user, page }: ListRequest): string | undefined {
  const { order, shared_with_me, include_deleted, ...filters } = query;
  if (FILTERS.some((filter) => filters[filter] !== undefined)) return undefined;
  const whose = user === null ? 'all' : shared_with_me ? 'shared' : 'own';
  const parts = [order, whose, include_deleted ? 'deleted' : '', page.after ? 'after' : ''];
  return `sessions.list ${parts.join(' ').trim()}`;
}

const FILTERS = [
  ...['status', 'agent_id', 'client_id', 'session_type', 'runtime_backend', 'tags', 'q', 'metadata'],
  ...['created_after', 'created_before', 'active_after', 'active_before'],
] as const satisfies (keyof SessionsQuery)[];

type Add = (value: unknown) => string;

function parameters(): { values: unknown[]; add: Add } {
  const values: unknown[] = [];
  return { values, add: (value) => `$${values.push(value)}` };
}

export function orderOf(order: SessionsQuery['order']) {
  const descending = order.startsWith('-');
  return { column: order.replace('-', '') as keyof typeof COLUMNS, descending };
}

const from = (where: string[]) =>
  `from sessions s join session_details d on d.key = s.key where ${where.join(' and ')}`;

const behind = (column: keyof typeof COLUMNS, descending: boolean, [value, key]: ListKey, add: Add) =>
  `(${COLUMNS[column].sql}, s.key) ${descending ? '<' : '>'} (${add(value)}::${COLUMNS[column].cast}, ${add(key)}::bigint)`;

function conditions({ query, user }: ListRequest, add: Add): string[] {
  const where = ['s.purged_at is null', ...ownership(query, user, add), ...statuses(query, add)];
  const equal = (sql: string, value: unknown) => value !== undefined && where.push(`${sql} = ${add(value)}`);
  equal('s.agent_id', query.agent_id);
  equal('s.client_id', query.client_id);
  equal('s.session_type', query.session_type);
  equal('s.runtime_backend', query.runtime_backend);
  const compared = (sql: string, value: unknown) => value !== undefined && where.push(`${sql} ${add(value)}`);
  compared('d.created_at >', query.created_after);
  compared('d.created_at <', query.created_before);
  compared('s.last_activity_at >', query.active_after);
  compared('s.last_activity_at <', query.active_before);
  return [...where, ...contents(query, add)];
}

/** The second column repeats the owner, so that either table's index can lead. */
function ownership(query: SessionsQuery, user: string | null, add: Add): string[] {
  if (user === null) return [];
  if (query.shared_with_me) return [sharedWith('s', add(user))];
  const leads = orderOf(query.order).column !== 'last_activity_at';
  return [`s.user_id = ${add(user)}`, ...(leads ? [`d.user_id = ${add(user)}`] : [])];
}

function statuses(query: SessionsQuery, add: Add): string[] {
  if (query.status?.length) return [`${statusOf('s')} = any(${add(query.status)}::text[])`];
  return query.include_deleted ? [] : [`${statusOf('s')} <> 'deleted'`];
}

function contents(query: SessionsQuery, add: Add): string[] {
  const where: string[] = [];
  const tags = query.tags
    ?.split(',')
    .map((tag) => tag.trim())
    .filter(Boolean);
  if (tags?.length) where.push(`d.tags ${query.tag_mode === 'all' ? '@>' : '&&'} ${add(tags)}::text[]`);
  if (query.q) {
    const pattern = add(`%${query.q.replace(/[\\%_]/g, '\\$&')}%`);
    where.push(`(d.title collate "default" ilike ${pattern} or d.description ilike ${pattern})`);
  }
  for (const [key, text] of Object.entries(query.metadata ?? {})) {
    const alternatives = asJson(text).map(
      (value) => `d.metadata @> ${add(JSON.stringify({ [key]: value }))}::jsonb`,
    );
    where.push(`(${alternatives.join(' or ')})`);
  }
  return where;
}

/** A value in a query may mean a text, a number or a boolean. */
function asJson(text: string): unknown[] {
  if (text === 'true' || text === 'false') return [text, text === 'true'];
  const number = /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d{1,3})?$/.test(text) ? Number(text) : Number.NaN;
  return Number.isFinite(number) ? [text, number] : [text];
}
