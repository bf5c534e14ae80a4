import { setTimeout as pause } from 'node:timers/promises';
import { Database } from '../../src/database/database.js';
import { EventBus } from '../../src/events/event-bus.js';
import { SERVICE_KEY, startApp, type TestApp } from '../setup/app.js';
import { eventually } from '../setup/eventually.js';
import { openStream, type Stream } from '../setup/sse.js';

export interface BusUnderTest {
  environment(): NodeJS.ProcessEnv;
  /** ends every connection to it, or the whole server, and lets it come back */
  interrupt(app: TestApp): Promise<void>;
}

/** What holds whatever tells other processes of events: one process that is written to, two that are read from. */
export function busSuite({ environment, interrupt }: BusUnderTest): void {
  let writer: TestApp;
  let readers: TestApp[];
  const heard = [0, 0];
  beforeAll(async () => {
    writer = await startApp(environment());
    readers = [await startApp(environment(), writer), await startApp(environment(), writer)];
    for (const [i, { app }] of readers.entries())
      app.get(EventBus, { strict: false }).listen(() => {
        heard[i]!++;
      });
  });
  afterAll(async () => {
    await Promise.all(readers.map((reader) => reader.close()));
    await writer.close();
  });

  const alice = () => writer.api.as('alice');
  const make = async (): Promise<string> => (await alice().post('/sessions', { title: 'T' })).body.session_id;
  const say = async (id: string) => {
    const { status } = await alice().post(`/sessions/${id}/messages`, { role: 'user', content: 'x' });
    expect(status).toBe(201);
  };
  /** Until what is written here has been heard of by both. */
  const whenHeard = async (id: string) => {
    const before = [...heard];
    await eventually(
      async () => {
        await say(id);
        return [...heard];
      },
      (now) => now.every((count, i) => count > before[i]!),
    );
  };

  test('what is written by one process is heard of by the others', async () => {
    const id = await make();
    await whenHeard(id);
    await whenHeard(id);
  });

  test('what is not committed is told to nobody', async () => {
    const own = { count: 0 };
    writer.app.get(EventBus, { strict: false }).listen(() => {
      own.count++;
    });
    const id = await make();
    await whenHeard(id);
    const before = own.count;
    const database = writer.app.get(Database, { strict: false });
    const insert = {
      text: `insert into events (aggregate_key, seq, event_type, payload, tx, created_at) values (-1, 1, 'x', '{}', 1, now())`,
    };
    const failed = database.run(async () => {
      await database.query(insert);
      await database.query(insert);
    });
    await expect(failed).rejects.toThrow();
    // the bus is told together with those who listen here
    expect(own.count).toBe(before);
  });

  test('it comes back after its connections were lost', async () => {
    const id = await make();
    for (let i = 0; i < 3; i++) {
      await interrupt(writer);
      await whenHeard(id);
    }
  }, 60_000);

  test('while it comes and goes under load, every reader is told of everything once, in order', async () => {
    const ids = await Promise.all(Array.from({ length: 8 }, make));
    const streams: [id: string, stream: Stream][] = [];
    for (const { url } of readers)
      for (const id of ids)
        streams.push([
          id,
          await openStream(`${url}/sessions/${id}/events`, { 'x-user-id': 'alice', 'last-event-id': '0' }),
        ]);
    const all = await openStream(`${readers[0]!.url}/events`, { 'x-api-key': SERVICE_KEY });
    let isDone = false;
    let times = 0;
    const disturbing = (async () => {
      for (; !isDone; times++) {
        await interrupt(writer);
        await pause(300);
      }
    })();
    const rounds = 60;
    await Promise.all(
      ids.map(async (id) => {
        for (let i = 0; i < rounds; i++) await say(id);
      }),
    );
    isDone = true;
    await disturbing;
    const numbers = Array.from({ length: rounds + 1 }, (_, i) => i + 1);
    for (const [id, stream] of streams) {
      await stream.until(rounds + 1);
      expect(stream.events.map(({ data }) => data.seq)).toEqual(numbers);
      expect(stream.events.every(({ data }) => data.aggregate_id === id)).toBe(true);
    }
    const said = () => all.events.filter(({ type }) => type === 'message.appended');
    await eventually(
      async () => said().filter(({ data }) => ids.includes(data.aggregate_id)).length,
      (count) => count >= ids.length * rounds,
    );
    for (const id of ids)
      expect(said().flatMap(({ data }) => (data.aggregate_id === id ? data.seq : []))).toEqual(
        numbers.slice(1),
      );
    for (const [, stream] of streams) stream.leave();
    all.leave();
    console.log(
      `${ids.length * rounds} events told to ${streams.length + 1} readers; the bus went away ${times} times`,
    );
  }, 120_000);
}
