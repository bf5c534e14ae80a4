import { Module } from '@nestjs/common';
import type { Logger } from 'pino';
import { Outage } from '../common/outage.js';
import { CONFIG, type Config } from '../config/config.js';
import { LIMITER, type Limiter } from '../http/limiter.js';
import { LOG } from '../http/log.js';
import { rateOf } from './buckets.js';
import { MemoryBuckets } from './buckets.memory.js';
import { RedisBuckets } from './buckets.redis.js';
import { RateLimiter } from './rate-limiter.js';

/** From the configuration to where requests are counted. */
function openLimiter(config: Config, log: Logger): Limiter | null {
  const { RATE_LIMIT_PER_MINUTE: perMinute, REDIS_URL, ROLE } = config;
  if (perMinute === undefined || ROLE === 'worker') return null;
  const rate = rateOf(perMinute);
  const outage = new Outage(log, 'the Redis of rate limits', 'each process counts alone');
  const shared = REDIS_URL === undefined ? null : new RedisBuckets(REDIS_URL, rate, outage);
  return new RateLimiter(perMinute, new MemoryBuckets(rate), shared, outage);
}

/** How often each caller may ask. */
@Module({
  providers: [{ provide: LIMITER, useFactory: openLimiter, inject: [CONFIG, LOG] }],
  exports: [LIMITER],
})
export class LimitsModule {}
