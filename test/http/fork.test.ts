import { TotalsService } from '../../src/stats/totals.service.js';
import type { Api } from '../setup/api.js';
import { startApp } from '../setup/app.js';
import { api, app, service, useApp, user } from './suite.js';
import {
  append,
  at,
  atOnce,
  create,
  eventsOf,
  expectOk,
  expectRefused,
  fresh,
  read,
  runOut,
  share,
  UUID_V7,
} from './support.js';

useApp();

// biome-ignore lint/suspicious/noExplicitAny: rows of answers of every shape
type Row = any;

const fork = async (by: Api, id: string, body: object = {}): Promise<Row> =>
  expectOk(await by.post(at(id, '/fork'), body), 201);
const history = async (by: Api, id: string): Promise<Row[]> =>
  expectOk(await by.get(at(id, '/messages?limit=1000'))).messages;
const said = (role: string, content: string, rest: object = {}) => ({ role, content, ...rest });
const tool = (content: string) => said('tool', content, { tool_call_id: 'c' });
const call = {
  role: 'assistant',
  tool_calls: [{ id: 'c', type: 'function', function: { name: 'f', arguments: '{"a":1}' } }],
};

/** A session of four messages: one that makes the title, a call, its answer, a closing. */
async function conversation(by: Api, fields: object = {}): Promise<string> {
  const { session_id } = await create(by, fields);
  const messages = [
    said('user', 'Book a room. Now.', { name: 'Al', metadata: { n: 1 }, model: 'm-1' }),
    { ...call, tokens_used: 10, cost_usd: 0.0000000001 },
    tool('done'),
    said('assistant', 'Booked.', { tokens_used: 5, cost_usd: 0.1, model: 'm-2' }),
  ];
  await append(by, session_id, { messages });
  return session_id;
}

/** A session with so many messages, made past the service. */
async function long(by: Api, count: number): Promise<string> {
  const { session_id } = await create(by);
  await app.database.pool.query(
    `with s as (update sessions set message_count = $2, last_message_at = now() where id = $1 returning key)
     insert into messages (session_key, seq, message_id, role, content, message_type, metadata, bytes, created_at)
     select key, n, 'm-' || n, 'user', to_json(repeat('lorem ipsum ', 20)), 'chat', '{}', 250, now()
     from s, generate_series(1, $2::int) n`,
    [session_id, count],
  );
  return session_id;
}

