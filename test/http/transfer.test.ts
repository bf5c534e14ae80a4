import { once } from 'node:events';
import { connect } from 'node:net';
import { Sweeps } from '../../src/jobs/sweeps.js';
import type { Api } from '../setup/api.js';
import { SERVICE_KEY } from '../setup/app.js';
import { eventually } from '../setup/eventually.js';
import {
  collectionLine,
  countersLine,
  document,
  type Line,
  linesIn,
  manifestOf,
  memoryLine,
  messageLine,
  ndjson,
  packed,
  pointLine,
  reportLine,
  sessionLine,
} from '../setup/export-files.js';
import { api, app, service, useApp, user } from './suite.js';
import { at, create, deriveAll, eventTypes, expectOk, expectRefused, fresh, read } from './support.js';

useApp({
  SERVICE_API_KEYS: `tests:${SERVICE_KEY},narrow[sessions:read sessions:write]:narrow-key-0123456789abcdef`,
});

const NDJSON = { 'content-type': 'application/x-ndjson' };
const importText = (
  by: Api,
  text: string | Uint8Array,
  query = '',
  headers: Record<string, string> = NDJSON,
) => by.call('POST', `/api/v1/sessions/import${query}`, { raw: text, headers });

/** A session with something of everything. */
async function full(): Promise<string> {
  const { session_id: id } = await create(api, {
    session_id: fresh('full'),
    ...{ description: 'About', tags: ['a', 'b'], context: { z: 1, a: [1, 2] }, metadata: { k: 'v' } },
    ...{ checkpoint: { step: 1 }, client_id: 'web', timeout_minutes: 600, heartbeat_timeout_seconds: 3600 },
  });
  expectOk(
    await api.post(at(id, '/messages'), {
      messages: [
        { role: 'user', content: 'What does it cost? More text.', tokens_used: 5, cost_usd: 0.0000000001 },
        { role: 'assistant', tool_calls: [{ id: 'c1', function: { arguments: '{"a": 1}' } }], model: 'm' },
        { role: 'tool', tool_call_id: 'c1', content: [{ type: 'text', text: 'é 😀 "quoted"\n' }] },
        { role: 'user', content: 'secret', message_id: 'redacted', name: 'x', metadata: { a: 1 } },
      ],
    }),
    201,
  );
  expectOk(await api.delete(at(id, '/messages/redacted')));
  expectOk(
    await api.post(at(id, '/checkpoints'), { checkpoint: { step: 2 }, metadata: { by: 'hand' } }),
    201,
  );
  for (const value of [1, { b: 2 }, null, 'text'])
    await api.put(at(id, '/memory/key'), { value, importance: 0.3 });
  expectOk(await api.post(at(id, '/memory'), { memory_type: 'note', content: 'noted' }), 201);
  await api.put(at(id, '/collection'), {
    vectors: { text: { size: 3, distance: 'cosine' }, image: { size: 2, distance: 'euclid' } },
    payload_indexes: { topic: 'keyword' },
  });
  expectOk(
    await api.put(at(id, '/points'), {
      points: [
        { id: 7, vector: { text: [0.1, 0.2, 0.3] }, payload: { topic: 'a', n: 1.5 } },
        { id: '18446744073709551615', vector: { image: [0.1, -1e-20] }, payload: {} },
        { id: '0190b5b0-6a3c-7c7e-9a53-6f1d3c1f2a10', vector: { text: [1, 0, 0], image: [3, 4] } },
      ],
    }),
  );
  const counted = { counters: { urls_processed: 5, failed: -1 }, metadata: { z: 1, a: [{}] } };
  expectOk(await api.put(at(id, '/stats'), counted));
  for (const [model_type, model_name] of [...['llm', 'embedding'].map((type) => [type, 'é']), ['llm', 'b']])
    expectOk(await api.put(at(id, '/model-usage'), { model_type, model_name, tokens: 7, cost_usd: 0.1 }));
  return id;
}

const exported = async (by: Api, id: string, query = '') => {
  const answer = await by.get(at(id, `/export${query}`));
  expect(answer.status).toBe(200);
  expect(answer.headers.get('content-type')).toBe('application/x-ndjson');
  return answer.text;
};

/** What may differ between an export and that of what it was brought in as. */
function withoutPlace(text: string) {
  const [{ session_id: _, exported_at: __, ...manifest }, { lineage: ___, ...session }, ...rest] =
    linesIn(text);
  return [manifest, session, ...rest.slice(0, -1), rest.at(-1).counts];
}

