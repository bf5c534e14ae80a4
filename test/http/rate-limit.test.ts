import type { Answer, Api } from '../setup/api.js';
import { SERVICE_KEY, startApp, type TestApp } from '../setup/app.js';
import { createDatabase, type TestDatabase } from '../setup/database.js';
import { eventually } from '../setup/eventually.js';
import { FakeIssuer } from '../setup/fake-issuer.js';
import { type RedisServer, startRedis } from '../setup/redis.js';
import { type Service, startService } from '../setup/service.js';
import { at, atOnce, create, expectOk, expectRefused, fresh } from './support.js';

const SESSIONS = '/api/v1/sessions';
/** Of so few a minute one comes in every ten seconds. */
const LIMIT = 6;
const OTHER_KEY = 'other-service-key-0123456789';
const SERVICE_API_KEYS = `tests:${SERVICE_KEY},other:${OTHER_KEY}`;

const isAllowed = ({ status }: Answer) => status !== 429;

/** Asks so often, one after another; answers how many were let through and how many may have been. */
async function spend(
  times: number,
  ...apis: Api[]
): Promise<{ allowed: number; refused: Answer[]; most: number }> {
  const begun = performance.now();
  const answers: Answer[] = [];
  for (let i = 0; i < times; i++) answers.push(await apis[i % apis.length]!.get(SESSIONS));
  const most = LIMIT + Math.ceil(((performance.now() - begun) / 60_000) * LIMIT);
  const refused = answers.filter((answer) => !isAllowed(answer));
  return { allowed: times - refused.length, refused, most };
}

async function expectLimited(...apis: Api[]): Promise<void> {
  const { allowed, most } = await spend(LIMIT * 3, ...apis);
  expect(allowed).toBeGreaterThanOrEqual(LIMIT);
  expect(allowed).toBeLessThanOrEqual(most);
}

describe('in one process', () => {
  let app: TestApp;
  beforeAll(async () => {
    app = await startApp({ RATE_LIMIT_PER_MINUTE: String(LIMIT), SERVICE_API_KEYS });
  });
  afterAll(() => app.close());

  test('each answer tells what is left, and a refused one when to come again', async () => {
    const api = app.api.as(fresh());
    const first = await api.get(SESSIONS);
    expect(first.headers.get('ratelimit-policy')).toBe(`"caller";q=${LIMIT};w=60`);
    expect(first.headers.get('ratelimit')).toBe(`"caller";r=${LIMIT - 1};t=10`);
    const { refused } = await spend(LIMIT * 2, api);
    expectRefused(refused[0]!, 429, 'rate_limited');
    expect(refused[0]!.headers.get('ratelimit')).toMatch(/^"caller";r=0;t=(5\d|60)$/);
    const after = Number(refused[0]!.headers.get('retry-after'));
    expect(after).toBeGreaterThanOrEqual(1);
    expect(after).toBeLessThanOrEqual(10);
  });

  test('whoever waits as long as he is told is let in', async () => {
    const own = await startApp({ RATE_LIMIT_PER_MINUTE: '60' }, app);
    const api = own.api.as(fresh());
    const refused = await eventually(
      () => api.get(SESSIONS),
      ({ status }) => status === 429,
    );
    await new Promise((resolve) => setTimeout(resolve, Number(refused.headers.get('retry-after')) * 1000));
    expectOk(await api.get(SESSIONS));
    await own.close();
  });

  test('holds a request with a body before that is read, and it changes nothing', async () => {
    const user = fresh();
    const api = app.api.as(user);
    const { session_id: id } = await create(api);
    await spend(LIMIT * 2, api);
    const answer = await api.call('POST', at(id, '/messages'), { raw: '{' });
    expectRefused(answer, 429, 'rate_limited');
    expect(answer.headers.get('connection')).toBe('close');
    expectRefused(await api.patch(at(id), { title: 'x' }), 429, 'rate_limited');
    const { rows } = await app.database.pool.query('select version from sessions where id = $1', [id]);
    expect(Number(rows[0].version)).toBe(1);
  });

  test('counts what is refused later too, by whichever route and method', async () => {
    const user = fresh();
    const api = app.api.as(user);
    const answers = [
      await api.get(at('nothing')),
      await api.post(SESSIONS, { unheard_of: 1 }),
      await api.patch(at('nothing'), {}),
      await api.delete(at('nothing')),
      await api.get('/sessions?nonsense=1'),
      await fetch(app.url + SESSIONS, { method: 'HEAD', headers: { 'x-user-id': user } }),
    ];
    expect(answers.map(({ status }) => status)).toEqual([404, 422, 404, 404, 422, 200]);
    expect((await spend(LIMIT, api)).allowed).toBeLessThanOrEqual(1);
  });

  test('counts each user for himself', async () => {
    const user = fresh();
    await spend(LIMIT * 2, app.api.as(user));
    for (const other of [fresh(), `${user}x`, `service:tests`, `user:${user}`])
      expect(isAllowed(await app.api.as(other).get(SESSIONS))).toBe(true);
  });

  test('counts a service by its key, whomever it acts for and however the key is sent', async () => {
    const user = fresh();
    const key = app.api.service(OTHER_KEY);
    const ways = [key, key.as(user), key.as(fresh()), app.api.with({ authorization: `Bearer ${OTHER_KEY}` })];
    await expectLimited(...ways);
    for (const way of ways) expect(isAllowed(await way.as(fresh()).get(SESSIONS))).toBe(false);
    expectOk(await app.api.as(user).get(SESSIONS));
    expectOk(await app.api.service(SERVICE_KEY).get(SESSIONS));
  });

  test('does not count health, metrics, documentation, what has no caller and what is no route', async () => {
    const api = app.api.as(fresh());
    const open = [
      '/health',
      '/health/live',
      '/health/ready',
      '/metrics',
      '/openapi.json',
      '/docs',
      '/nothing',
    ];
    for (let i = 0; i < LIMIT; i++)
      for (const path of open) {
        const answer = await api.get(path);
        expect(isAllowed(answer)).toBe(true);
        expect(answer.headers.has('ratelimit')).toBe(false);
      }
    for (let i = 0; i < LIMIT * 2; i++) {
      expectRefused(await app.api.get(SESSIONS), 401, 'unauthenticated');
      expectRefused(await api.service('unknown-key-0123456789').post(SESSIONS, {}), 401, 'unknown_api_key');
      expect((await api.post('/nothing', {})).status).toBe(404);
    }
    await expectLimited(api);
  });

  test('many at once are no more', async () => {
    const api = app.api.as(fresh());
    const begun = performance.now();
    const answers = await atOnce(50, () => api.get(SESSIONS));
    const most = LIMIT + Math.ceil(((performance.now() - begun) / 60_000) * LIMIT);
    expect(answers.filter(isAllowed).length).toBeGreaterThanOrEqual(LIMIT);
    expect(answers.filter(isAllowed).length).toBeLessThanOrEqual(most);
  });

  test('without a limit nothing is said of one', async () => {
    const own = await startApp({}, app);
    const answer = await own.api.as(fresh()).get(SESSIONS);
    expectOk(answer);
    expect(answer.headers.has('ratelimit') || answer.headers.has('ratelimit-policy')).toBe(false);
    await own.close();
  });

  test('with tokens it is the user in them, whatever else he sends', async () => {
    const issuer = await FakeIssuer.start();
    const environment = { ...issuer.environment, RATE_LIMIT_PER_MINUTE: String(LIMIT) };
    const own = await startApp(environment, app);
    const user = fresh();
    const tokens = await atOnce(3, (i) => issuer.token(user, { jti: `${i}` }));
    const ways = tokens.map((token, i) =>
      own.api.with({ authorization: `Bearer ${token}`, 'x-user-id': `other-${i}` }),
    );
    await expectLimited(...ways);
    await own.close();
    await issuer.close();
  });
});