describe('history', () => {
  it('is copied whole: ids, seq, links, times, figures, and where each is from', async () => {
    const id = await conversation(api);
    const answer = await api.post(at(id, '/fork'));
    const copy = expectOk(answer, 201);
    expect(copy).toMatchObject({
      ...{ session_id: expect.stringMatching(UUID_V7), user_id: user, status: 'active', version: 1 },
      ...{ message_count: 4, total_tokens: 15, total_cost: 0.1000000001, title: 'Book a room.' },
      lineage: { kind: 'fork', session_id: id, up_to_seq: 4 },
    });
    expect(answer.headers.get('location')).toBe(at(copy.session_id));
    expect(answer.headers.get('etag')).toBe('"1"');
    expect(await read(api, copy.session_id)).toEqual(copy);
    const source = await history(api, id);
    expect(await history(api, copy.session_id)).toEqual(
      source.map(({ message_id, seq, ...rest }) => ({
        ...{ ...rest, message_id, seq, session_id: copy.session_id },
        origin: { session_id: id, message_id, seq },
      })),
    );
  });

  it('goes no further than asked', async () => {
    const id = await conversation(api);
    const copy = await fork(api, id, { up_to_seq: 2 });
    expect(copy).toMatchObject({ message_count: 2, total_tokens: 10, total_cost: 0.0000000001 });
    expect(copy.lineage.up_to_seq).toBe(2);
    expect((await history(api, copy.session_id)).map(({ seq }) => seq)).toEqual([1, 2]);
  });

  it('may be left out', async () => {
    const copy = await fork(api, await conversation(api, { tags: ['a'] }), { up_to_seq: 0 });
    expect(copy).toMatchObject({ message_count: 0, total_tokens: 0, total_cost: 0, tags: ['a'] });
    expect((await append(api, copy.session_id, said('user', 'Hello'))).seq).toBe(1);
  });

  it('has no seq beyond the last: 422 that names it', async () => {
    const answer = await api.post(at(await conversation(api), '/fork'), { up_to_seq: 5 });
    expectRefused(answer, 422, 'invalid');
    expect(answer.body.errors).toEqual([{ pointer: '/up_to_seq', detail: 'must be at most 4' }]);
  });

  it.each([-1, 0.5, '2', null, []])('has no seq %j', async (up_to_seq) => {
    const answer = await api.post(at(await conversation(api), '/fork'), { up_to_seq });
    expectRefused(answer, 422, 'invalid');
    expect(answer.body.errors[0].pointer).toBe('/up_to_seq');
  });

  it('that is redacted stays so, and what is redacted later stays in the copy', async () => {
    const id = await conversation(api);
    const [first, second, , last] = await history(api, id);
    for (const { message_id } of [first, second])
      expectOk(await api.delete(at(id, `/messages/${message_id}`)));
    const { session_id } = await fork(api, id);
    expectOk(await api.delete(at(id, `/messages/${last.message_id}`)));
    const copied = await history(api, session_id);
    expect(copied.map(({ redacted_at }) => redacted_at !== null)).toEqual([true, true, false, false]);
    expect(copied[0]).toMatchObject({ content: null, name: null, metadata: {} });
    expect(copied[1].tool_calls).toEqual([{ id: 'c' }]);
    expect(copied[3].content).toBe('Booked.');
    expect((await read(api, session_id)).title).toBeNull();
  });

  it('names its immediate source when a fork is forked', async () => {
    const { session_id: first } = await fork(api, await conversation(api));
    const { session_id, lineage } = await fork(api, first);
    expect(lineage.session_id).toBe(first);
    expect((await history(api, session_id)).map(({ origin }) => origin.session_id)).toEqual(
      Array(4).fill(first),
    );
  });

  it('goes on: appends, answers to old calls, and none of it in the source', async () => {
    const id = await conversation(api);
    const { session_id } = await fork(api, id, { up_to_seq: 2 });
    expect(await append(api, session_id, tool('another'))).toMatchObject({ seq: 3, tool_call_seq: 2 });
    expectRefused(await api.post(at(session_id, '/messages'), tool('again')), 409, 'tool_call_answered');
    await append(api, session_id, call);
    expect(await append(api, session_id, tool('more'))).toMatchObject({ seq: 5, tool_call_seq: 4 });
    const unknown = said('tool', 'x', { tool_call_id: 'd' });
    expectRefused(await api.post(at(session_id, '/messages'), unknown), 422, 'unknown_tool_call');
    expect(await history(api, id)).toHaveLength(4);
  });

  it('has no calls of messages that were not copied', async () => {
    const { session_id } = await fork(api, await conversation(api), { up_to_seq: 1 });
    expectRefused(await api.post(at(session_id, '/messages'), tool('x')), 422, 'unknown_tool_call');
  });

  it('takes an Idempotency-Key that the source was sent for a message of its own', async () => {
    const { session_id: id } = await create(api);
    const key = { 'idempotency-key': 'turn-1' };
    const hello = said('user', 'Hello');
    const sent = expectOk(await api.post(at(id, '/messages'), hello, key), 201);
    const { session_id } = await fork(api, id);
    const answer = await api.post(at(session_id, '/messages'), hello, key);
    expect(expectOk(answer, 201)).toMatchObject({ seq: 2, origin: null });
    expect(answer.body.message_id).not.toBe(sent.message_id);
    expectOk(await api.post(at(session_id, '/messages'), hello, key), 200);
    expectOk(await api.post(at(id, '/messages'), hello, key), 200);
  });

  it('answers a known message_id as the source would', async () => {
    const { session_id: id } = await create(api);
    await append(api, id, said('user', 'Hello', { message_id: 'mine' }));
    const { session_id } = await fork(api, id);
    const again = await api.post(at(session_id, '/messages'), said('user', 'Hello', { message_id: 'mine' }));
    expect(expectOk(again)).toMatchObject({ seq: 1 });
    const other = await api.post(at(session_id, '/messages'), said('user', 'Bye', { message_id: 'mine' }));
    expectRefused(other, 409, 'message_id_conflict');
  });
});