describe('out and in again', () => {
  it('brings back everything, under a new id where the old one is taken', async () => {
    const id = await full();
    const text = await exported(api, id);
    const answer = await importText(api, text);
    const { session, counts } = expectOk(answer, 201);
    expect(answer.headers.get('location')).toBe(`/api/v1/sessions/${session.session_id}`);
    expect(answer.headers.get('etag')).toBe('"1"');
    expect(session.session_id).not.toBe(id);
    expect(counts).toEqual({
      session: 1,
      checkpoint: 2,
      message: 4,
      memory: 2,
      memory_version: 3,
      collection: 1,
      point: 3,
      counters: 1,
      model_report: 3,
    });
    const stats = async (one: string) => {
      const {
        session_id: _,
        idle_seconds: __,
        collection: ___,
        ...rest
      } = expectOk(await api.get(at(one, '/stats')));
      return rest;
    };
    expect(await stats(session.session_id)).toEqual(await stats(id));
    expect(await stats(id)).toMatchObject({
      counters: { failed: -1, urls_processed: 5 },
      model_usage: { switches: 1, totals: [{ cost_usd: 0.1 }, { cost_usd: 0.1 }, { calls: 1 }] },
    });
    const again = await exported(api, session.session_id);
    expect(withoutPlace(again)).toEqual(withoutPlace(text));
    expect(linesIn(again)[1].lineage).toMatchObject({ kind: 'import', session_id: id, lineage: null });
    const twice = expectOk(await importText(api, again), 201).session;
    expect(twice.lineage).toMatchObject({ kind: 'import', session_id: session.session_id, lineage: null });
    const before = await read(api, id);
    const same = [
      'title',
      'status',
      'message_count',
      'total_tokens',
      'total_cost',
      'checkpoint',
      'created_at',
      'last_activity_at',
      'updated_at',
      'user_id',
    ];
    for (const name of same) expect([name, session[name]]).toEqual([name, before[name]]);
    expect(session).toMatchObject({ version: 1, collection: { status: 'ready' } });
    expect(await eventTypes(api, session.session_id)).toEqual([
      'session.created',
      'session.imported',
      'collection.created',
    ]);
    const list = async (one: string) => {
      const page = expectOk(await api.get(at(one, '/messages')));
      return page.messages.map(({ session_id: _, ...message }: { session_id: string }) => message);
    };
    expect(await list(session.session_id)).toEqual(await list(id));
  });

  it('goes on as a session does', async () => {
    const text = await exported(api, await full());
    const { session_id: id } = expectOk(await importText(api, text), 201).session;
    const next = expectOk(
      await api.post(at(id, '/messages'), { role: 'assistant', tool_calls: [{ id: 'c1' }] }),
      201,
    );
    expect(next.seq).toBe(5);
    expectOk(await api.post(at(id, '/messages'), { role: 'tool', tool_call_id: 'c1', content: 'x' }), 201);
    expectRefused(
      await api.post(at(id, '/messages'), { role: 'tool', tool_call_id: 'c1', content: 'x' }),
      409,
      'tool_call_answered',
    );
    expect(expectOk(await api.post(at(id, '/checkpoints'), { checkpoint: {} }), 201).n).toBe(3);
    expect(expectOk(await api.put(at(id, '/memory/key'), { value: 'now' })).version).toBe(5);
    expect(
      expectOk(await api.post(at(id, '/points/query'), { vector: [1, 0, 0], using: 'text', limit: 1 }))
        .points[0].id,
    ).toBe('0190b5b0-6a3c-7c7e-9a53-6f1d3c1f2a10');
    await deriveAll(app);
    const { hits } = expectOk(await api.post('/api/v1/search/messages', { query: 'cost', session_id: id }));
    expect(hits).toHaveLength(1);
    expectOk(await api.delete(at(id, '/messages/redacted')));
    await app.app.get(Sweeps).run();
  });
});

