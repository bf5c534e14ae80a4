import { Inject, Injectable } from '@nestjs/common';
import type { Logger } from 'pino';
import { paced } from '../common/paced.js';
import { EventBus } from '../events/event-bus.js';
import { LOG } from '../http/log.js';
import { Bell } from './bell.js';
import { FeedRepository } from './feed.repository.js';
import { LOOKED_AT, NewsRepository } from './news.repository.js';
import { isBefore, type Position } from './position.js';

/** It is looked at most so often, */
const PACE_MS = 25;
/** …and so often whether or not anybody has told: what was lost on the way costs no more. */
const POLL_MS = 1_000;
/** …and so long after something was told that others may yet come before. */
const UNSETTLED_MS = 50;

/** Readers of one session. */
interface Session {
  /** the seq of the last event that is known to be there */
  head: number;
  bells: Set<Bell>;
}

/** A reader of the stream of all events. */
export interface Watch {
  bell: Bell;
  /** null: a service */
  user: string | null;
  /** there is nothing for him before here that he was not woken for */
  passed: Position | null;
}

/**
 * Looks for news on behalf of all readers of this process: one query for those of sessions, one for those of the stream
 * of all, however many they are and however much is told. Whoever has news is woken, and reads the log by himself.
 */
@Injectable()
export class Watching {
  private readonly sessions = new Map<number, Session>();
  private readonly all = new Set<Watch>();
  /** how far the stream of all has been looked at; null: nobody reads it */
  private end: Position | null = null;
  private timer?: NodeJS.Timeout;
  private readonly look = paced(() => this.lookOnce(), PACE_MS);

  constructor(
    private readonly news: NewsRepository,
    private readonly feed: FeedRepository,
    bus: EventBus,
    @Inject(LOG) private readonly log: Logger,
  ) {
    bus.listen(() => this.lookIfWatched());
  }

  /** @param head as the reader has found it */
  watchSession(key: number, bell: Bell, head: number): { readonly head: number; stop(): void } {
    const session = this.sessions.get(key) ?? { head, bells: new Set() };
    this.sessions.set(key, session);
    session.bells.add(bell);
    this.poll();
    const stop = () => {
      session.bells.delete(bell);
      if (session.bells.size === 0) this.sessions.delete(key);
      this.poll();
    };
    return {
      get head() {
        return session.head;
      },
      stop,
    };
  }

  /** The reader looks for himself before he waits for the first time. */
  watchAll(user: string | null, bell: Bell): Watch & { stop(): void } {
    const stop = () => {
      this.all.delete(watch);
      if (this.all.size === 0) this.end = null;
      this.poll();
    };
    const watch = { user, bell, passed: null, stop };
    this.all.add(watch);
    this.poll();
    return watch;
  }

  private get isWatched(): boolean {
    return this.sessions.size > 0 || this.all.size > 0;
  }

  private poll(): void {
    if (!this.isWatched) {
      clearInterval(this.timer);
      this.timer = undefined;
    } else this.timer ??= setInterval(this.look, POLL_MS).unref();
  }

  private lookIfWatched(): void {
    if (this.isWatched) this.look();
  }

  private async lookOnce(): Promise<void> {
    try {
      await Promise.all([this.lookAtSessions(), this.lookAtAll()]);
    } catch (err) {
      this.log.debug({ err }, 'no news could be looked for');
    }
  }

  private async lookAtSessions(): Promise<void> {
    if (this.sessions.size === 0) return;
    for (const { key, event_seq } of await this.news.heads([...this.sessions.keys()])) {
      const session = this.sessions.get(key);
      if (!session || event_seq <= session.head) continue;
      session.head = event_seq;
      for (const bell of session.bells) bell.ring();
    }
  }

  private async lookAtAll(): Promise<void> {
    const asked = new Set(this.all);
    if (asked.size === 0) return;
    if (this.end === null) {
      const { end } = await this.feed.places();
      this.moveTo(end, () => true);
      return;
    }
    const users = [...new Set([...asked].flatMap(({ user }) => user ?? []))];
    const { end, count, isUnsettled, ...told } = await this.news.since(this.end, users);
    if (count === LOOKED_AT) setImmediate(this.look);
    else if (isUnsettled) setTimeout(this.look, UNSETTLED_MS).unref();
    if (count === 0) return;
    // who came while the query ran was not asked for by it, and may have read before it did
    this.moveTo(end, (watch) => !asked.has(watch) || watch.user === null || told.users.has(watch.user));
  }

  private moveTo(end: Position, mayHaveNews: (watch: Watch) => boolean): void {
    if (this.all.size > 0) this.end = end;
    for (const watch of this.all) {
      if (mayHaveNews(watch)) watch.bell.ring();
      else if (watch.passed === null || isBefore(watch.passed, end)) watch.passed = end;
    }
  }
}
