import type { Redis, RedisOptions } from 'ioredis';
import type { Outage } from '../common/outage.js';

const MAX_RECONNECT_MS = 5_000;

/**
 * A connection to Redis, which may be away now, or go away at any time: it goes on trying by itself, and by default nothing waits in
 * memory for Redis to come back. Whoever opens it tells when the outage is over, and closes it (`disconnect`).
 */
export async function openRedis(url: string, outage: Outage, options: RedisOptions = {}): Promise<Redis> {
  // read when first needed: the start does not wait for it
  const { Redis } = await import('ioredis');
  const redis = new Redis(url, {
    ...{ enableOfflineQueue: false, maxRetriesPerRequest: 1 },
    retryStrategy: (times) => Math.min(times * 200, MAX_RECONNECT_MS),
    ...options,
  });
  redis.on('error', (error) => outage.begin(error));
  return redis;
}