describe('what may go out', () => {
  it('is chosen by include, and a title stays with its message', async () => {
    const id = await full();
    const types = async (query: string) =>
      [...new Set(linesIn(await exported(api, id, query)).map(({ type }) => type))].slice(1, -1);
    expect(await types('?include=messages')).toEqual(['session', 'message']);
    expect(await types('?include=stats')).toEqual(['session', 'counters', 'model_report']);
    expect(await types('?include=points,memory')).toEqual([
      ...['session', 'memory', 'memory_version', 'collection', 'point'],
    ]);
    const [manifest, session] = linesIn(await exported(api, id, '?include=memory'));
    expect(manifest).toMatchObject({ format: 'session-service/export', version: 1, include: ['memory'] });
    expect(session).toMatchObject({ title: null, title_seq: null, checkpoint: null, checkpoint_n: 0 });
    expectRefused(await api.get(at(id, '/export?include=messages,x')), 422, 'invalid');
    expectRefused(await api.get(at(id, '/export?include=')), 422, 'invalid');
  });

  it('is one document with the same digest, if that is asked for', async () => {
    const id = await full();
    const text = await exported(api, id);
    const asked = { headers: { accept: 'application/json' } };
    const whole = expectOk(await api.get(at(id, '/export'), asked));
    const lines = linesIn(text);
    expect(whole.records).toEqual(lines.slice(1, -1));
    expect(whole.counts).toEqual(lines.at(-1).counts);
    expect(document([{ ...lines[0], exported_at: whole.exported_at }, ...whole.records]).sha256).toBe(
      whole.sha256,
    );
    for (const sent of [JSON.stringify(whole), JSON.stringify(whole, null, 2)]) {
      const answer = await importText(api, sent, '', { 'content-type': 'application/json; charset=utf-8' });
      const { session } = expectOk(answer, 201);
      expect(withoutPlace(await exported(api, session.session_id))).toEqual(withoutPlace(text));
    }
  });

  it('is too much for a document above 10,000 records', async () => {
    const { session_id: id } = await create(api);
    for (let n = 0; n < 10; n++) {
      const messages = Array.from({ length: 1000 }, () => ({ role: 'user', content: 'x' }));
      expectOk(await api.post(at(id, '/messages'), { messages }), 201);
    }
    const answer = await api.get(at(id, '/export'), { headers: { accept: 'application/json' } });
    expectRefused(answer, 413, 'use_ndjson');
    expect(linesIn(await exported(api, id))).toHaveLength(10_003);
  });

  it('is what the key may read: what is asked for by name is refused, the rest left out', async () => {
    const id = await full();
    const narrow = app.api.service('narrow-key-0123456789abcdef');
    expect(linesIn(await exported(narrow, id))[0].include).toEqual(['checkpoints', 'messages']);
    expectRefused(await narrow.get(at(id, '/export?include=memory')), 403, 'forbidden');
    const text = await exported(service, id);
    expectRefused(await importText(narrow, text), 403, 'forbidden');
  });

  it('has no more than there was when it began, and breaks off when the session is deleted for good', async () => {
    const { session_id: id } = await create(api);
    const content = 'x'.repeat(200_000);
    for (let n = 0; n < 60; n++)
      expectOk(await api.post(at(id, '/messages'), { role: 'user', content }), 201);
    const headers = { 'x-user-id': user, 'accept-encoding': 'identity' };
    const response = await fetch(`${app.url}${at(id, '/export')}`, { headers });
    const reader = response.body!.getReader();
    const first = await reader.read();
    expect(Buffer.from(first.value!).toString()).toContain('session-service/export');
    expectOk(await api.post(at(id, '/messages'), { role: 'user', content: 'later' }), 201);
    expect((await api.delete(at(id, '?permanent=true'))).status).toBe(204);
    const rest = async () => {
      let text = '';
      for (let chunk = await reader.read(); !chunk.done; chunk = await reader.read())
        text += Buffer.from(chunk.value).toString();
      return text;
    };
    await expect(rest()).rejects.toThrow();
  });

  it('is packed when the reader can unpack it', async () => {
    const id = await full();
    const headers = { 'x-user-id': user, 'accept-encoding': 'gzip' };
    const response = await fetch(`${app.url}${at(id, '/export')}`, { headers });
    expect(response.headers.get('content-encoding')).toBe('gzip');
    expect(linesIn(await response.text()).at(-1).type).toBe('end');
  });
});

