import { setTimeout as pause } from 'node:timers/promises';
import { describe, expect, test } from '@jest/globals';
import { positionText } from '../../src/feed/position.js';
import type { Api } from '../setup/api.js';
import { SERVICE_KEY, startApp } from '../setup/app.js';
import { eventually } from '../setup/eventually.js';
import { FakeIssuer } from '../setup/fake-issuer.js';
import { openStream, type Stream } from '../setup/sse.js';
import { api, app, service, useApp, user } from './suite.js';
import { append, at, create, eventsOf, expectOk, expectRefused, fresh, share } from './support.js';

useApp();

const EVENTS = '/api/v1/events';
const SERVICE = { 'x-api-key': SERVICE_KEY };
const say = { role: 'user', content: 'x' };
const opened: Stream[] = [];

/** A stream of the caller's; it is left when the test is over. */
async function open(path: string, headers: Record<string, string> = { 'x-user-id': user }): Promise<Stream> {
  const stream = await openStream(app.url + path, headers);
  opened.push(stream);
  return stream;
}
const ofSession = (id: string, headers?: Record<string, string>) => open(at(id, '/events'), headers);
const seqs = ({ events }: Stream) => events.map(({ id }) => Number(id));
const numbers = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => from + i);
const refused = async (stream: Stream) => {
  await stream.ended;
  return { status: stream.status, code: stream.body?.code };
};
/** Until the stream has been opened: what is then told comes. */
const whenOpen = (stream: Stream) =>
  eventually(
    async () => stream.comments,
    (comments) => comments > 0,
  );

const sql = async (text: string, values: unknown[] = []) =>
  (await app.database.pool.query(text, values)).rows;

afterEach(() => {
  for (const stream of opened.splice(0)) stream.leave();
});

describe('of a session', () => {
  test('tells what happens from now on, as the pages tell it', async () => {
    const { session_id: id } = await create(api, { title: 'T' });
    await append(api, id, say);
    const stream = await ofSession(id);
    expect(stream).toMatchObject({ status: 200, type: 'text/event-stream' });
    await whenOpen(stream);
    await append(api, id, say);
    expectOk(await api.post(at(id, '/pause')));
    const events = await stream.until(3);
    const pages = await eventsOf(api, id);
    expect(events).toEqual(
      pages.slice(2).map((event) => ({ type: event.event_type, id: String(event.seq), data: event })),
    );
    expect(events.map(({ type }) => type)).toEqual(['message.appended', 'session.updated', 'session.paused']);
  });

  test('goes on after `after`, or after `Last-Event-ID`, which counts for more', async () => {
    const { session_id: id } = await create(api, { title: 'T' });
    for (let i = 0; i < 250; i++) await append(api, id, say);
    const all = await open(at(id, '/events?after=0'));
    await all.until(251);
    expect(seqs(all)).toEqual(numbers(1, 251));
    const rest = await open(at(id, '/events?after=0'), { 'x-user-id': user, 'last-event-id': '200' });
    await rest.until(51);
    await append(api, id, say);
    await rest.until(52);
    await all.until(252);
    expect([seqs(all), seqs(rest)]).toEqual([numbers(1, 252), numbers(201, 252)]);
  });

  test('one that is left before its first event has a place to go on from', async () => {
    const { session_id: id } = await create(api, { title: 'T' });
    const stream = await ofSession(id);
    await whenOpen(stream);
    stream.leave();
    await append(api, id, say);
    const next = await ofSession(id, { 'x-user-id': user, 'last-event-id': stream.lastId! });
    await next.until(1);
    expect(seqs(next)).toEqual([2]);
  });

  test.each([
    ['of no stream', () => 'x', 400, 'invalid_cursor'],
    ['beyond what was told', () => '99', 400, 'invalid_cursor'],
    ['of the stream of all', (position: string) => position, 400, 'invalid_cursor'],
  ])('an id %s is refused', async (_, idFrom, status, code) => {
    const { session_id: id } = await create(api);
    const { position } = expectOk(await api.get(EVENTS));
    const headers = { 'x-user-id': user, 'last-event-id': idFrom(position) };
    expect(await refused(await ofSession(id, headers))).toEqual({ status, code });
  });

  test('a page after what has not been told is refused too', async () => {
    const { session_id: id } = await create(api);
    expectOk(await api.get(at(id, '/events?after=1')));
    expectRefused(await api.get(at(id, '/events?after=2')), 400, 'invalid_cursor');
  });

  test.each([
    ['text/event-stream', true],
    ['application/json;q=0.9, Text/Event-Stream; charset=utf-8; q=0.1', true],
    ['application/json, text/event-stream;q=0', false],
    ['text/event-stream; q=0.000', false],
    ['text/event-stream-of-another-kind', false],
    ['*/*', false],
    ['text/*', false],
    ['', false],
  ])('Accept: %s asks for it: %s', async (accept, isAsked) => {
    const { session_id: id } = await create(api);
    for (const path of [at(id, '/events'), EVENTS]) {
      const stream = await open(path, { 'x-user-id': user, accept });
      expect(stream.type.startsWith('text/event-stream')).toBe(isAsked);
    }
  });

  test('has no pages', async () => {
    const { session_id: id } = await create(api);
    for (const query of ['limit=5', 'cursor=x'])
      expect(await refused(await open(at(id, `/events?${query}`)))).toEqual({ status: 422, code: 'invalid' });
  });

  test('a HEAD of it ends at once', async () => {
    const { session_id: id } = await create(api);
    const answer = await fetch(app.url + at(id, '/events'), {
      method: 'HEAD',
      headers: { accept: 'text/event-stream', 'x-user-id': user },
    });
    expect(answer.status).toBe(200);
  });
});

