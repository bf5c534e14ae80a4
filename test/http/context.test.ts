import type { Api } from '../setup/api.js';
import { startApp } from '../setup/app.js';
import { api, app, service, useApp, user } from './suite.js';
import { append, at, create, deriveAll, expectOk, expectRefused, fresh, read, share } from './support.js';

useApp({ SUMMARIZE_AFTER_MESSAGES: '10' });

// biome-ignore lint/suspicious/noExplicitAny: answers of every shape
type Row = any;
const said = (content: unknown, role = 'user') => ({ role, content });
const call = (...ids: string[]) => ({
  role: 'assistant',
  tool_calls: ids.map((id) => ({ id, type: 'function', function: { name: 'look', arguments: '{"at":1}' } })),
});
const result = (id: string, content = 'found') => ({ role: 'tool', tool_call_id: id, content });

async function session(...messages: object[]): Promise<string> {
  const { session_id } = await create(api);
  if (messages.length) await append(api, session_id, { messages });
  return session_id;
}

const ask = async (id: string, body: object, by: Api = api): Promise<Row> =>
  expectOk(await by.post(at(id, '/context'), body));
const seqs = ({ messages }: Row): number[] => messages.map((message: Row) => message.seq);
const words = (count: number) => Array.from({ length: count }, () => 'word').join(' ');

const derive = () => deriveAll(app);

describe('counting', () => {
  test.each([
    ['text', said('hello world'), 2],
    ['what looks like a control token', said('<|endoftext|>'), 7],
    [
      'parts',
      said([
        { type: 'text', text: 'hello' },
        { type: 'text', text: 'hello world' },
      ]),
      4,
    ],
    [
      'an image',
      said([
        { type: 'text', text: 'hello world' },
        { type: 'image_url', image_url: { url: 'x'.repeat(9000) } },
      ]),
      1002,
    ],
    ['a file with a text beside it', said([{ type: 'file', text: 'x', file: {} }]), 1000],
    ['a long run of letters', said('x'.repeat(100_000)), expect.any(Number)],
    ['nothing', said(''), 0],
  ])('%s', async (_, message, tokens) => {
    const id = await session(message);
    const context = await ask(id, { max_tokens: 1_000_000 });
    expect(context).toMatchObject({ token_count: tokens, dropped: [] });
    expect((await ask(id, { max_tokens: 1_000_000 })).messages).toMatchObject([{ token_count: tokens }]);
    expect(expectOk(await api.get(at(id, '/messages'))).messages[0].token_count).toEqual(tokens);
  });

  test('calls count with their arguments', async () => {
    const id = await session(call('c1'), result('c1'));
    const { token_count, messages } = await ask(id, { max_tokens: 1000 });
    expect(messages[0].token_count).toBeGreaterThan(10);
    expect(token_count).toBe(messages[0].token_count + messages[1].token_count);
  });
});

