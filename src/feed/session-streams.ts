import { setTimeout as pause } from 'node:timers/promises';
import { Injectable } from '@nestjs/common';
import { verify } from '../access/verify.js';
import type { Caller } from '../common/caller.js';
import { isUnavailable } from '../common/errors.js';
import type { Reader, Sent } from '../http/sse.js';
import { FeedRepository, type Header } from './feed.repository.js';
import { type EventRow, toView } from './feed.schemas.js';
import { OpenStreams, type Place } from './open-streams.js';
import { checkThere, checkTold } from './position.js';
import { AWAY_MS, PORTION, Reading } from './reading.js';
import { Watching } from './watching.js';

/** After so long another look is taken where something should have been. */
const AGAIN_MS = 50;

/** Follows the log of one session for whoever reads it: by number, so that each event comes once and in order. */
@Injectable()
export class SessionStreams {
  constructor(
    private readonly feed: FeedRepository,
    private readonly reading: Reading,
    private readonly watching: Watching,
    private readonly places: OpenStreams,
  ) {}

  /**
   * @param after seq of the last event the reader knows; null: only what happens from now on
   * @throws DomainError those of every session route, `invalid_cursor`, `events_gone`, `too_many_streams`
   */
  async open(id: string, after: number | null, caller: Caller) {
    const { header } = await this.feed.findOfSession(id, caller.userId, Number.MAX_SAFE_INTEGER, PORTION);
    const session = verify(header, 'read', true);
    const start = after ?? session.event_seq;
    checkTold(start > session.event_seq);
    checkThere(start + 1 < session.first_seq);
    const place = this.places.enter(caller);
    return (reader: Reader): AsyncIterable<Sent> => {
      this.places.take(place, reader);
      return this.follow(id, session, start, caller.userId, place);
    };
  }

  private async *follow(id: string, session: Header, start: number, user: string | null, place: Place) {
    const watch = this.watching.watchSession(session.header_key, place.bell, session.event_seq);
    let after = start;
    try {
      yield toldSo(after);
      for (place.spoke(); !place.mustEnd(); ) {
        place.bell.silence();
        const rows = await this.next(id, session.header_key, user, after);
        if (rows === null) return;
        if (rows.length > 0) {
          after = rows.at(-1)!.seq;
          yield rows.map(sent);
          place.spoke();
        } else if (place.isSilent()) {
          yield toldSo(after);
          place.spoke();
        }
        if (after >= watch.head) await place.wait();
        else if (rows.length === 0) await pause(AGAIN_MS, null, { ref: false });
      }
    } finally {
      watch.stop();
    }
  }

  /** null: the session cannot be seen any more, or the id is another's now, or what comes next is gone. */
  private async next(
    id: string,
    key: number,
    user: string | null,
    after: number,
  ): Promise<EventRow[] | null> {
    const what = JSON.stringify([id, user, after]);
    const read = () => this.feed.findOfSession(id, user, after, PORTION);
    try {
      const { header, rows } = await this.reading.shared(what, read);
      const isHis = header?.role && header.header_key === key && header.first_seq <= after + 1;
      return isHis ? rows : null;
    } catch (error) {
      if (!isUnavailable(error)) throw error;
      await pause(AWAY_MS, null, { ref: false });
      return [];
    }
  }
}

/** A reader that is cut off before his first event has a place to go on from, too. */
const toldSo = (after: number): Sent => ({ comment: true, id: String(after) });

const sent = (row: EventRow) => ({ type: row.event_type, id: String(row.seq), data: toView(row) });