describe('what goes along', () => {
  const ABOUT = {
    ...{ title: 'T', description: 'D', session_type: 'workflow', agent_id: 'agent', tags: ['a', 'b'] },
    ...{ context: { z: 1, a: [null] }, metadata: { k: 1e30 }, configuration: { model: 'm' } },
  };

  it('is what the session is about; not who it is for, what runs it, and when it ends', async () => {
    const { session_id } = await create(api, {
      ...ABOUT,
      ...{ client_id: 'web', timeout_minutes: 60, heartbeat_timeout_seconds: 60, auto_recover: true },
      ...{ runtime_backend: 'local', runtime_metadata: { pod: 1 }, checkpoint: { s: 1 } },
      conversation_data: { x: 1 },
    });
    await share(app, session_id, fresh('friend'), 'viewer');
    const copy = await fork(api, session_id);
    expect(copy).toMatchObject({
      ...ABOUT,
      ...{ client_id: null, timeout_minutes: null, expires_at: null, heartbeat_timeout_seconds: null },
      ...{ auto_recover: false, runtime_backend: 'unknown', runtime_metadata: {}, checkpoint: null },
      ...{ conversation_data: {}, legal_hold: false },
    });
    expect(JSON.stringify(copy.context)).toBe('{"z":1,"a":[null]}');
    expect(expectOk(await api.get(at(copy.session_id, '/checkpoints'))).checkpoints).toEqual([]);
    const { rows } = await app.database.pool.query(
      'select 1 from members where session_key = (select key from sessions where id = $1)',
      [copy.session_id],
    );
    expect(rows).toEqual([]);
  });

  it('is memory: what is live, as entries of its own', async () => {
    const { session_id: id } = await create(api);
    const place = (session: string, key = '') => at(session, `/memory${key}`);
    const kept = { value: { z: 1, a: 2 }, memory_type: 't', metadata: { m: 1 }, importance: 0.25 };
    await api.put(place(id, '/k'), { value: 'before' });
    expectOk(await api.put(place(id, '/k'), { ...kept, ttl_seconds: 600 }));
    expectOk(await api.post(place(id), { memory_type: 'fact', content: 'keyless' }), 201);
    expectOk(await api.put(place(id, '/gone'), { value: 1 }), 201);
    await app.database.pool.query(
      `update memory_entries set expires_at = now() - interval '1 second' where name = 'gone'
       and space_key = (select key from sessions where id = $1)`,
      [id],
    );
    const viewer = fresh('viewer');
    await share(app, id, viewer, 'viewer');
    const his = app.api.as(viewer);
    const { session_id } = await fork(his, id);
    const [source, keyless] = expectOk(await api.get(place(id))).entries;
    const { entries } = expectOk(await his.get(place(session_id)));
    expect(entries).toMatchObject([
      { ...kept, key: 'k', version: 1, created_by: user, expires_at: source.expires_at, session_id },
      { key: null, content: 'keyless', memory_type: 'fact', version: 1 },
    ]);
    expect(entries).toHaveLength(2);
    expect(entries[0].memory_id).not.toBe(source.memory_id);
    expect(entries[1].memory_id).not.toBe(keyless.memory_id);
    expect(expectOk(await his.get(place(session_id, '/k/history'))).entries).toEqual([]);
    expectOk(await his.put(place(session_id, '/k'), { value: 2 }));
    expect(expectOk(await api.get(place(id, '/k'))).value).toEqual(kept.value);
    expectOk(await his.delete(place(session_id, '/k')), 204);
    expect(expectOk(await his.put(place(session_id, '/k'), { value: 3 }), 201).version).toBe(3);
  });

  it('is memory up to its limit', async () => {
    const { session_id: id } = await create(api);
    await app.database.pool.query(
      `with s as (select key from sessions where id = $1),
       space as (insert into memory_spaces select key, 10000, 0 from s)
       insert into memory_entries (space_key, memory_id, name, memory_type, value, content, metadata, importance, version,
         bytes, created_at, updated_at)
       select key, gen_random_uuid(), 'k' || n, 't', '1', '1', '{}', 0.5, 1, 3, now(), now()
       from s, generate_series(1, 10000) n`,
      [id],
    );
    const { session_id } = await fork(api, id);
    expectRefused(await api.put(at(session_id, '/memory/more'), { value: 1 }), 409, 'memory_full');
    expectOk(await api.delete(at(session_id, '/memory/k7')), 204);
    expectOk(await api.put(at(session_id, '/memory/more'), { value: 1 }), 201);
  });

  it('is told in the copy alone', async () => {
    const id = await conversation(api, { agent_id: 'agent' });
    const before = await eventsOf(api, id);
    const { session_id } = await fork(api, id, { up_to_seq: 3 });
    expect(await eventsOf(api, id)).toEqual(before);
    expect(
      (await eventsOf(api, session_id)).map(({ event_type, seq, payload }) => [seq, event_type, payload]),
    ).toEqual([
      [1, 'session.created', { agent_id: 'agent', session_type: 'conversation', runtime_backend: 'unknown' }],
      [2, 'session.forked', { session_id: id, up_to_seq: 3 }],
    ]);
    await append(api, session_id, said('user', 'x'));
    expect((await eventsOf(api, session_id)).at(-1)).toMatchObject({
      seq: 3,
      event_type: 'message.appended',
    });
  });

  it.each(['archive', 'pause', 'complete', 'crash'])(
    'comes of a session after /%s, and is active',
    async (verb) => {
      const id = await conversation(api);
      expectOk(await api.post(at(id, `/${verb}`)));
      expect(await fork(api, id)).toMatchObject({ status: 'active', message_count: 4, archived_at: null });
    },
  );

  it('has the time-out of any new session', async () => {
    const other = await startApp({ SESSION_TTL_MINUTES: '90' }, app);
    try {
      const id = await conversation(api);
      const copy = await fork(other.api.as(user), id);
      expect(copy.timeout_minutes).toBe(90);
      expect(copy.expires_at).not.toBeNull();
    } finally {
      await other.close();
    }
  });
});

