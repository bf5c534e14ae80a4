import { createHash } from 'node:crypto';
import type { Redis } from 'ioredis';
import type { Outage } from '../common/outage.js';
import { openRedis } from '../redis/open-redis.js';
import type { Buckets, Rate, Taken } from './buckets.js';

/** Redis may be slow, and this process busy; beyond that each counts alone. */
const PATIENCE_MS = 500;
/** A connection on which nothing comes back is opened anew. */
const DEAD_MS = 5_000;

/** By the clock of Redis, which all processes share; what is full again is forgotten by itself. */
const TAKE = `
  local time = redis.call('TIME')
  local now = time[1] * 1000000 + time[2]
  local step, whole = tonumber(ARGV[1]), tonumber(ARGV[2])
  local full = tonumber(redis.call('GET', KEYS[1]) or now)
  full = math.min(math.max(full, now), now + whole)
  if full + step - now > whole then return {0, full - now} end
  redis.call('SET', KEYS[1], string.format('%.0f', full + step), 'PX', math.ceil((full + step - now) / 1000))
  return {1, full + step - now}
`;

type Scripted = Redis & {
  takeToken(key: string, step: number, whole: number): Promise<[taken: number, fullIn: number]>;
};

/** Buckets that all processes on one Redis share: one round trip, in which nobody comes between. */
export class RedisBuckets implements Buckets {
  private redis?: Scripted;
  private isClosed = false;

  constructor(
    url: string,
    private readonly rate: Rate,
    outage: Outage,
  ) {
    openRedis(url, outage, { commandTimeout: PATIENCE_MS, socketTimeout: DEAD_MS }).then((redis) => {
      redis.defineCommand('takeToken', { numberOfKeys: 1, lua: TAKE });
      if (this.isClosed) redis.disconnect();
      this.redis = redis as Scripted;
    }, outage.begin.bind(outage));
  }

  async take(name: string): Promise<Taken> {
    if (this.redis?.status !== 'ready') throw new Error('Redis is not connected');
    const [taken, fullIn] = await this.redis.takeToken(keyOf(name), this.rate.step, this.rate.whole);
    return { isTaken: taken === 1, fullIn };
  }

  close(): void {
    this.isClosed = true;
    this.redis?.disconnect();
  }
}

/** Nobody's id is kept there. */
const keyOf = (name: string) => `limit:${createHash('sha256').update(name).digest('base64url')}`;
