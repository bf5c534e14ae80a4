import { Injectable } from '@nestjs/common';
import type { Caller } from '../common/caller.js';
import { isUnavailable } from '../common/errors.js';
import type { Reader, Sent } from '../http/sse.js';
import { FeedRepository, type Stretch } from './feed.repository.js';
import { type EventRow, toView } from './feed.schemas.js';
import { OpenStreams, type Place } from './open-streams.js';
import { checkThere, checkTold, isBefore, type Position, positionText } from './position.js';
import { AWAY_MS, PORTION, Reading } from './reading.js';
import { type Watch, Watching } from './watching.js';

/** Follows the log of everything for whoever reads it: in settled order, so that each event he may see comes once. */
@Injectable()
export class StreamsOfAll {
  constructor(
    private readonly feed: FeedRepository,
    private readonly reading: Reading,
    private readonly watching: Watching,
    private readonly places: OpenStreams,
  ) {}

  /**
   * @param after the place of the last event the reader knows; null: only what happens from now on
   * @throws DomainError `invalid_cursor`, `events_gone`, `too_many_streams`
   */
  async open(after: Position | null, { userId, ...caller }: Caller) {
    const { removed, end, nextTx } = await this.feed.places();
    checkTold(after !== null && after[0] >= nextTx);
    checkThere(after !== null && isBefore(after, removed));
    const place = this.places.enter({ userId, ...caller });
    return (reader: Reader): AsyncIterable<Sent> => {
      this.places.take(place, reader);
      return this.follow(after ?? end, userId, place);
    };
  }

  private async *follow(start: Position, user: string | null, place: Place) {
    const watch = this.watching.watchAll(user, place.bell);
    let position = start;
    try {
      yield toldSo(position);
      for (place.spoke(); !place.mustEnd(); ) {
        place.bell.silence();
        const stretch = await this.next(position, user);
        if (stretch && isBefore(position, stretch.removed)) return;
        position = stretch?.end ?? position;
        if (stretch && stretch.rows.length > 0) {
          yield stretch.rows.map(sent);
          place.spoke();
        } else if (place.isSilent()) {
          yield toldSo(position);
          place.spoke();
        }
        if (!stretch?.isMore) await place.wait(stretch ? undefined : AWAY_MS);
        if (stretch && !stretch.isMore) position = passedBy(watch, position);
      }
    } finally {
      watch.stop();
    }
  }

  /** null: PostgreSQL is away */
  private async next(position: Position, user: string | null): Promise<Stretch | null> {
    try {
      return await this.reading.run(() => this.feed.findOfAll(user, position, PORTION));
    } catch (error) {
      if (isUnavailable(error)) return null;
      throw error;
    }
  }
}

/** A comment that moves the reader's place on, so that one who sees little does not fall behind what is kept. */
const toldSo = (position: Position): Sent => ({ comment: true, id: positionText(position) });

const sent = (row: EventRow) => ({
  type: row.event_type,
  id: positionText([row.tx, row.position]),
  data: toView(row),
});

/** Where he stands who was not woken: what lies before has nothing for him. */
function passedBy({ bell, passed }: Watch, position: Position): Position {
  return !bell.isRung && passed && isBefore(position, passed) ? passed : position;
}