describe('the title', () => {
  const titled = async (body: object) => {
    const { session_id } = await create(api);
    await append(api, session_id, said('system', 'Be kind.'));
    await append(api, session_id, said('user', 'A secret. Really.', { message_id: 'made-it' }));
    return fork(api, session_id, body);
  };
  const redact = async (id: string) => expectOk(await api.delete(at(id, '/messages/made-it')));

  it('made from a message goes when that is redacted in the copy', async () => {
    const { session_id, title } = await titled({});
    expect(title).toBe('A secret.');
    await redact(session_id);
    expect((await read(api, session_id)).title).toBeNull();
  });

  it('made from a message that is not copied is not copied either: the copy makes its own', async () => {
    const { session_id, title } = await titled({ up_to_seq: 1 });
    expect(title).toBeNull();
    await append(api, session_id, said('user', 'Another way.'));
    expect((await read(api, session_id)).title).toBe('Another way.');
  });

  it.each([{ title: 'Given' }, { name: 'Given' }])('given as %j stays', async (body) => {
    const { session_id, title } = await titled(body);
    expect(title).toBe('Given');
    await redact(session_id);
    expect((await read(api, session_id)).title).toBe('Given');
  });

  it('is refused when too long', async () => {
    const { session_id } = await create(api);
    expectRefused(await api.post(at(session_id, '/fork'), { title: 'x'.repeat(501) }), 422, 'invalid');
  });
});