describe('recent', () => {
  test('the newest that fit, and what was left out', async () => {
    const id = await session(said(words(50)), said(words(50)), said(words(50)));
    expect(await ask(id, { max_tokens: 100 })).toMatchObject({
      ...{ strategy: 'recent', token_count: 100, summary: null, memory: [], passages: [] },
      dropped: [{ from_seq: 1, to_seq: 1, why: 'budget' }],
    });
    expect(seqs(await ask(id, { max_tokens: 100 }))).toEqual([2, 3]);
    expect(seqs(await ask(id, { max_tokens: 149, reserve_tokens: 49 }))).toEqual([2, 3]);
    expect(await ask(id, { max_tokens: 10, reserve_tokens: 10 })).toMatchObject({
      messages: [],
      token_count: 0,
    });
    expect(await ask(await session(), { max_tokens: 10 })).toMatchObject({ messages: [], dropped: [] });
  });

  test('a call and its results, wherever they stand, or none of it', async () => {
    const id = await session(
      said('a'),
      call('c1', 'c2'),
      said('b'),
      result('c2'),
      said('c'),
      result('c1'),
      said('d'),
    );
    expect(seqs(await ask(id, { max_tokens: 1000 }))).toEqual([1, 2, 3, 4, 5, 6, 7]);
    const context = await ask(id, { max_tokens: 20 });
    expect(seqs(context)).toEqual([1, 3, 5, 7]);
    expect(context.dropped).toEqual(
      [2, 4, 6].map((seq) => ({ from_seq: seq, to_seq: seq, why: 'too_large' })),
    );
  });

  test('an unanswered call, a redacted message, one that is too large', async () => {
    const id = await session(call('c1', 'c2'), result('c1'), said(words(500)), said('gone'), said('kept'));
    const { messages } = expectOk(await api.get(at(id, '/messages')));
    expectOk(await api.delete(at(id, `/messages/${messages[3].message_id}`)));
    expect(await ask(id, { max_tokens: 100 })).toMatchObject({
      messages: [{ content: 'kept' }],
      dropped: [
        { from_seq: 1, to_seq: 2, why: 'unanswered_call' },
        { from_seq: 3, to_seq: 3, why: 'too_large' },
        { from_seq: 4, to_seq: 4, why: 'redacted' },
      ],
    });
    await append(api, id, result('c2', 'late'));
    expect(seqs(await ask(id, { max_tokens: 100 }))).toEqual([1, 2, 5, 6]);
  });

  test('a result far behind its call brings the call with it', async () => {
    const filler = Array.from({ length: 300 }, (_, i) => said(`filler ${i}`));
    const id = await session(said('first'), call('c1'), ...filler, result('c1'));
    const context = await ask(id, { max_tokens: 60 });
    expect(seqs(context).slice(0, 1)).toEqual([2]);
    expect(seqs(context).at(-1)).toBe(303);
    expect(context.dropped).toMatchObject([
      { from_seq: 1, to_seq: 1 },
      { from_seq: 3, why: 'budget' },
    ]);
  });

  test('the same again, and after the counts are stored', async () => {
    const id = await session(...Array.from({ length: 200 }, (_, i) => said(words(i))));
    const first = await ask(id, { max_tokens: 2000 });
    const { messages, ...rest } = await ask(id, { max_tokens: 2000 });
    expect(rest).toEqual({ ...first, messages: undefined });
    expect(messages.map((m: Row) => m.seq)).toEqual(seqs(first));
  });
});

describe('pinned', () => {
  test('system, developer, and the first user message, then the newest', async () => {
    const id = await session(
      said('rules', 'system'),
      said('hello', 'assistant'),
      said('the task'),
      ...Array.from({ length: 50 }, () => said(words(20))),
      said('more rules', 'developer'),
      said('last'),
    );
    const context = await ask(id, { max_tokens: 30, strategy: 'pinned' });
    expect(context.messages.map((m: Row) => m.content)).toEqual([
      'rules',
      'the task',
      expect.anything(),
      'more rules',
      'last',
    ]);
    expect(context.token_count).toBeLessThanOrEqual(30);
    const refused = await api.post(at(id, '/context'), {
      max_tokens: 10,
      reserve_tokens: 8,
      strategy: 'pinned',
    });
    expectRefused(refused, 422, 'budget_too_small');
    const { least_tokens } = refused.body;
    await ask(id, { max_tokens: least_tokens, reserve_tokens: 8, strategy: 'pinned' });
    expectRefused(
      await api.post(at(id, '/context'), {
        max_tokens: least_tokens - 1,
        reserve_tokens: 8,
        strategy: 'pinned',
      }),
      422,
      'budget_too_small',
    );
  });
});

