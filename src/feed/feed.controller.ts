import { Controller, Get, Headers, Param, Query, Res } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import { verify } from '../access/verify.js';
import type { Caller } from '../common/caller.js';
import { invalid } from '../common/errors.js';
import {
  checkOwner,
  cutPage,
  decodeCursor,
  encodeCursor,
  isPair,
  pageBytes,
  type Within,
} from '../common/paging.js';
import { CurrentCaller } from '../http/caller.guard.js';
import { Operation } from '../http/operation.js';
import { sendEvents, wantsStream } from '../http/sse.js';
import { sessionId } from '../sessions/sessions.schemas.js';
import { FeedRepository } from './feed.repository.js';
import {
  type EventsQuery,
  eventsPage,
  eventsQuery,
  sessionEventsPage,
  sessionEventsQuery,
  toView,
} from './feed.schemas.js';
import { checkThere, checkTold, isBefore, positionIn, positionText, seqIn } from './position.js';
import { SessionStreams } from './session-streams.js';
import { StreamsOfAll } from './streams-of-all.js';

const DEFAULT_LIMIT = 50;
const ABOUT_STREAMS =
  'With `Accept: text/event-stream` a stream (SSE) of what happens from now on, or after `Last-Event-ID` or `after`: `event` is the type, ' +
  '`id` the place to go on from, a comment every 15 s shows that somebody is there. Who takes nothing for 30 s is cut off, and can go on.';

@ApiTags('Events')
@Controller()
export class FeedController {
  constructor(
    private readonly feed: FeedRepository,
    private readonly sessionStreams: SessionStreams,
    private readonly streamsOfAll: StreamsOfAll,
  ) {}

  @Get('sessions/:session_id/events')
  @Operation({
    id: 'listSessionEvents',
    seesDeleted: true,
    summary: 'What happened to a session, oldest first; also when it is deleted',
    description: ABOUT_STREAMS,
    scope: 'events:read',
    permission: 'read',
    answers: { 200: sessionEventsPage },
    refusals: { 400: ['invalid_cursor'], 410: ['events_gone'], 503: ['too_many_streams'] },
    alsoEvents:
      'event: message.appended\nid: 2\ndata: {"event_type":"message.appended","aggregate_id":"support-4711","seq":2}\n\n',
  })
  async ofSession(
    @Param('session_id', { schema: sessionId }) id: string,
    @Query({ schema: sessionEventsQuery }) query: EventsQuery,
    @Headers('accept') accept: string | undefined,
    @Headers('last-event-id') lastId: string | undefined,
    @CurrentCaller() caller: Caller,
    @Res({ passthrough: true }) reply: FastifyReply,
  ) {
    if (!wantsStream(accept)) return this.pageOfSession(id, query, caller);
    const after = placeGiven(query, lastId);
    const from = after === undefined ? null : seqIn(after);
    return sendEvents(reply, await this.sessionStreams.open(id, from, caller));
  }

  @Get('events')
  @Operation({
    id: 'listEvents',
    summary: 'What happened to all sessions the caller may see, oldest first',
    description: `One request looks at 10,000 events, whosever they are: an answer may have few events or none, and \`has_more\`.\n\n${ABOUT_STREAMS}`,
    scope: 'events:read',
    answers: { 200: eventsPage },
    refusals: { 400: ['invalid_cursor'], 410: ['events_gone'], 503: ['too_many_streams'] },
    alsoEvents:
      'event: session.created\nid: WyJ4IixbMSwxXV0\ndata: {"event_type":"session.created","aggregate_id":"support-4711","seq":1}\n\n',
  })
  async ofAll(
    @Query({ schema: eventsQuery }) query: EventsQuery,
    @Headers('accept') accept: string | undefined,
    @Headers('last-event-id') lastId: string | undefined,
    @CurrentCaller() caller: Caller,
    @Res({ passthrough: true }) reply: FastifyReply,
  ) {
    if (!wantsStream(accept)) return this.pageOfAll(query, caller);
    const after = placeGiven(query, lastId);
    const from = after === undefined ? null : positionIn(after);
    return sendEvents(reply, await this.streamsOfAll.open(from, caller));
  }

  private async pageOfSession(id: string, query: EventsQuery, caller: Caller) {
    const { limit = DEFAULT_LIMIT } = query;
    const scope = ['events', id];
    const cursor = query.cursor === undefined ? null : decodeCursor(query.cursor, scope, isPair);
    const after = cursor ? cursor[1] : query.after === undefined ? null : seqIn(query.after);
    const portion = { events: limit, bytes: pageBytes(false) };
    const { header, rows } = await this.feed.findOfSession(id, caller.userId, after ?? 0, portion);
    const { header_key: session, event_seq, first_seq } = verify(header, 'read', true);
    checkOwner(cursor, session);
    checkTold(after !== null && after > event_seq);
    checkThere(after !== null && after + 1 < first_seq);
    const cut = cutPage(rows, limit, ({ seq }) => encodeCursor(scope, [session, seq] satisfies Within));
    return { events: cut.rows.map(toView), limit, next_cursor: cut.next, has_more: cut.next !== null };
  }

  private async pageOfAll(query: EventsQuery, caller: Caller) {
    const { limit = DEFAULT_LIMIT } = query;
    const given = query.cursor ?? query.after;
    // what a held session has from before that is read at the session
    const start = given === undefined ? (await this.feed.places()).removed : positionIn(given);
    const portion = { events: limit, bytes: pageBytes(false) };
    const { rows, end, isMore, removed, isBeyond } = await this.feed.findOfAll(caller.userId, start, portion);
    checkTold(isBeyond);
    checkThere(given !== undefined && isBefore(start, removed));
    const position = positionText(end);
    return {
      events: rows.map(toView),
      limit,
      next_cursor: isMore ? position : null,
      has_more: isMore,
      position,
    };
  }
}

/** Where a stream begins. A reader that comes again says where he was, beside what he first asked for. */
function placeGiven({ after, cursor, limit }: EventsQuery, lastId: string | undefined): string | undefined {
  const faults = Object.entries({ cursor, limit }).filter(([, value]) => value !== undefined);
  if (faults.length > 0)
    throw invalid(faults.map(([name]) => ({ pointer: `?${name}`, detail: 'a stream has no pages' })));
  return lastId || after;
}
