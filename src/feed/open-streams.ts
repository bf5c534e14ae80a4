import { type BeforeApplicationShutdown, Injectable } from '@nestjs/common';
import { Gauge } from 'prom-client';
import { type Caller, callerName, isService } from '../common/caller.js';
import { DomainError } from '../common/errors.js';
import { COMMENT_MS, type Reader } from '../http/sse.js';
import { Bell } from './bell.js';

/** Streams that a process, a service and a user may have open at a time. */
const [MOST, MOST_OF_SERVICE, MOST_OF_USER] = [2_000, 1_000, 100];
/** When the process stops, who has not taken what he was sent by then is cut off: he can resume elsewhere. */
const PARTING_MS = 3_000;

const gauge = new Gauge({ name: 'event_streams_open', help: 'Streams of events that are being read.' });

/** A stream that is open: when it is over, and when somebody must show that he is there. */
export class Place {
  readonly bell = new Bell();
  isOver = false;
  reader: Reader | null = null;
  private spokenAt = performance.now();

  constructor(private readonly until: Date | null) {}

  end(): void {
    this.isOver = true;
    this.bell.ring();
  }

  /** Whether it must end: its reader has gone, the process stops, or what lets the reader in has run out. */
  mustEnd(): boolean {
    return this.isOver || (this.until !== null && this.until.getTime() <= Date.now());
  }

  spoke(): void {
    this.spokenAt = performance.now();
  }

  isSilent(): boolean {
    return performance.now() - this.spokenAt >= COMMENT_MS;
  }

  /** Until it is rung, or something is due. */
  async wait(most = COMMENT_MS): Promise<void> {
    const quiet = COMMENT_MS - (performance.now() - this.spokenAt);
    const left = this.until === null ? quiet : this.until.getTime() - Date.now();
    await this.bell.heard(Math.max(0, Math.min(most, quiet, left)));
  }
}

/** Who reads streams of events at this process. */
@Injectable()
export class OpenStreams implements BeforeApplicationShutdown {
  private readonly places = new Map<Place, string>();
  private isStopping = false;

  /** All end with their process; readers go on at another. */
  beforeApplicationShutdown(): void {
    this.isStopping = true;
    for (const place of this.places.keys()) place.end();
    setTimeout(() => {
      for (const { reader } of this.places.keys()) reader?.cut();
    }, PARTING_MS).unref();
  }

  /**
   * Keeps a place for a stream, until its reader has left; it must be taken.
   * @throws DomainError `too_many_streams`
   */
  enter(caller: Caller): Place {
    const name = callerName(caller);
    const most = isService(caller) ? MOST_OF_SERVICE : MOST_OF_USER;
    const his = [...this.places.values()].filter((one) => one === name).length;
    if (this.places.size >= MOST || his >= most) throw tooMany(his >= most ? most : MOST);
    const place = new Place(caller.expiresAt);
    this.places.set(place, name);
    gauge.set(this.places.size);
    return place;
  }

  take(place: Place, reader: Reader): void {
    place.reader = reader;
    const leave = () => {
      place.end();
      this.places.delete(place);
      gauge.set(this.places.size);
    };
    if (reader.left.aborted) leave();
    else reader.left.addEventListener('abort', leave, { once: true });
    if (this.isStopping) place.end();
  }
}

const tooMany = (most: number) =>
  new DomainError('unavailable', 'too_many_streams', `${most} streams are open: close some, or come later.`, {
    retryAfter: 5,
  });