describe('summarize', () => {
  const talk = (count: number) =>
    Array.from({ length: count }, (_, i) =>
      said(
        `Question number ${i} concerns the quarterly revenue forecast of region ${i}.`,
        i % 2 ? 'assistant' : 'user',
      ),
    );

  test('a stored summary of the oldest, then the newest', async () => {
    const id = await session(...talk(25));
    expect(await ask(id, { max_tokens: 100, strategy: 'summarize' })).toMatchObject({ summary: null });
    await derive();
    const context = await ask(id, { max_tokens: 400, strategy: 'summarize' });
    expect(context.summary).toEqual({
      text: expect.stringContaining('quarterly revenue'),
      from_seq: 1,
      to_seq: 20,
    });
    expect(context.dropped.map((run: Row) => run.why)).toContain('covered_by_summary');
    expect(context.token_count).toBeLessThanOrEqual(400);
    expect((await read(api, id)).session_summary).toBe(context.summary.text);
    await append(api, id, { messages: talk(10) });
    await derive();
    expect((await ask(id, { max_tokens: 2000, strategy: 'summarize' })).summary.to_seq).toBe(30);
  });

  test('what is redacted is gone from it at once, and it is whole again soon', async () => {
    const id = await session(said('The secret launch codename is Bluebird, tell nobody.'), ...talk(20));
    await derive();
    const ofSummary = async () => (await ask(id, { max_tokens: 4000, strategy: 'summarize' })).summary.text;
    expect(await ofSummary()).toContain('Bluebird');
    const { version } = await read(api, id);
    const { messages } = expectOk(await api.get(at(id, '/messages?limit=1')));
    expectOk(await api.delete(at(id, `/messages/${messages[0].message_id}`)));
    expect(await ofSummary()).not.toContain('Bluebird');
    expect((await read(api, id)).session_summary).toBe('');
    await derive();
    expect(await ofSummary()).not.toContain('Bluebird');
    expect(await read(api, id)).toMatchObject({ session_summary: await ofSummary(), version });
    const { rows } = await app.database.pool.query(
      `select from summaries where lines::text like '%Bluebird%'`,
    );
    expect(rows).toEqual([]);
  });

  test('a purged session leaves none', async () => {
    const id = await session(...talk(20));
    await derive();
    const { rows } = await app.database.pool.query('select key from sessions where id = $1', [id]);
    expectOk(await api.delete(at(id, '?permanent=true')), 204);
    await derive();
    expect(
      (await app.database.pool.query('select from summaries where session_key = $1', [rows[0].key])).rows,
    ).toEqual([]);
  });
});

describe('hierarchical', () => {
  const save = async (path: string, body: object) => expectOk(await api.put(path, body), 201);

  test('memory, the newest, and passages found for the query', async () => {
    const other = await session(said('My passport number is in the blue folder'));
    const id = await session(
      said('The passport expires in May'),
      ...Array.from({ length: 100 }, () => said(words(30))),
      said('When does it expire?'),
    );
    await save(`/api/v1/users/${user}/memory/diet`, { value: ['vegan'], importance: 0.9 });
    await save(at(id, '/memory/goal'), { value: 'renew', importance: 0.1 });
    await derive();
    const asked = { max_tokens: 400, strategy: 'hierarchical', query: 'passport' };
    const context = await ask(id, asked);
    expect(context.memory.map((entry: Row) => entry.key)).toEqual(['diet', 'goal']);
    expect(context.passages).toMatchObject([
      { session_id: id, seq: 1, message: { content: 'The passport expires in May' } },
    ]);
    expect(seqs(context)).not.toContain(1);
    expect(context.token_count).toBeLessThanOrEqual(400);
    const wide = await ask(id, { ...asked, query_scope: 'user' });
    expect(wide.passages.map((passage: Row) => passage.session_id).sort()).toEqual([id, other].sort());
    expect((await ask(id, { ...asked, include_memory: false })).memory).toEqual([]);
    expect((await ask(id, { max_tokens: 400, include_memory: true })).memory).toHaveLength(2);
    expect((await ask(id, { ...asked, max_tokens: 1_000_000 })).passages).toEqual([]);
  });

  test('memory is the caller’s own, and passages are what he may see', async () => {
    const id = await session(said('the treasure map'), said('last'));
    await session(said('another treasure'));
    await save(`/api/v1/users/${user}/memory/mine`, { value: 1 });
    await derive();
    const name = fresh('friend');
    await share(app, id, name, 'viewer');
    const asked = { max_tokens: 4, strategy: 'hierarchical', query: 'treasure', query_scope: 'user' };
    const theirs = await ask(id, { ...asked, max_tokens: 1000 }, app.api.as(name));
    expect([theirs.memory, theirs.passages]).toEqual([[], []]);
    expect((await ask(id, { ...asked, max_tokens: 1000 })).memory).toMatchObject([{ key: 'mine' }]);
    expect((await ask(id, { ...asked, max_tokens: 1000 }, service)).memory).toMatchObject([{ key: 'mine' }]);
    expect((await ask(id, { ...asked, max_tokens: 1000 })).passages).toMatchObject([
      { message: { content: 'another treasure' } },
    ]);
  });
});