describe('whose it is', () => {
  it('a viewer’s own', async () => {
    const id = await conversation(api);
    const viewer = fresh('viewer');
    await share(app, id, viewer, 'viewer');
    const his = app.api.as(viewer);
    const { session_id, user_id } = await fork(his, id);
    expect(user_id).toBe(viewer);
    expectOk(await his.patch(at(session_id), { title: 'Mine' }));
    expectRefused(await api.get(at(session_id)), 404, 'session_not_found');
  });

  it('for a service the owner’s, or the agent’s', async () => {
    expect(await fork(service, await conversation(api))).toMatchObject({ user_id: user });
    const { session_id } = await create(service, { agent_id: 'robot' });
    expect(await fork(service, session_id)).toMatchObject({ user_id: null, agent_id: 'robot' });
  });

  it('for a service that names a user, that user’s', async () => {
    const id = await conversation(api);
    expect(await fork(service.as(user), id)).toMatchObject({ user_id: user });
    expectRefused(await service.as(fresh()).post(at(id, '/fork')), 404, 'session_not_found');
  });

  it('nobody’s who does not see the source, whatever he asks for', async () => {
    const id = await conversation(api);
    const stranger = app.api.as(fresh('stranger'));
    for (const body of [{}, { up_to_seq: 99 }, { session_id: id }, { nonsense: 1 }, []])
      expectRefused(await stranger.post(at(id, '/fork'), body), 404, 'session_not_found');
  });

  it('is not made of what is deleted or expired', async () => {
    const id = await conversation(api);
    const other = await conversation(api, { timeout_minutes: 5 });
    expectOk(await api.delete(at(id)));
    await runOut(app.database, other);
    for (const gone of [id, other]) expectRefused(await api.post(at(gone, '/fork')), 404, 'session_deleted');
  });
});

describe('session_id', () => {
  it('may be chosen', async () => {
    const session_id = fresh('chosen');
    expect(await fork(api, await conversation(api), { session_id })).toMatchObject({ session_id });
    expect(await read(api, session_id)).toMatchObject({ message_count: 4 });
  });

  it('that is taken is refused, and nothing is left', async () => {
    const id = await conversation(api);
    const theirs = await conversation(app.api.as(fresh('other')));
    const mine = await conversation(api);
    for (const session_id of [id, theirs, mine])
      expectRefused(await api.post(at(id, '/fork'), { session_id }), 409, 'session_id_taken');
    expect(expectOk(await api.get('/api/v1/sessions')).sessions).toHaveLength(2);
  });

  it('of a deleted session of one’s own is given up to the copy', async () => {
    const old = await conversation(api);
    expectOk(await api.delete(at(old)));
    const copy = await fork(api, await conversation(api), { session_id: old, up_to_seq: 1 });
    expect(copy).toMatchObject({ session_id: old, message_count: 1 });
  });

  it('that is reserved is refused', async () => {
    const id = await conversation(api);
    expectRefused(await api.post(at(id, '/fork'), { session_id: 'compare' }), 422, 'reserved_id');
  });
});

describe('with an Idempotency-Key', () => {
  const key = { 'idempotency-key': 'fork-1' };

  it('is made once; a replay shows it as it is now', async () => {
    const id = await conversation(api);
    const made = expectOk(await api.post(at(id, '/fork'), { up_to_seq: 2 }, key), 201);
    await append(api, made.session_id, said('user', 'x'));
    await append(api, id, said('user', 'x'));
    const again = await api.post(at(id, '/fork'), { up_to_seq: 2 }, key);
    expect(expectOk(again, 201)).toMatchObject({ session_id: made.session_id, message_count: 3 });
    expect(again.headers.get('idempotency-replayed')).toBe('true');
    expect(again.headers.get('location')).toBe(at(made.session_id));
    expectRefused(await api.post(at(id, '/fork'), { up_to_seq: 1 }, key), 422, 'key_reused');
  });

  it('is made once by two at the same moment', async () => {
    const id = await conversation(api);
    const answers = await atOnce(8, () => api.post(at(id, '/fork'), {}, key));
    expect(new Set(answers.map((answer) => expectOk(answer, 201).session_id)).size).toBe(1);
    expect(expectOk(await api.get('/api/v1/sessions')).sessions).toHaveLength(2);
  });

  it('is another for another source', async () => {
    const [one, two] = [await conversation(api), await conversation(api)];
    const copies = [await api.post(at(one, '/fork'), {}, key), await api.post(at(two, '/fork'), {}, key)];
    expect(copies.map((answer) => expectOk(answer, 201).lineage.session_id)).toEqual([one, two]);
  });
});

