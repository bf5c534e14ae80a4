import { pino } from 'pino';
import { Outage } from '../../src/common/outage.js';
import { type Buckets, rateOf } from '../../src/limits/buckets.js';
import { MemoryBuckets } from '../../src/limits/buckets.memory.js';
import { RedisBuckets } from '../../src/limits/buckets.redis.js';
import { eventually } from '../setup/eventually.js';
import { type RedisServer, startRedis } from '../setup/redis.js';
import { bucketsSuite } from './buckets.suite.js';

const SECOND = 1_000_000;

describe('in the process', () => {
  bucketsSuite(async (perMinute) => new MemoryBuckets(rateOf(perMinute)));

  test('by a moved clock: one token every step, and all of them after a minute', async () => {
    let clock = 5;
    const buckets = new MemoryBuckets(rateOf(60), () => clock);
    const taken = async (times: number) => {
      let sum = 0;
      for (let i = 0; i < times; i++) sum += Number((await buckets.take('a')).isTaken);
      return sum;
    };
    expect(await taken(100)).toBe(60);
    clock += SECOND - 1;
    expect(await taken(5)).toBe(0);
    clock += 1;
    expect(await taken(5)).toBe(1);
    clock += 10 * SECOND;
    expect(await taken(50)).toBe(10);
    clock += 3600 * SECOND;
    expect(await taken(100)).toBe(60);
  });

  test('what is full again is forgotten, and of too many the longest silent', async () => {
    let clock = 0;
    const buckets = new MemoryBuckets(rateOf(60), () => clock);
    for (let i = 0; i < 500; i++) await buckets.take(`a${i}`);
    expect(buckets.size).toBe(500);
    clock += SECOND;
    await buckets.take('b');
    expect(buckets.size).toBe(1);
    for (let i = 0; i < 100_100; i++) await buckets.take(`c${i}`);
    expect(buckets.size).toBe(100_000);
    expect(await buckets.take('c100099')).toEqual({ isTaken: true, fullIn: 2 * SECOND });
    expect(await buckets.take('c0')).toEqual({ isTaken: true, fullIn: SECOND });
  });
});

describe('on Redis', () => {
  let redis: RedisServer;
  beforeAll(async () => {
    redis = await startRedis();
  });
  afterAll(() => redis.close());

  const outage = new Outage(pino({ level: 'silent' }), 'Redis', 'nothing');
  /** As every process does. */
  const open = async (perMinute: number): Promise<Buckets> => {
    const buckets = new RedisBuckets(redis.url, rateOf(perMinute), outage);
    await eventually(
      () =>
        buckets.take('first').then(
          () => true,
          () => false,
        ),
      (isReady) => isReady,
    );
    return buckets;
  };

  bucketsSuite(open);

  test('a bucket is one key without a name in it, that goes by itself when it is full', async () => {
    await redis.command('FLUSHALL');
    const [one, other] = [await open(600), await open(600)];
    await redis.command('FLUSHALL');
    for (let i = 0; i < 5; i++) for (const buckets of [one, other]) await buckets.take('user:alice');
    expect(await redis.command('DBSIZE')).toBe(':1');
    const key = (await redis.command('KEYS', '*')).split('\r\n')[2]!;
    expect(key).toMatch(/^limit:[\w-]{43}$/);
    const left = Number((await redis.command('PTTL', key)).slice(1));
    expect(left).toBeLessThanOrEqual(1000);
    await eventually(
      () => redis.command('EXISTS', key),
      (there) => there === ':0',
    );
    one.close();
    other.close();
  });

  test('a script that Redis has forgotten is sent again', async () => {
    const buckets = await open(600);
    await redis.command('SCRIPT', 'FLUSH');
    expect((await buckets.take('again')).isTaken).toBe(true);
    buckets.close();
  });

  test('a clock of Redis that was set back keeps nobody out for longer than a filling', async () => {
    const buckets = await open(60);
    await buckets.take('early');
    const keys = (await redis.command('KEYS', '*')).split('\r\n').filter((line) => line.startsWith('limit:'));
    for (const key of keys) await redis.command('SET', key, '9007199254740991');
    const { isTaken, fullIn } = await buckets.take('early');
    expect(isTaken).toBe(false);
    expect(fullIn).toBeLessThanOrEqual(rateOf(60).whole);
    buckets.close();
  });
});
