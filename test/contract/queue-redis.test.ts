import { SERVICE_KEY, type TestApp } from '../setup/app.js';
import { eventually } from '../setup/eventually.js';
import { ask, startJobApp } from '../setup/job-rooms.js';
import { type RedisServer, startRedis } from '../setup/redis.js';
import { type QueueUnderTest, queueSuite } from './queue.suite.js';

let redis: RedisServer;
beforeAll(async () => {
  redis = await startRedis();
});
afterAll(() => redis.close());

const queue: QueueUnderTest = {
  environment: () => ({ REDIS_URL: redis.url }),
  wipe: async () => void (await redis.command('FLUSHALL')),
  interrupt: async () => {
    await redis.stop();
    await redis.start();
  },
  leftovers: async () => Number((await redis.command('DBSIZE')).slice(1)),
};

describe('on Redis', () => queueSuite(queue));

describe('with Redis away', () => {
  let app: TestApp;
  beforeAll(async () => {
    await redis.stop();
    app = await startJobApp({ REDIS_URL: redis.url });
  });
  afterAll(() => app.close());

  const health = async (path: string) => app.api.get(path);

  test('it starts, does jobs, and says that Redis is down until it is there', async () => {
    for (const path of ['/health', '/health/ready'])
      expect(await health(path)).toMatchObject({
        status: 200,
        body: { status: 'degraded', dependencies: { postgres: { status: 'up' }, redis: { status: 'down' } } },
      });
    const id = await ask(app, { steps: 2 });
    await eventually(
      () => app.api.service(SERVICE_KEY).get(`/jobs/${id}`),
      ({ body }) => body.state === 'succeeded',
    );
    await redis.start();
    await eventually(
      () => health('/health'),
      ({ body }) => body.status === 'ok' && body.dependencies.redis.status === 'up',
    );
  });
});