describe('of all', () => {
  test('tells what the caller may see, each with a place to go on from', async () => {
    const stream = await open(EVENTS);
    await whenOpen(stream);
    const other = app.api.as(fresh());
    const { session_id: mine } = await create(api, { title: 'T' });
    const { session_id: theirs } = await create(other, { title: 'T' });
    await share(app, theirs, user, 'viewer');
    await append(other, theirs, say);
    await append(api, mine, say);
    expectOk(await api.put(`/users/${user}/memory/k`, { value: 1 }), 201);
    await create(other);
    await append(api, mine, say);
    const told = await eventually(
      async () => stream.events.map(({ data }) => `${data.event_type} ${data.aggregate_id}`),
      (seen) => seen.filter((event) => event === `message.appended ${mine}`).length === 2,
    );
    // what lies before the sharing was passed by, or not yet
    expect([...new Set(told)].filter((event) => event !== `session.created ${theirs}`).sort()).toEqual(
      [
        ...[`session.created ${mine}`, `session.shared ${theirs}`, `message.appended ${theirs}`],
        ...[`message.appended ${mine}`, `memory.saved ${user}`],
      ].sort(),
    );
    for (const [i, { id }] of stream.events.entries()) {
      const rest = stream.events.slice(i + 1).map(({ data }) => data);
      const page = expectOk(await api.get(`${EVENTS}?after=${id}`));
      expect(page.events.slice(0, rest.length)).toEqual(rest);
      const next = await open(EVENTS, { 'x-user-id': user, 'last-event-id': id });
      await next.until(rest.length);
      expect(next.events.map(({ data }) => data)).toEqual(rest);
    }
  });

  test('a service sees everything, also what is gone for good; a user does not', async () => {
    const [all, his] = [await open(EVENTS, SERVICE), await open(EVENTS)];
    await Promise.all([all, his].map(whenOpen));
    const { session_id: id } = await create(api, { title: 'T' });
    expectOk(await api.delete(at(id, '?permanent=true')), 204);
    await create(api, { title: 'last' });
    const isOver = (stream: Stream) => async () =>
      stream.events.filter(({ type }) => type === 'session.created').length;
    await eventually(isOver(his), (count) => count >= 1);
    const purged = await eventually(
      async () => all.events.filter(({ data }) => data.aggregate_id === id).map(({ type }) => type),
      (types) => types.includes('session.purged'),
    );
    expect(purged.at(-1)).toBe('session.purged');
    expect(his.events.map(({ type }) => type)).not.toContain('session.purged');
  });

  test('a place that it has not come to is refused, by its pages too', async () => {
    const last = expectOk(await api.get(EVENTS)).position;
    expectOk(await api.get(`${EVENTS}?after=${last}`));
    const place = positionText([2 ** 50, 1]);
    const stream = await open(EVENTS, { 'x-user-id': user, 'last-event-id': place });
    expect(await refused(stream)).toEqual({ status: 400, code: 'invalid_cursor' });
    expectRefused(await api.get(`${EVENTS}?after=${place}`), 400, 'invalid_cursor');
  });

  test('an id of a session’s stream is refused', async () => {
    const { session_id: id } = await create(api);
    const stream = await open(EVENTS, { 'x-user-id': user, 'last-event-id': '1' });
    expect(await refused(stream)).toEqual({ status: 400, code: 'invalid_cursor' });
    expect(await refused(await open(`${EVENTS}?after=1`))).toEqual({ status: 400, code: 'invalid_cursor' });
    expect(id).toBeDefined();
  });
});

