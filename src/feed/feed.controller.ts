import { Controller, Get, Param, Query } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import { verify } from '../access/verify.js';
import type { Caller } from '../common/caller.js';
import { DomainError } from '../common/errors.js';
import { checkOwner, cutPage, decodeCursor, encodeCursor, isPair, type Within } from '../common/paging.js';
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
    const cursor = query.cursor === undefined ? null : decodeCursor(query.cursor, [STREAM, id], isPair);
    const after = cursor ? cursor[1] : seqIn(query.after);
    const { header, rows } = await this.feed.findOfSession(id, caller.userId, after, limit);
    const { header_key: session } = verify(header, 'read', true);
    checkOwner(cursor, session);
    const cut = cutPage(counted(rows), limit, ({ seq }) =>
      encodeCursor([STREAM, id], [session, seq] satisfies Within),
    );
    return { events: cut.rows.map(toView), limit, next_cursor: cut.next, has_more: cut.next !== null };
  }

  @Get('events')
  @Operation({
    id: 'listEvents',
    summary: 'What happened to all sessions the caller may see, oldest first',
    description:
      'One request looks at 10,000 events, whosever they are: an answer may have few events or none, and `has_more`.',
    scope: 'events:read',
    answers: { 200: eventsPage },
    refusals: { 400: ['invalid_cursor'] },
  })
  async ofAll(@Query({ schema: eventsQuery }) query: EventsQuery, @CurrentCaller() caller: Caller) {
    const { limit = DEFAULT_LIMIT } = query;
    const given = query.cursor ?? query.after;
    const start = given === undefined ? ORIGIN : decodeCursor(given, STREAM, isPair);
    const { rows, end, isMore } = await this.feed.findOfAll(caller.userId, start, limit);
    const events = rows.slice(0, limit);
    const position = encodeCursor(STREAM, end ?? [events.at(-1)!.tx, events.at(-1)!.position]);
    return {
      events: events.map(toView),
      limit,
      next_cursor: isMore ? position : null,
      has_more: isMore,
      position,
    };
  }
}

const ORIGIN: Position = [0, 0];

const counted = (rows: EventRow[]) => rows.map((row) => ({ ...row, found: rows.length }));

/** A session's stream is numbered by seq; a position of another stream is not taken for one. */
function seqIn(after: string | undefined): number {
  if (after === undefined) return 0;
  if (!/^\d{1,15}$/.test(after))
    throw new DomainError('malformed', 'invalid_cursor', 'after is the seq of an event of this session.');
  return Number(after);
}
