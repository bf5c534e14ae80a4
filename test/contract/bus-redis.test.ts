import { Redis } from 'ioredis';
import { SERVICE_KEY, startApp, type TestApp } from '../setup/app.js';
import { eventually } from '../setup/eventually.js';
import { startProxy } from '../setup/pg-proxy.js';
import { type RedisServer, startRedis } from '../setup/redis.js';
import { busSuite } from './bus.suite.js';

let redis: RedisServer;
beforeAll(async () => {
  redis = await startRedis();
});
afterAll(() => redis.close());

describe('on Redis', () =>
  busSuite({
    environment: () => ({ REDIS_URL: redis.url }),
    interrupt: async () => {
      await redis.stop();
      await redis.start();
    },
  }));

describe('the channels', () => {
  let proxy: Awaited<ReturnType<typeof startProxy>>;
  let listener: Redis;
  let apps: TestApp[];
  // biome-ignore lint/suspicious/noExplicitAny: events of every shape
  const heard: [channel: string, event: any][] = [];

  beforeAll(async () => {
    listener = new Redis(redis.url);
    listener.on('message', (channel, text) => heard.push([channel, JSON.parse(text)]));
    await listener.subscribe('events:session', 'events:user');
    proxy = await startProxy(redis.url);
    const first = await startApp({ REDIS_URL: proxy.url });
    apps = [first, await startApp({ REDIS_URL: proxy.url }, first)];
  });
  afterAll(async () => {
    await apps[1]!.close();
    await apps[0]!.close();
    listener.disconnect();
    // BullMQ's connection may have left one behind when it came back
    proxy.cut();
    await proxy.close();
  });

  const alice = (i = 0) => apps[i]!.api.as('alice');
  const told = async () =>
    (await apps[0]!.api.service(SERVICE_KEY).get('/events?limit=200')).body.events as object[];
  const whenAllHeard = (count: number) =>
    eventually(
      async () => new Set(heard.map(([, { event_id }]) => event_id)).size,
      (size) => size >= count,
    );

  test('have every event, as the streams tell it, in order, whichever process wrote it', async () => {
    const { body } = await alice().post('/sessions', { title: 'T', agent_id: 'a', session_type: 'task' });
    for (let i = 0; i < 10; i++)
      await alice(i % 2).post(`/sessions/${body.session_id}/messages`, { role: 'user', content: 'x' });
    await alice(1).post(`/sessions/${body.session_id}/pause`);
    await alice().put('/users/alice/memory/k', { value: 1 });
    await whenAllHeard(14);
    expect(heard.map(([, event]) => event)).toEqual(await told());
    expect(heard.map(([channel]) => channel)).toEqual(
      heard.map(([, { aggregate_type }]) => `events:${aggregate_type}`),
    );
    expect(heard[0]).toEqual([
      'events:session',
      expect.objectContaining({
        ...{ event_type: 'session.created', aggregate_type: 'session', aggregate_id: body.session_id },
        payload: { agent_id: 'a', session_type: 'task', runtime_backend: 'unknown' },
      }),
    ]);
    expect(heard.at(-1)![0]).toBe('events:user');
  });

  test('lose nothing while Redis cannot be reached, and go on in order', async () => {
    const { body } = await alice().post('/sessions', { title: 'T' });
    const before = (await told()).length;
    const say = () => alice().post(`/sessions/${body.session_id}/messages`, { role: 'user', content: 'x' });
    for (let round = 0; round < 3; round++) {
      proxy.retarget('redis://127.0.0.1:1');
      proxy.cut();
      for (let i = 0; i < 20; i++) expect((await say()).status).toBe(201);
      proxy.retarget(redis.url);
      for (let i = 0; i < 5; i++) expect((await say()).status).toBe(201);
    }
    await whenAllHeard(before + 75);
    const mine = heard.flatMap(([, { aggregate_id, seq }]) => (aggregate_id === body.session_id ? seq : []));
    const once = [...new Set(mine)];
    expect(once).toEqual(Array.from({ length: 76 }, (_, i) => i + 1));
    expect(heard.length).toBeLessThan(2 * (before + 75));
  }, 60_000);

  test('go on by another process when the one that publishes cannot reach Redis', async () => {
    const broken = await startProxy(redis.url);
    const first = await startApp({ REDIS_URL: broken.url });
    const write = async (app: TestApp): Promise<string> =>
      (await app.api.as('alice').post('/sessions', { title: 'T' })).body.session_id;
    const isHeard = (id: string) =>
      eventually(
        async () => heard.map(([, { aggregate_id }]) => aggregate_id),
        (ids) => ids.includes(id),
      );
    await isHeard(await write(first));
    const second = await startApp({ REDIS_URL: redis.url }, first);
    broken.retarget('redis://127.0.0.1:1');
    broken.cut();
    let isOver = false;
    const writing = (async () => {
      while (!isOver) await write(first);
    })();
    await isHeard(await write(second)).finally(() => {
      isOver = true;
    });
    await writing;
    await second.close();
    await first.close();
    broken.cut();
    await broken.close();
  }, 60_000);

  test('go on where they stood when the service comes again', async () => {
    const lone = await startApp({ ROLE: 'api' }, apps[0]);
    await apps[1]!.close();
    const at = await apps[0]!.database.pool.query(
      `update stream_positions set holder = gen_random_uuid(), held_until = now() + interval '3 seconds' where name = 'published' returning tx`,
    );
    expect(at.rowCount).toBe(1);
    const { body } = await lone.api.as('alice').post('/sessions', { title: 'T' });
    apps[1] = await startApp({ REDIS_URL: proxy.url }, apps[0]);
    await eventually(
      async () => heard.map(([, { aggregate_id }]) => aggregate_id),
      (ids) => ids.includes(body.session_id),
    );
    await lone.close();
  });
});