describe('access', () => {
  const shared = async (reader: string): Promise<[Api, string]> => {
    const owner = app.api.as(fresh());
    const { session_id: id } = await create(owner, { title: 'T' });
    await share(app, id, reader, 'viewer');
    return [owner, id];
  };
  const revoke = (id: string) =>
    sql('delete from members using sessions s where s.key = session_key and s.id = $1', [id]);

  test('a session that is not seen is not found; without a credential it is 401', async () => {
    const { session_id: id } = await create(app.api.as(fresh()));
    expect(await refused(await ofSession(id))).toEqual({ status: 404, code: 'session_not_found' });
    expect(await refused(await ofSession(id, {}))).toEqual({ status: 401, code: 'unauthenticated' });
    expect(await refused(await open(EVENTS, {}))).toEqual({ status: 401, code: 'unauthenticated' });
  });

  test('a session stream ends with the right to read it, and the stream of all goes on without it', async () => {
    const [owner, id] = await shared(user);
    const [one, all] = [await ofSession(id), await open(EVENTS)];
    await Promise.all([one, all].map(whenOpen));
    await append(owner, id, say);
    await one.until(1);
    await eventually(
      async () => all.events.at(-1)?.type,
      (type) => type === 'message.appended',
    );
    expectOk(await owner.delete(at(id, `/share/${user}`)), 204);
    await append(owner, id, say);
    await one.ended;
    const { session_id: mine } = await create(api);
    await eventually(
      async () => all.events.at(-1)!.data.aggregate_id,
      (last) => last === mine,
    );
    expect(seqs(one)).toEqual([3]);
    expect(all.events.map(({ data }) => data.event_type).slice(-2)).toEqual([
      'message.appended',
      'session.created',
    ]);
    expect(await refused(await ofSession(id))).toEqual({ status: 404, code: 'session_not_found' });
  });

  test('it ends at the next sign of life, if nothing is told', async () => {
    const [, id] = await shared(user);
    const stream = await ofSession(id);
    await whenOpen(stream);
    await revoke(id);
    await stream.ended;
    expect(stream.events).toEqual([]);
  }, 60_000);

  test('of a deleted session it goes on; when that is gone for good, or its id is another’s, it ends', async () => {
    const { session_id: id } = await create(api, { session_id: fresh('s'), title: 'T' });
    const stream = await ofSession(id);
    await whenOpen(stream);
    expectOk(await api.delete(at(id)));
    expect((await stream.until(2)).map(({ type }) => type)).toEqual(['session.updated', 'session.deleted']);
    const again = await ofSession(id, { 'x-user-id': user, 'last-event-id': '1' });
    await again.until(2);
    await create(api, { session_id: id, title: 'another' });
    const next = await ofSession(id);
    await whenOpen(next);
    expectOk(await api.delete(at(id, '?permanent=true')), 204);
    await next.ended;
    await Promise.all([stream.ended, again.ended]);
  }, 60_000);
});

describe('signs of life', () => {
  test('come in a quarter of a minute, and move the place of the stream of all on', async () => {
    const { session_id: id } = await create(api, { title: 'T' });
    // what was told just now may yet be told by a stream of all that begins now
    await eventually(
      async () => expectOk(await api.get(EVENTS)).events.length,
      (count) => count === 1,
    );
    const [one, all] = [await ofSession(id), await open(EVENTS)];
    await Promise.all([one, all].map(whenOpen));
    const first = all.lastId;
    for (let i = 0; i < 5; i++) await create(app.api.as(fresh()), { title: 'of others' });
    await eventually(
      async () => Math.min(one.comments, all.comments),
      (comments) => comments >= 2,
    );
    expect([one.events, all.events]).toEqual([[], []]);
    expect(all.lastId).not.toBe(first);
    expect(one.lastId).toBe('1');
  }, 60_000);
});