describe('while others write', () => {
  it('is exactly 1 to n', async () => {
    const { session_id: id } = await create(api);
    await append(api, id, said('user', 'first'));
    let stopped = false;
    const writers = atOnce(4, async () => {
      while (!stopped) await append(api, id, { messages: [call, tool('y'), said('user', 'z')] });
    });
    const copies = await atOnce(4, async () => {
      const made: Row[] = [];
      for (let i = 0; i < 6; i++) made.push(await fork(api, id));
      return made;
    });
    stopped = true;
    await writers;
    for (const { session_id, message_count, lineage } of copies.flat()) {
      expect(message_count % 3).toBe(1);
      expect(lineage.up_to_seq).toBe(message_count);
      const { rows } = await app.database.pool.query(
        `select count(*)::int as count, min(seq)::int as least, max(seq)::int as greatest from messages
         where session_key = (select key from sessions where id = $1)`,
        [session_id],
      );
      expect(rows[0]).toEqual({ count: message_count, least: 1, greatest: message_count });
      expect((await append(api, session_id, said('user', 'on'))).seq).toBe(message_count + 1);
    }
  });

  it('has nothing that was redacted before it began', async () => {
    const ids = Array.from({ length: 40 }, (_, index) => `m-${index}`);
    const { session_id: id } = await create(api);
    await append(api, id, {
      messages: ids.map((message_id) => said('user', `text ${message_id}`, { message_id })),
    });
    const acknowledged = new Set<string>();
    const redacting = (async () => {
      for (const message_id of ids) {
        expectOk(await api.delete(at(id, `/messages/${message_id}`)));
        acknowledged.add(message_id);
      }
    })();
    const seen = await atOnce(3, async () => {
      const found: { before: Set<string>; id: string }[] = [];
      while (acknowledged.size < ids.length) {
        const before = new Set(acknowledged);
        found.push({ before, id: (await fork(api, id)).session_id });
      }
      return found;
    });
    await redacting;
    for (const { before, id: copy } of seen.flat()) {
      const unredacted = (await history(api, copy)).filter(({ content }) => content !== null);
      expect(unredacted.filter(({ message_id }) => before.has(message_id))).toEqual([]);
    }
  });

  it('is of one moment: a redaction that comes between waits for it', async () => {
    const { session_id: id } = await create(api);
    await append(api, id, said('user', 'A secret.', { message_id: 'm' }));
    const session_id = fresh('wanted');
    const holder = await app.database.pool.connect();
    // an id that may yet be taken: the fork has read its source, and waits
    await holder.query('begin');
    await holder.query('update sessions set id = $1 where id = $2', [
      session_id,
      (await create(api)).session_id,
    ]);
    const pause = () => new Promise((resolve) => setTimeout(resolve, 300));
    const forking = fork(api, id, { session_id });
    await pause();
    const redacting = api.delete(at(id, '/messages/m'));
    await pause();
    await holder.query('rollback');
    holder.release();
    expect((await forking).title).toBe('A secret.');
    expectOk(await redacting);
    expect((await history(api, session_id))[0].content).toBe('A secret.');
    expect((await read(api, id)).title).toBeNull();
  });

  it('shows nothing before it is whole', async () => {
    const id = await long(api, 5_000);
    const session_id = fresh('hidden');
    const forked = fork(api, id, { session_id });
    let isDone = false;
    forked.finally(() => {
      isDone = true;
    });
    while (!isDone) {
      const { body } = await api.get(at(session_id));
      expect(body.message_count ?? body.code).toEqual(body.code ? 'session_not_found' : 5_000);
    }
    await forked;
  });
});