test('what forks say the same is not repeated', async () => {
  const id = await session(said('the walrus sings'), said('last'));
  const fork = expectOk(await api.post(at(id, '/fork'), {}), 201).session_id;
  expectOk(await api.post(at(id, '/fork'), {}), 201);
  await derive();
  const asked = { strategy: 'hierarchical', query: 'walrus', query_scope: 'user' };
  const whole = await ask(fork, { ...asked, max_tokens: 1000 });
  expect([seqs(whole), whole.passages]).toEqual([[1, 2], []]);
  expect(whole.token_count).toBe(whole.messages.reduce((sum: number, m: Row) => sum + m.token_count, 0));
  const elsewhere = await ask(await session(said('here')), { ...asked, max_tokens: 1000 });
  expect(elsewhere.passages).toMatchObject([
    { message: { content: 'the walrus sings', token_count: expect.any(Number) } },
  ]);
});

test('a key without memory:read gets none of it', async () => {
  const keys = await startApp(
    { SERVICE_API_KEYS: 'r[sessions:read sessions:write]:aaaaaaaaaaaaaaaaaaaa,all:bbbbbbbbbbbbbbbbbbbb' },
    app,
  );
  const [limited, full] = ['a', 'b'].map((letter) => keys.api.service(letter.repeat(20)));
  const id = await session(said('hello'));
  expectOk(await api.put(at(id, '/memory/k'), { value: 1 }), 201);
  expectRefused(
    await limited!.post(at(id, '/context'), { max_tokens: 100, include_memory: true }),
    403,
    'forbidden',
  );
  expect((await ask(id, { max_tokens: 100, strategy: 'hierarchical' }, limited)).memory).toEqual([]);
  expect((await ask(id, { max_tokens: 100, strategy: 'hierarchical' }, full)).memory).toHaveLength(1);
  const forked = async (by: Api) => expectOk(await by.post(at(id, '/fork'), {}), 201).session_id;
  expect(expectOk(await api.get(at(await forked(limited!), '/memory'))).entries).toEqual([]);
  expect(expectOk(await api.get(at(await forked(full!), '/memory'))).entries).toHaveLength(1);
  await keys.close();
});

test('too many pinned messages are refused', async () => {
  const id = await session(...Array.from({ length: 1000 }, () => said('rule', 'system')));
  await ask(id, { max_tokens: 2000, strategy: 'pinned' });
  await append(api, id, said('one more', 'system'));
  await append(api, id, said('hello'));
  expectRefused(
    await api.post(at(id, '/context'), { max_tokens: 2000, strategy: 'pinned' }),
    422,
    'too_many_pinned',
  );
});

test.each([
  [{}],
  [{ max_tokens: 0 }],
  [{ max_tokens: 2_000_001 }],
  [{ max_tokens: 10, strategy: 'newest' }],
  [{ max_tokens: 10, reserve_tokens: -1 }],
  [{ max_tokens: 10, query: 'x' }],
  [{ max_tokens: 10, strategy: 'hierarchical', query: '' }],
])('refused: %j', async (body) => {
  expectRefused(await api.post(at(await session(), '/context'), body), 422, 'invalid');
});

test('messages that are redacted while a context is made are not in it', async () => {
  const id = await session(...Array.from({ length: 300 }, (_, i) => said(`secret ${i}`)));
  const { messages } = expectOk(await api.get(at(id, '/messages?limit=300')));
  const redacted: number[] = [];
  const redact = async () => {
    for (const { message_id, seq } of messages.slice(200)) {
      expectOk(await api.delete(at(id, `/messages/${message_id}`)));
      redacted.push(seq);
    }
  };
  const look = async () => {
    while (redacted.length < 100) {
      const before = [...redacted];
      const context = await ask(id, { max_tokens: 100_000 });
      const there = new Set(seqs(context));
      expect(before.filter((seq) => there.has(seq))).toEqual([]);
      expect(context.messages.filter((message: Row) => message.redacted_at !== null)).toEqual([]);
      const dropped = context.dropped.reduce(
        (sum: number, run: Row) => sum + run.to_seq - run.from_seq + 1,
        0,
      );
      expect(there.size + dropped).toBe(300);
    }
  };
  await Promise.all([redact(), look()]);
});
