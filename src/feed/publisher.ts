import {
  type BeforeApplicationShutdown,
  Inject,
  Injectable,
  type OnApplicationBootstrap,
} from '@nestjs/common';
import type { Logger } from 'pino';
import { newId } from '../common/ids.js';
import { Outage } from '../common/outage.js';
import { paced } from '../common/paced.js';
import { CONFIG, type Config } from '../config/config.js';
import { type Channels, openChannels } from '../events/backends/redis-channels.js';
import { EventBus } from '../events/event-bus.js';
import { LOG } from '../http/log.js';
import { FeedRepository } from './feed.repository.js';
import { type EventRow, toView } from './feed.schemas.js';
import { isBefore } from './position.js';
import { PublishingRepository } from './publishing.repository.js';

const PORTION = { events: 500, bytes: 1024 * 1024 };
const [PACE_MS, POLL_MS] = [50, 1_000];
/** A process that is killed is followed by another after so long… */
const LEASE_SECONDS = 15;
/** …and one that was slower than this before it could publish leaves it to the next turn. */
const SLOW_MS = 5_000;

/**
 * Publishes every event on Redis, for those who listen there: follows the stream of all from a place that is kept, one
 * process at a time, each event in order and at least once. While Redis is away it stands still, and goes on from there.
 */
@Injectable()
export class Publisher implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private readonly name = newId();
  private readonly turn = paced(() => this.publish(), PACE_MS);
  private channels: Channels | null = null;
  private running: Promise<void> = Promise.resolve();
  private timer?: NodeJS.Timeout;

  constructor(
    private readonly feed: FeedRepository,
    private readonly progress: PublishingRepository,
    private readonly bus: EventBus,
    @Inject(CONFIG) private readonly config: Config,
    @Inject(LOG) private readonly log: Logger,
  ) {}

  async onApplicationBootstrap(): Promise<void> {
    const { REDIS_URL, ROLE } = this.config;
    if (REDIS_URL === undefined || ROLE === 'api') return;
    await this.progress.begin();
    const outage = new Outage(this.log, 'Redis', 'events are published on it later');
    this.channels = await openChannels(REDIS_URL, outage);
    this.bus.listen(this.turn);
    this.timer = setInterval(this.turn, POLL_MS).unref();
  }

  async beforeApplicationShutdown(): Promise<void> {
    clearInterval(this.timer);
    const { channels } = this;
    if (channels === null) return;
    this.channels = null;
    await this.running;
    channels.close();
    await this.letGo();
  }

  private letGo(): Promise<void> {
    return this.progress.release(this.name).catch(() => undefined);
  }

  private publish(): Promise<void> {
    this.running = this.publishAll().catch(async (err: unknown) => {
      this.log.debug({ err }, 'events are not published now');
      // another process may reach Redis
      await this.letGo();
    });
    return this.running;
  }

  private async publishAll(): Promise<void> {
    while (this.channels?.isOpen() && (await this.publishSome(this.channels))) {}
  }

  /** Whether there is more. Nothing is held but the lease while Redis is spoken to. */
  private async publishSome(channels: Channels): Promise<boolean> {
    const claimedAt = performance.now();
    const start = await this.progress.claim(this.name, LEASE_SECONDS);
    if (start === null) return false;
    const { rows, end, isMore } = await this.feed.findOfAll(null, start, PORTION);
    if (performance.now() - claimedAt > SLOW_MS) return true;
    if (rows.length > 0) await channels.publish(rows.map(publication));
    if (!isBefore(start, end)) return false;
    return (await this.progress.moveTo(end, this.name)) && isMore;
  }
}

const publication = (row: EventRow) => ({
  channel: `events:${row.aggregate_type}`,
  text: JSON.stringify(toView(row)),
});
