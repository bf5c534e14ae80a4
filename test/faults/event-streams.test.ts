import { setTimeout as pause } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { SERVICE_KEY } from '../setup/app.js';
import { createDatabase, type TestDatabase } from '../setup/database.js';
import { eventually } from '../setup/eventually.js';
import { type RedisServer, startRedis } from '../setup/redis.js';
import { type Service, startService } from '../setup/service.js';
import { openStream, type StreamEvent } from '../setup/sse.js';

const [READERS, WRITERS, SESSIONS, USERS] = [200, 16, 40, 10];
const WRITING_MS = 20_000;

let database: TestDatabase;
let redis: RedisServer;
let services: Service[];

const ownerOf = (session: number) => `user-${session % USERS}`;
const sessionsOf = (user: string) =>
  Array.from({ length: SESSIONS }, (_, i) => i).filter((i) => ownerOf(i) === user);

beforeAll(async () => {
  [database, redis] = [await createDatabase(), await startRedis()];
  const environment = { DATABASE_URL: database.url, REDIS_URL: redis.url, LOG_LEVEL: 'silent' };
  services = [await startService(environment), await startService(environment)];
});

afterAll(async () => {
  for (const service of services) service.kill('SIGTERM');
  await Promise.all(services.map(({ exited }) => exited));
  await redis.close();
  await database.drop();
});

/** Any process that is alive, and if there is one, another than this. */
let alive: Service[];
const any = () => alive[Math.floor(Math.random() * alive.length)]!;

/** Follows a stream as an EventSource does, dropping and resuming at random, at whichever process. */
class Follower {
  readonly events: StreamEvent[] = [];
  resumed = 0;
  private isDone = false;

  constructor(
    private readonly path: string,
    private readonly headers: Record<string, string>,
    private lastId: string,
  ) {}

  async run(): Promise<void> {
    for (; !this.isDone; this.resumed++) {
      const stream = await openStream(
        any().url + this.path,
        { ...this.headers, 'last-event-id': this.lastId },
        (event) => {
          this.events.push(event);
          this.lastId = event.id;
        },
      ).catch(() => null);
      if (stream === null) await pause(100);
      else {
        if (stream.status !== 200) {
          await stream.ended;
          throw new Error(`${stream.status} ${JSON.stringify(stream.body)}`);
        }
        const stay = new AbortController();
        const long = this.isSettled ? 600_000 : 300 + Math.random() * 6_000;
        this.leave = () => stay.abort();
        if (this.isDone) stay.abort();
        await Promise.race([stream.ended, pause(long, null, { signal: stay.signal }).catch(() => undefined)]);
        stay.abort();
        stream.leave();
        await stream.ended;
      }
    }
  }

  /** Nothing is written any more: it stays where it is. */
  isSettled = false;
  leave: () => void = () => undefined;

  stop(): void {
    this.isDone = true;
    this.leave();
  }
}

test('200 readers that drop and resume beside 16 writers and a killed process see everything once, in order', async () => {
  alive = [...services];
  for (let i = 0; i < SESSIONS; i++) {
    const { status } = await any()
      .api.as(ownerOf(i))
      .post('/sessions', { session_id: `s-${i}`, title: 'T' });
    expect(status).toBe(201);
  }
  const published: { event_id: string; aggregate_id: string; seq: number }[] = [];
  const listener = new Redis(redis.url);
  listener.on('message', (_, text) => published.push(JSON.parse(text)));
  await listener.subscribe('events:session');

  const { body: first } = await any().api.service(SERVICE_KEY).get('/events?limit=1');
  const ofSessions = Array.from({ length: READERS }, (_, i) => {
    const session = i % SESSIONS;
    return new Follower(`/sessions/s-${session}/events`, { 'x-user-id': ownerOf(session) }, '0');
  });
  const callers: Record<string, string>[] = [
    { 'x-api-key': SERVICE_KEY },
    { 'x-api-key': SERVICE_KEY },
    { 'x-user-id': 'user-3' },
  ];
  const ofAll = callers.map(
    (headers: Record<string, string>) => new Follower('/events', headers, first.position),
  );
  const followers = [...ofSessions, ...ofAll];
  const following = Promise.all(followers.map((follower) => follower.run()));

  let isWriting = true;
  let written = 0;
  const write = async (writer: number) => {
    for (let i = 0; isWriting; i++) {
      const session = Math.floor(Math.random() * SESSIONS);
      for (;;) {
        const answer = await any()
          .api.as(ownerOf(session))
          .post(
            `/sessions/s-${session}/messages`,
            { role: 'user', content: 'x' },
            { 'idempotency-key': `${writer}/${i}` },
          )
          .catch(() => null);
        if (answer !== null && answer.status < 300) break;
        if (answer !== null && answer.status !== 503) throw new Error(`${answer.status} ${answer.text}`);
        await pause(50);
      }
      written++;
    }
  };
  const writing = Promise.all(Array.from({ length: WRITERS }, (_, writer) => write(writer)));
  await pause(WRITING_MS / 2);
  const [victim] = services as [Service, Service];
  alive = services.slice(1);
  victim.kill('SIGKILL');
  await victim.exited;
  await pause(WRITING_MS / 2);
  isWriting = false;
  await writing;

  const { rows } = await database.pool.query(
    `select s.id, e.seq::int, e.event_id, e.event_type from events e join sessions s on s.key = e.aggregate_key order by e.tx, e.position`,
  );
  for (const follower of followers) follower.isSettled = true;
  const told = (id: string) => rows.filter((row) => row.id === id).map((row) => row.event_id);
  const expected = (_: Follower, i: number) =>
    i < READERS
      ? told(`s-${i % SESSIONS}`)
      : rows
          .slice(1)
          .filter(({ id }) => i < READERS + 2 || sessionsOf('user-3').includes(Number(id.slice(2))))
          .map((row) => row.event_id);
  const wanted = followers.map(expected);
  await eventually(
    async () => followers.map(({ events }, i) => events.length - wanted[i]!.length),
    (missing) => missing.every((count) => count >= 0),
  ).catch((error: unknown) => console.log(String(error)));
  for (const [i, { events }] of followers.entries()) {
    const seen = events.map(({ data }) => data.event_id);
    if (JSON.stringify(seen) !== JSON.stringify(wanted[i]))
      expect({ i, seen }).toEqual({ i, seen: wanted[i] });
  }
  for (let i = 0; i < SESSIONS; i++) {
    const seqs = rows.filter(({ id }) => id === `s-${i}`).map(({ seq }) => seq);
    expect(seqs).toEqual(seqs.map((_, n) => n + 1));
  }
  // published at least once, each session's in order of its first time
  await eventually(
    async () => new Set(published.map(({ event_id }) => event_id)).size,
    (size) => size >= written,
  );
  const firstTimes = [...new Map(published.map((event) => [event.event_id, event])).values()];
  for (let i = 0; i < SESSIONS; i++) {
    const seqs = firstTimes.filter(({ aggregate_id }) => aggregate_id === `s-${i}`).map(({ seq }) => seq);
    expect(seqs).toEqual(seqs.map((_, n) => seqs[0]! + n));
  }
  const resumed = followers.reduce((sum, follower) => sum + follower.resumed, 0);
  for (const follower of followers) follower.stop();
  await following;
  listener.disconnect();
  console.log(
    `${written} appends, ${rows.length} events, ${followers.length} readers that resumed ${resumed} times, one of two processes killed: each saw its events once, in order; ${published.length} published`,
  );
}, 150_000);