describe('what may come in', () => {
  const small = (...lines: Line[]) => ndjson([manifestOf(fresh('small')), sessionLine(), ...lines]);

  it('is packed or not, in pieces of any size, with or without the last line end', async () => {
    const text = small(messageLine(1, { content: 'é😀'.repeat(1000) }), messageLine(2));
    const gzip = { 'content-type': 'application/gzip' };
    expectOk(await importText(api, packed(text), '', gzip), 201);
    expectOk(await importText(api, packed(text), '', { ...NDJSON, 'content-encoding': 'gzip' }), 201);
    expectOk(await importText(api, text.slice(0, -1)), 201);
    const whole = linesIn(text);
    const asDocument = JSON.stringify(document(whole.slice(0, -1)));
    const json = { 'content-type': 'application/json', 'content-encoding': 'gzip' };
    expectOk(await importText(api, packed(asDocument), '', json), 201);
    expect((await importText(api, text, '', { ...NDJSON, 'content-encoding': 'br' })).status).toBe(415);
  });

  it('belongs to the user who brings it, under the title and the id he asks for', async () => {
    const id = fresh('asked');
    const text = small(messageLine(1));
    const { session } = expectOk(await importText(api, text, `?session_id=${id}&title=Mine`), 201);
    expect(session).toMatchObject({ session_id: id, user_id: user, title: 'Mine', message_count: 1 });
    expectRefused(await importText(api, text, `?session_id=${id}`), 409, 'session_id_taken');
    expectRefused(await importText(api, text, '?session_id=import'), 422, 'reserved_id');
    expectRefused(await importText(api, text, '?user_id=somebody'), 403, 'forbidden');
    expect(expectOk(await importText(api, text, `?user_id=${user}`), 201).session.user_id).toBe(user);
  });

  it('has one id among all that are brought at once: one gets it, the others another, or 409 where it was asked for', async () => {
    for (let round = 0; round < 5; round++) {
      const id = fresh('same');
      const text = ndjson([manifestOf(id), sessionLine(), messageLine(1)]);
      const answers = await Promise.all(
        ['', '', `?session_id=${id}`, `?session_id=${id}`].map((query) => importText(api, text, query)),
      );
      const ids = answers.filter(({ status }) => status === 201).map(({ body }) => body.session.session_id);
      expect(ids.filter((one) => one === id)).toHaveLength(1);
      expect(new Set(ids).size).toBe(ids.length);
      for (const answer of answers) if (answer.status !== 201) expectRefused(answer, 409, 'session_id_taken');
      expect(answers.slice(0, 2).map(({ status }) => status)).toEqual([201, 201]);
    }
  });

  it('keeps of the metadata beside its counters what PUT would have kept', async () => {
    const counters = countersLine({ a: 1 }, { n: null, q: { z: null, y: [null] } });
    const { session } = expectOk(await importText(api, small(messageLine(1), counters)), 201);
    const stats = expectOk(await api.get(at(session.session_id, '/stats')));
    expect(stats.metadata).toEqual({ q: { y: [null] } });
  });

  it('keeps its owner when a service brings it, unless that names another', async () => {
    const owned = small();
    expect(expectOk(await importText(service, owned), 201).session.user_id).toBe('alice');
    expect(expectOk(await importText(service, owned, `?user_id=${user}`), 201).session.user_id).toBe(user);
    const nobodys = ndjson([manifestOf('nobodys'), sessionLine({ user_id: null })]);
    expectRefused(await importText(service, nobodys), 422, 'owner_required');
    const agents = ndjson([manifestOf('agents'), sessionLine({ user_id: null, agent_id: 'a' })]);
    expect(expectOk(await importText(service, agents), 201).session).toMatchObject({
      user_id: null,
      agent_id: 'a',
    });
  });

  it('is under a legal hold only when a service brings it', async () => {
    const held = ndjson([manifestOf(fresh()), sessionLine({ legal_hold: true })]);
    expectRefused(await importText(api, held), 403, 'forbidden');
    expect(expectOk(await importText(service, held), 201).session.legal_hold).toBe(true);
  });

  it('is what it was: archived, paused, crashed, with its times', async () => {
    const TIME = '2026-01-31T12:00:00.250Z';
    for (const [fields, status] of [
      [{ state: 'paused' }, 'paused'],
      [{ state: 'crashed', auto_recover: true }, 'crashed'],
      [{ state: 'completed', archived_at: TIME }, 'archived'],
    ] as const) {
      const { session } = expectOk(
        await importText(api, ndjson([manifestOf(fresh()), sessionLine({ ...fields, timeout_minutes: 5 })])),
        201,
      );
      expect(session).toMatchObject({ status, created_at: TIME, last_activity_at: TIME, updated_at: TIME });
      if (status === 'paused') expect(Date.parse(session.expires_at)).toBeGreaterThan(Date.now());
    }
  });

  it('counts copies where they were said', async () => {
    const origin = { session_id: 'other', message_id: 'm', seq: 1 };
    const text = small(
      messageLine(1, { tokens_used: 3, cost_usd: 0.5, origin }),
      messageLine(2, { tokens_used: 4, cost_usd: 0.25 }),
    );
    const { session } = expectOk(await importText(api, text), 201);
    expect(session).toMatchObject({ message_count: 2, total_tokens: 7, total_cost: 0.75 });
    const { rows } = await app.database.pool.query(
      'select copied_messages::int, copied_tokens::int, copied_cost::float8 from sessions where id = $1',
      [session.session_id],
    );
    expect(rows).toEqual([{ copied_messages: 1, copied_tokens: 3, copied_cost: 0.5 }]);
  });

  it('may be longer than BODY_LIMIT_MB', async () => {
    const lines = Array.from({ length: 12 }, (_, n) => messageLine(n + 1, { content: 'x'.repeat(900_000) }));
    expect(expectOk(await importText(api, small(...lines)), 201).session.message_count).toBe(12);
  });

  it('may have an id that none may have here: it gets another', async () => {
    const text = ndjson([manifestOf('import'), sessionLine()]);
    expect(expectOk(await importText(api, text), 201).session.session_id).not.toBe('import');
  });

  it('may have numbers in the place of packed vectors, and ids beyond 2^53', async () => {
    const text = small(
      collectionLine(),
      pointLine(3, [0.1, -2]),
      pointLine('9007199254740993', 'AACAPwAAAEA='),
    );
    const { session_id: id } = expectOk(await importText(api, text), 201).session;
    const { points } = expectOk(await api.post(at(id, '/points/scroll'), { with_vector: true }));
    expect(points.map((p: { id: unknown }) => p.id)).toEqual([3, '9007199254740993']);
    expect(points.map((p: { vector: number[] }) => p.vector)).toEqual([
      [Math.fround(0.1), -2],
      [1, 2],
    ]);
  });
});