describe('totals', () => {
  const prove = () => app.app.get(TotalsService, { strict: false }).prove();
  const figures = async (by: Api) => {
    const { folded, recounted } = await prove();
    expect(folded).toEqual(recounted);
    const { total_sessions, total_messages, total_tokens, total_cost } = expectOk(
      await by.get('/api/v1/sessions/stats'),
    );
    return [total_sessions, total_messages, total_tokens, total_cost];
  };

  it.each(['a user', 'a service'])('of %s count no message twice', async (who) => {
    const by = who === 'a user' ? api : service;
    const [sessions, messages, tokens, cost] = await figures(by);
    const added = (s: number, m: number, t: number, c: number) => [
      ...[sessions! + s, messages! + m, tokens! + t, expect.closeTo(cost! + c, 9)],
    ];
    const id = await conversation(api);
    expect(await figures(by)).toEqual(added(1, 4, 15, 0.1));
    const { session_id } = await fork(api, id, { up_to_seq: 2 });
    const { session_id: third } = await fork(api, session_id);
    expect(await figures(by)).toEqual(added(3, 4, 15, 0.1));
    await append(api, session_id, said('user', 'own', { message_id: 'own', tokens_used: 7, cost_usd: 1 }));
    expect(await figures(by)).toEqual(added(3, 5, 22, 1.1));
    expect(expectOk(await api.get(at(session_id, '/summary')))).toMatchObject({
      ...{ message_count: 3, total_tokens: 17, total_cost: 1.0000000001 },
    });
    const [, copied] = await history(api, session_id);
    const report = { tokens_used: 1000, cost_usd: 5 };
    expectOk(await api.patch(at(session_id, `/messages/${copied.message_id}`), report));
    expect(await figures(by)).toEqual(added(3, 5, 22, 1.1));
    expect(await read(api, session_id)).toMatchObject({ total_tokens: 1007, total_cost: 6 });
    expectOk(await api.patch(at(session_id, '/messages/own'), { tokens_used: 8 }));
    expectOk(await api.delete(at(session_id, `/messages/${copied.message_id}`)));
    expect(await figures(by)).toEqual(added(3, 5, 23, 1.1));
    expectOk(await api.delete(at(third)));
    expectOk(await api.delete(at(id)));
    expect(await figures(by)).toEqual(added(1, 1, 8, 1));
  });

  it('are what the messages say that are no copies', async () => {
    const { rows } = await app.database.pool.query(
      `select s.id from sessions s where
         (s.copied_messages, s.copied_tokens, s.copied_cost) is distinct from
         (select (count(*), coalesce(sum(tokens_used), 0)::bigint, coalesce(sum(cost_usd), 0)::numeric(20,10))
          from messages m where m.session_key = s.key and m.origin is not null)`,
    );
    expect(rows).toEqual([]);
  });
});

test('a history of 10,000 messages is copied whole', async () => {
  const copy = await fork(api, await long(api, 10_000));
  expect(copy.message_count).toBe(10_000);
});

test('a redaction answers how many copies there still are', async () => {
  const id = await long(api, 2);
  const [first, second] = [await fork(api, id), await fork(api, id)];
  const [{ message_id }] = expectOk(await api.get(at(id, '/messages'))).messages;
  const redact = async (session: string) =>
    expectOk(await api.delete(at(session, `/messages/${message_id}`))).copies;
  expect(await redact(first.session_id)).toBe(0);
  expect(await redact(id)).toBe(1);
  expectOk(await api.delete(at(second.session_id, '?permanent=true')), 204);
  expect(await redact(id)).toBe(0);
});