describe('bounds', () => {
  test('a user has at most a hundred streams; when he leaves one he may have another', async () => {
    const { session_id: id } = await create(api);
    const streams = await Promise.all(numbers(1, 101).map(() => ofSession(id)));
    const [tooMany] = streams.filter(({ status }) => status !== 200);
    expect(streams.filter(({ status }) => status === 200)).toHaveLength(100);
    expect(await refused(tooMany!)).toEqual({ status: 503, code: 'too_many_streams' });
    streams.find(({ status }) => status === 200)!.leave();
    await eventually(
      () => ofSession(id),
      ({ status }) => status === 200,
    );
  });

  test('a reader who takes nothing is cut off, holds little memory, and can go on', async () => {
    const { session_id: id } = await create(api, { title: 'T' });
    // more than all buffers between us could hold
    const many = 120_000;
    await sql(
      `with s as (update sessions set event_seq = event_seq + $2, event_tx = event_tx where id = $1 returning key, event_tx)
       insert into events (aggregate_key, seq, event_type, payload, tx, created_at)
       select key, n + 1, 'session.updated', jsonb_build_object('updates', array[repeat('x', 300)]), event_tx, now()
       from s, generate_series(1, $2::int) n`,
      [id, many],
    );
    const lazy = await open(at(id, '/events?after=0'));
    await lazy.until(1);
    lazy.pause();
    const before = process.memoryUsage.rss();
    // half a minute, and a test's patience
    while ((await metric('event_streams_open')) > 0) await pause(200);
    const after = process.memoryUsage.rss();
    lazy.resume();
    await lazy.ended;
    const taken = lazy.events.length;
    console.log(
      `cut off after ${taken} of ${many + 1} events; the process grew by ${Math.round((after - before) / 2 ** 20)} MiB`,
    );
    expect(taken).toBeLessThan(many);
    expect(seqs(lazy)).toEqual(numbers(1, taken));
    const rest = await ofSession(id, { 'x-user-id': user, 'last-event-id': lazy.lastId! });
    const enough = 2_000;
    await rest.until(enough);
    expect(seqs(rest).slice(0, enough)).toEqual(numbers(taken + 1, taken + enough));
  }, 120_000);

  const metric = async (name: string) =>
    Number(new RegExp(`^${name} (\\d+)$`, 'm').exec((await app.api.get('/metrics')).text)?.[1]);
});

describe('an age', () => {
  test('what was removed for its age is 410 on both streams and in pages; numbering goes on', async () => {
    const own = await startApp();
    try {
      const alice = own.api.as('alice');
      const { session_id: id } = await create(alice, { title: 'T' });
      for (let i = 0; i < 4; i++) await append(alice, id, say);
      const start = expectOk(await alice.get(`${EVENTS}?limit=1`)).position;
      await own.database.pool.query(
        `update events set created_at = now() - interval '31 days' where seq <= 3`,
      );
      const sweep = async () => {
        const { Sweeps } = await import('../../src/jobs/sweeps.js');
        await own.app.get(Sweeps).run();
      };
      await eventually(
        async () => {
          await sweep();
          return (await own.database.pool.query('select seq from events order by seq')).rows;
        },
        (rows) => rows.length === 2,
      );
      const headers = { 'x-user-id': 'alice' };
      const get = (path: string, lastId?: string) =>
        openStream(own.url + path, { ...headers, ...(lastId && { 'last-event-id': lastId }) });
      expect(await refused(await get(at(id, '/events?after=0')))).toEqual({
        status: 410,
        code: 'events_gone',
      });
      expect(await refused(await get(at(id, '/events'), '2'))).toEqual({ status: 410, code: 'events_gone' });
      expect(await refused(await get(EVENTS, start))).toEqual({ status: 410, code: 'events_gone' });
      expectRefused(await alice.get(at(id, '/events?after=2')), 410, 'events_gone');
      expectRefused(await alice.get(`${EVENTS}?after=${start}`), 410, 'events_gone');
      expect(expectOk(await alice.get(at(id, '/events'))).events.map((e: { seq: number }) => e.seq)).toEqual([
        4, 5,
      ]);
      const rest = await get(at(id, '/events'), '3');
      await append(alice, id, say);
      await rest.until(3);
      expect(seqs(rest)).toEqual([4, 5, 6]);
      rest.leave();
    } finally {
      await own.close();
    }
  });
});

test('both end when the token that opened them does', async () => {
  const issuer = await FakeIssuer.start();
  const own = await startApp(issuer.environment);
  try {
    // clocks may differ by half a minute: it is good for some seconds more
    const exp = Math.floor(Date.now() / 1000) - 25;
    const headers = { authorization: `Bearer ${await issuer.token('alice', { exp })}` };
    const { session_id: id } = await create(own.api.with(headers), { title: 'T' });
    const streams = await Promise.all(
      [at(id, '/events'), EVENTS].map((path) => openStream(own.url + path, headers)),
    );
    expect(streams.map(({ status }) => status)).toEqual([200, 200]);
    await Promise.all(streams.map(({ ended }) => ended));
    expect(Date.now()).toBeGreaterThanOrEqual((exp + 30) * 1000);
    expect(await refused(await openStream(own.url + EVENTS, headers))).toMatchObject({ status: 401 });
  } finally {
    await own.close();
    await issuer.close();
  }
}, 60_000);

test('all end with their process, also those that take nothing', async () => {
  const own = await startApp({}, app);
  const { session_id: id } = await create(api);
  const streams = await Promise.all(
    [at(id, '/events'), EVENTS].map((path) => openStream(own.url + path, { 'x-user-id': user })),
  );
  await Promise.all(streams.map(whenOpen));
  streams[0]!.pause();
  await own.close();
  streams[0]!.resume();
  await Promise.all(streams.map(({ ended }) => ended));
  expect(service).toBeDefined();
});