describe('what is wrong', () => {
  const id = 'wrong';
  const good: Line[] = [
    manifestOf(id),
    sessionLine({ checkpoint_n: 1, checkpoint: { a: 1 }, title: 'T', title_seq: 1 }),
    { type: 'checkpoint', n: 1, checkpoint: { a: 1 }, metadata: {}, created_at: '2026-01-31T12:00:00.250Z' },
    messageLine(1),
    messageLine(2, { role: 'assistant', content: null, tool_calls: [{ id: 'c' }] }),
    messageLine(3, { role: 'tool', tool_call_id: 'c', tool_call_seq: 2 }),
    memoryLine(1, { version: 3 }),
    {
      ...memoryLine(1),
      type: 'memory_version',
      key: undefined,
      created_by: undefined,
      created_at: undefined,
    },
    collectionLine(),
    pointLine(1),
    pointLine(2),
    countersLine({ a: 1 }),
    reportLine(1),
    reportLine(2, { model_name: 'n' }),
  ];
  const changed = (at: number, fields: Line) =>
    good.map((line, n) => (n === at ? { ...line, ...fields } : line));
  const without = (at: number) => good.filter((_, n) => n !== at);
  const swapped = (a: number, b: number) => good.map((_, n) => good[n === a ? b : n === b ? a : n]);
  const text = ndjson(good);

  /** How many rows every table has. */
  async function everything() {
    const { rows } = await app.database.pool.query<{ name: string }>(
      `select tablename as name from pg_tables where schemaname = 'public' order by 1`,
    );
    const counts = rows.map(({ name }) => `'${name}', (select count(*) from "${name}")`);
    return (await app.database.pool.query(`select json_build_object(${counts}) as all`)).rows[0].all;
  }

  /** What was written is removed by and by. */
  async function expectGone(before: Line): Promise<void> {
    const swept = async () => {
      await app.app.get(Sweeps).run();
      return everything();
    };
    await eventually(swept, (seen) => JSON.stringify(seen) === JSON.stringify(before));
  }

  it('is nothing at all here', async () => {
    expectOk(await importText(api, text, `?session_id=${fresh('good')}`), 201);
    // what was written before is read, and what was deleted is gone
    await deriveAll(app);
    await app.app.get(Sweeps).run();
  });

  const half = (of: string, share: number) => of.slice(0, Math.floor(of.length * share));
  const cases: [what: string, sent: string | Uint8Array, code: string, headers?: Record<string, string>][] = [
    ['nothing', '', 'invalid_export'],
    ['an empty line', '\n', 'invalid_export'],
    ['no JSON', 'x\n', 'invalid_export'],
    ['another format', `${JSON.stringify({ format: 'x', version: 1 })}\n`, 'invalid_export'],
    ['a newer version', text.replace('"version":1', '"version":2'), 'unsupported_version'],
    ['an older version', text.replace('"version":1', '"version":0'), 'invalid_export'],
    ['cut in the middle', half(text, 0.5), 'invalid_export'],
    ['cut before its end line', text.slice(0, text.lastIndexOf('{"type":"end"')), 'invalid_export'],
    ['cut in its end line', text.slice(0, -20), 'invalid_export'],
    ['more behind the end', `${text}{}\n`, 'invalid_export'],
    ['twice', text + text, 'invalid_export'],
    ['a byte altered', text.replace('Message 1', 'Message 2'), 'digest_mismatch'],
    ['two lines exchanged in the file', exchange(text, 3, 4), 'invalid_export'],
    ['another digest', ndjson(good, { sha256: 'a'.repeat(64) }), 'digest_mismatch'],
    ['other counts', ndjson(good, { counts: { session: 1, message: 2 } }), 'invalid_export'],
    ['no session', ndjson([manifestOf(id)]), 'invalid_export'],
    ['two sessions', ndjson([manifestOf(id), sessionLine(), sessionLine()]), 'invalid_export'],
    ['a message before the session', ndjson(swapped(1, 3)), 'invalid_export'],
    ['points before messages', ndjson(swapped(3, 9)), 'invalid_export'],
    [
      'what its manifest does not name',
      ndjson([manifestOf(id, ['messages']), ...good.slice(1)]),
      'invalid_export',
    ],
    ['an unknown part', ndjson([manifestOf(id, ['secrets']), sessionLine()]), 'invalid_export'],
    ['an unknown record', ndjson([...good, { type: 'secret' }]), 'invalid_export'],
    ['a record without a type', ndjson([...good, {}]), 'invalid_export'],
    ['an unknown member', ndjson(changed(3, { is_admin: true })), 'invalid_export'],
    ['a missing member', ndjson(changed(3, { metadata: undefined })), 'invalid_export'],
    ['a message that is missing', ndjson(without(3)), 'invalid_export'],
    ['a message twice', ndjson([...good.slice(0, 4), good[3], ...good.slice(4)]), 'invalid_export'],
    ['a message id twice', ndjson(changed(4, { message_id: 'm-1' })), 'invalid_export'],
    [
      'times that go backwards',
      ndjson(changed(4, { created_at: '2026-01-30T12:00:00.250Z' })),
      'invalid_export',
    ],
    ['a time to come', ndjson(changed(5, { created_at: '2999-01-30T12:00:00.250Z' })), 'invalid_export'],
    ['a time that is none', ndjson(changed(3, { created_at: '2026-02-30T12:00:00.250Z' })), 'invalid_export'],
    ['an answer to no call', ndjson(changed(5, { tool_call_id: 'd' })), 'invalid_export'],
    ['an answer to what comes later', ndjson(changed(5, { tool_call_seq: 3 })), 'invalid_export'],
    ['an answer without its call', ndjson(changed(5, { tool_call_seq: null })), 'invalid_export'],
    [
      'a redacted message that speaks',
      ndjson(changed(3, { redacted_at: good[1].created_at })),
      'invalid_export',
    ],
    ['a title of no message', ndjson(changed(1, { title_seq: 9 })), 'invalid_export'],
    ['a checkpoint that is missing', ndjson(without(2)), 'invalid_export'],
    ['a version of no entry', ndjson(without(6)), 'invalid_export'],
    ['a version newer than its entry', ndjson(changed(7, { version: 3 })), 'invalid_export'],
    [
      'a key twice',
      ndjson([...good.slice(0, 7), memoryLine(2, { key: 'fact-1' }), ...good.slice(8)]),
      'invalid_export',
    ],
    ['no value', ndjson(changed(6, { value: undefined })), 'invalid_export'],
    ['a point without a collection', ndjson(without(8)), 'invalid_export'],
    ['two collections', ndjson([...good.slice(0, 9), collectionLine()]), 'invalid_export'],
    ['points out of order', ndjson(swapped(9, 10)), 'invalid_export'],
    ['a point of another size', ndjson(changed(9, { vector: [1] })), 'invalid_point'],
    [
      'counters twice',
      ndjson([...good.slice(0, 12), countersLine({ a: 1 }), ...good.slice(12)]),
      'invalid_export',
    ],
    ['counters behind reports', ndjson(swapped(11, 12)), 'invalid_export'],
    [
      'a session that was last active before it was made',
      ndjson(changed(1, { last_activity_at: '2026-01-31T11:59:59.999Z' })),
      'invalid_export',
    ],
    ['a counter that is none', ndjson(changed(11, { counters: { 'A b': 1 } })), 'invalid_export'],
    ['a counter beyond 2^53', ndjson(changed(11, { counters: { a: 2 ** 53 } })), 'invalid_export'],
    [
      'a hundred thousand counters',
      ndjson(changed(11, { counters: manyCounters(100_000) })),
      'invalid_export',
    ],
    ['201 counters', ndjson(changed(11, { counters: manyCounters(201) })), 'invalid_export'],
    [
      'metadata of counters above its limit',
      ndjson(changed(11, { metadata: { a: 'x'.repeat(70_000) } })),
      'too_large',
    ],
    ['a report that is missing', ndjson(without(12)), 'invalid_export'],
    ['a report twice', ndjson([...good, good[13]]), 'invalid_export'],
    [
      'a report of a past that comes later',
      ndjson(changed(13, { reported_at: '2026-01-30T12:00:00.250Z' })),
      'invalid_export',
    ],
    ['a report to come', ndjson(changed(13, { reported_at: '2999-01-30T12:00:00.250Z' })), 'invalid_export'],
    ['a report of no call', ndjson(changed(13, { calls: 0 })), 'invalid_export'],
    ['a report of another type of model', ndjson(changed(13, { model_type: 'x' })), 'invalid_export'],
    ['a cost of eleven decimals', ndjson(changed(13, { cost_usd: 1e-11 })), 'invalid_export'],
    [
      'tokens beyond 2^53 together',
      ndjson([...good, ...[3, 4].map((n) => reportLine(n, { tokens: 2 ** 53 - 1 }))]),
      'invalid_export',
    ],
    [
      'a cost beyond all bounds',
      ndjson([...good, ...Array.from({ length: 11 }, (_, n) => reportLine(n + 3, { cost_usd: 1e9 }))]),
      'invalid_export',
    ],
    [
      'reports of 201 models',
      ndjson([
        ...good,
        ...Array.from({ length: 200 }, (_, n) => reportLine(n + 3, { model_name: `m-${n}` })),
      ]),
      'invalid_export',
    ],
    ['a vector that is no number', ndjson(changed(9, { vector: 'AADAfwAAwH8=' })), 'invalid_point'],
    ['a vector that is no base64', ndjson(changed(9, { vector: '????' })), 'invalid_export'],
    ['an id that is none', ndjson(changed(9, { id: 1.5 })), 'invalid_export'],
    [
      'a vector of a million lists',
      ndjson(changed(9, { vector: Array(1_000_000).fill([]) })),
      'invalid_export',
    ],
    ['a hundred thousand names of vectors', ndjson(changed(9, { vector: manyNames() })), 'invalid_export'],
    ['a hundred thousand members', ndjson(changed(3, manyNames())), 'invalid_export'],
    ['a type as long as a book', ndjson([...good, { type: 'x'.repeat(1_000_000) }]), 'invalid_export'],
    [
      'a manifest that is no line',
      ndjson([{ ...manifestOf(id), include: Array(100_000).fill(1) }]),
      'too_large',
    ],
    ['an end line that is none', ndjson(good, { counts: manyNames() }), 'too_large'],
    ['names of what every object has', ndjson(good, { counts: { constructor: 1 } }), 'invalid_export'],
    ['a number after which none can come', ndjson(changed(2, { n: 2 ** 53 - 1 })), 'invalid_export'],
    ['NUL', ndjson(changed(3, { content: 'a\u0000b' })), 'invalid_export'],
    ['a lone surrogate', text.replace('Message 1', '\\ud800'), 'invalid_export'],
    ['bytes that are no UTF-8', Buffer.from([0x7b, 0xff, 0x7d, 0x0a]), 'invalid_export'],
    [
      '65 levels',
      ndjson(changed(3, { metadata: JSON.parse(`${'{"a":'.repeat(70)}1${'}'.repeat(70)}`) })),
      'invalid_export',
    ],
    ['content above its limit', ndjson(changed(3, { content: 'x'.repeat(1024 * 1024) })), 'too_large'],
    [
      'a line above its limit',
      `${text.slice(0, text.indexOf('\n') + 1)}{"a":"${'x'.repeat(9 * 1024 * 1024)}"}\n`,
      'too_large',
    ],
    ['no gzip', text, 'malformed_request', { 'content-type': 'application/gzip' }],
    [
      'gzip cut off',
      packed(text).subarray(0, 200),
      'malformed_request',
      { 'content-type': 'application/gzip' },
    ],
    [
      'gzip that blows up',
      packed(`${text.slice(0, text.indexOf('\n') + 1)}${' '.repeat(64 * 1024 * 1024)}`),
      'too_large',
      { 'content-type': 'application/gzip' },
    ],
    [
      'half a document',
      half(JSON.stringify(document(good)), 0.7),
      'invalid_export',
      { 'content-type': 'application/json' },
    ],
    [
      'a document without its end',
      '{"format":"session-service/export","version":1,"records":[]',
      'invalid_export',
      { 'content-type': 'application/json' },
    ],
    [
      'a document with a hole',
      '{"records":[1,,2]}',
      'invalid_export',
      { 'content-type': 'application/json' },
    ],
  ];

  it.each(cases)('%s', async (_, sent, code, headers = NDJSON) => {
    const before = await everything();
    const answer = await importText(api, sent, '', headers);
    expect([answer.status, answer.body.code]).toEqual([
      answer.status >= 400 && answer.status < 500 ? answer.status : 'refused',
      code,
    ]);
    // what is wrong is told, not what was sent
    expect(answer.text.length).toBeLessThan(5_000);
    await expectGone(before);
  });

  it('is found out late too, and nothing is left', async () => {
    const before = await everything();
    const content = 'x'.repeat(500_000);
    const lines = Array.from({ length: 30 }, (_, n) => messageLine(n + 1, { content }));
    const points = Array.from({ length: 2000 }, (_, n) => pointLine(n + 1));
    const long = ndjson(
      [manifestOf(id), sessionLine(), ...lines, memoryLine(1), collectionLine(), ...points],
      { sha256: 'b'.repeat(64) },
    );
    expectRefused(await importText(api, long), 422, 'digest_mismatch');
    for (let n = 0; n < 3; n++) await app.app.get(Sweeps).run();
    expect(await everything()).toEqual(before);
  });

  it('takes the id of a deleted session away only when it is right', async () => {
    const { session_id } = await create(api, { session_id: fresh('deleted') });
    expectOk(await api.delete(at(session_id)));
    const lines = Array.from({ length: 12 }, (_, n) => messageLine(n + 1, { content: 'x'.repeat(500_000) }));
    const of = [manifestOf(session_id), sessionLine(), ...lines];
    expectRefused(await importText(api, ndjson(of, { sha256: 'b'.repeat(64) })), 422, 'digest_mismatch');
    expect(expectOk(await api.post(at(session_id, '/restore'))).message_count).toBe(0);
    expect(expectOk(await importText(api, ndjson(of)), 201).session.session_id).not.toBe(session_id);
    expectRefused(await importText(api, ndjson(of), `?session_id=${session_id}`), 409, 'session_id_taken');
    expectOk(await api.delete(at(session_id)));
    expect(expectOk(await importText(api, ndjson(of)), 201).session.session_id).toBe(session_id);
    expect((await read(api, session_id)).message_count).toBe(12);
  });

  it('is not that its bytes come one by one', async () => {
    const { port } = new URL(app.url);
    const socket = connect(Number(port), '127.0.0.1');
    socket.setNoDelay(true);
    await once(socket, 'connect');
    const sent = ndjson([manifestOf(id), sessionLine(), messageLine(1)]);
    socket.write(
      `POST /sessions/import?session_id=${fresh('bytes')} HTTP/1.1\r\nHost: x\r\nX-User-ID: ${user}\r\nContent-Type: application/x-ndjson\r\nContent-Length: ${Buffer.byteLength(sent)}\r\n\r\n`,
    );
    for (const byte of Buffer.from(sent)) if (!socket.write(Buffer.of(byte))) await once(socket, 'drain');
    const [answer] = await once(socket, 'data');
    expect(String(answer)).toMatch(/^HTTP\/1.1 201/);
    socket.destroy();
  });

  it('is that the body ends before its time: nothing is left', async () => {
    // what was written before is read
    await deriveAll(app);
    await app.app.get(Sweeps).run();
    const before = await everything();
    const content = 'x'.repeat(500_000);
    const lines = Array.from({ length: 30 }, (_, n) => messageLine(n + 1, { content }));
    const long = ndjson([manifestOf(id), sessionLine(), ...lines]);
    const { port } = new URL(app.url);
    const socket = connect(Number(port), '127.0.0.1');
    await once(socket, 'connect');
    socket.write(
      `POST /sessions/import HTTP/1.1\r\nHost: x\r\nX-User-ID: ${user}\r\nContent-Type: application/x-ndjson\r\nContent-Length: ${Buffer.byteLength(long)}\r\n\r\n`,
    );
    socket.write(half(long, 0.8));
    await eventually(everything, (seen) => seen.sessions > before.sessions);
    socket.destroy();
    await expectGone(before);
  });
});

/** The text with two of its lines exchanged, and the old end line. */
function exchange(text: string, a: number, b: number): string {
  const lines = text.split('\n');
  [lines[a], lines[b]] = [lines[b]!, lines[a]!];
  return lines.join('\n');
}

function manyCounters(count: number): Record<string, number> {
  return Object.fromEntries(Array.from({ length: count }, (_, n) => [`c_${n}`, 1]));
}

/** Members that nothing has. */
function manyNames(): Record<string, number[]> {
  return Object.fromEntries(Array.from({ length: 100_000 }, (_, n) => [`n${n}`, [1]]));
}
