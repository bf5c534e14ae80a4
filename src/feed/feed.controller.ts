import { Controller, Get, Param, Query } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import { verify } from '../access/verify.js';
import type { Caller } from '../common/caller.js';
import { DomainError } from '../common/errors.js';
import { cutPage, decodeCursor, encodeCursor } from '../common/paging.js';
import { CurrentCaller } from '../http/caller.guard.js';
import { Operation } from '../http/operation.js';
import { sessionId } from '../sessions/sessions.schemas.js';
import { FeedRepository, type Position } from './feed.repository.js';
import {
  type EventRow,
  type EventsQuery,
  eventsPage,
  eventsQuery,
  sessionEventsPage,
  sessionEventsQuery,
  toView,
} from './feed.schemas.js';

const DEFAULT_LIMIT = 50;
const STREAM = 'events';

@ApiTags('Events')
@Controller()
export class FeedController {
  constructor(private readonly feed: FeedRepository) {}

  @Get('sessions/:session_id/events')
  @Operation({
    id: 'listSessionEvents',
    seesDeleted: true,
    summary: 'What happened to a session, oldest first; also when it is deleted',
    scope: 'events:read',
    permission: 'read',
    answers: { 200: sessionEventsPage },
    refusals: { 400: ['invalid_cursor'] },
  })
  async ofSession(
    @Param('session_id', { schema: sessionId }) id: string,
    @Query({ schema: sessionEventsQuery }) query: EventsQuery,
    @CurrentCaller() caller: Caller,
  ) {
    const { limit = DEFAULT_LIMIT } = query;
    const { header, rows } = await this.feed.findOfSession(id, caller.userId, seqAfter(query, id), limit);
    verify(header, 'read', true);
    const cut = cutPage(counted(rows), limit, (row) => encodeCursor([STREAM, id], row.seq));
    return { events: cut.rows.map(toView), limit, next_cursor: cut.next, has_more: cut.next !== null };
  }

  @Get('events')
  @Operation({
    id: 'listEvents',
    summary: 'What happened to all sessions the caller may see, oldest first',
    scope: 'events:read',
    answers: { 200: eventsPage },
    refusals: { 400: ['invalid_cursor'] },
  })
  async ofAll(@Query({ schema: eventsQuery }) query: EventsQuery, @CurrentCaller() caller: Caller) {
    const { limit = DEFAULT_LIMIT } = query;
    const given = query.cursor ?? query.after;
    const start = given === undefined ? ORIGIN : decodeCursor(given, STREAM, isPosition);
    const rows = await this.feed.findOfAll(caller.userId, start, limit);
    const cut = cutPage(counted(rows), limit, (row) => encodeCursor(STREAM, [row.tx, row.position]));
    const last = cut.rows.at(-1);
    return {
      events: cut.rows.map(toView),
      limit,
      next_cursor: cut.next,
      has_more: cut.next !== null,
      position: encodeCursor(STREAM, last ? [last.tx, last.position] : start),
    };
  }
}

const ORIGIN: Position = [0, 0];

const counted = (rows: EventRow[]) => rows.map((row) => ({ ...row, found: rows.length }));

const isSeq = (key: unknown): key is number => Number.isSafeInteger(key) && (key as number) >= 0;

const isPosition = (key: unknown): key is Position =>
  Array.isArray(key) && key.length === 2 && key.every(isSeq);

/** A session's stream is numbered by seq; a position of another stream is not taken for one. */
function seqAfter({ after, cursor }: EventsQuery, id: string): number {
  if (cursor !== undefined) return decodeCursor(cursor, [STREAM, id], isSeq);
  if (after === undefined) return 0;
  if (!/^\d{1,15}$/.test(after))
    throw new DomainError('malformed', 'invalid_cursor', 'after is the seq of an event of this session.');
  return Number(after);
}