describe('with Redis', () => {
  let redis: RedisServer;
  let database: TestDatabase;
  let processes: Service[];
  beforeAll(async () => {
    redis = await startRedis();
    database = await createDatabase();
    const environment = {
      ...{ DATABASE_URL: database.url, REDIS_URL: redis.url, RATE_LIMIT_PER_MINUTE: String(LIMIT) },
      ...{ ROLE: 'api', DATABASE_POOL_SIZE: '4' },
    };
    processes = await Promise.all([startService(environment), startService(environment)]);
  });
  afterAll(async () => {
    for (const one of processes) one.kill('SIGTERM');
    await Promise.all(processes.map(({ exited }) => exited));
    await redis.close();
    await database.drop();
  });

  const as = (user: string) => processes.map(({ api }) => api.as(user));
  /** Redis hears of a request of each process. */
  const shared = () =>
    eventually(
      async () => {
        const user = fresh();
        const [one, other] = as(user);
        await one!.get(SESSIONS);
        return (await other!.get(SESSIONS)).headers.get('ratelimit');
      },
      (left) => left?.includes(`r=${LIMIT - 2};`) ?? false,
    );

  test('two processes count together', async () => {
    await shared();
    await expectLimited(...as(fresh()));
  });

  test('while it is away each counts alone, and together again when it is back', async () => {
    await shared();
    await redis.stop();
    const [one, other] = as(fresh());
    for (const api of [one!, other!])
      expect((await spend(LIMIT * 2, api)).allowed).toBeGreaterThanOrEqual(LIMIT);
    await redis.start();
    await shared();
    await expectLimited(...as(fresh()));
  });

  test('while it hangs every request is answered, and it counts again when it goes on', async () => {
    await shared();
    redis.pause();
    const user = fresh();
    const answers = await Promise.all(
      as(user).flatMap((api) => Array.from({ length: LIMIT * 2 }, () => api.get(SESSIONS))),
    );
    expect(answers.filter(isAllowed).length).toBeGreaterThanOrEqual(LIMIT * 2);
    expect(answers.filter((answer) => !isAllowed(answer)).length).toBeGreaterThan(0);
    redis.resume();
    await shared();
  });

  test('a service starts without it, and counts alone', async () => {
    await redis.stop();
    const late = await startService({
      ...{ DATABASE_URL: database.url, REDIS_URL: redis.url, RATE_LIMIT_PER_MINUTE: String(LIMIT) },
      ...{ ROLE: 'api', DATABASE_POOL_SIZE: '4' },
    });
    await expectLimited(late.api.as(fresh()));
    late.kill('SIGTERM');
    expect(await late.exited).toBe(0);
    await redis.start();
  });
});
