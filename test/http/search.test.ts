import { Derivations } from '../../src/derived/derivations.js';
import type { Api } from '../setup/api.js';
import { api, app, service, useApp, user } from './suite.js';
import { append, at, create, deriveAll, expectOk, expectRefused, fresh, runOut, share } from './support.js';

useApp();

const MESSAGES = '/api/v1/search/messages';
const MEMORY = '/api/v1/memory/search';

/** A session with these messages, read for search. */
async function session(...messages: (string | object)[]): Promise<string> {
  const { session_id } = await create(api);
  const of = (message: string | object) =>
    typeof message === 'string' ? { role: 'user', content: message } : message;
  if (messages.length) await append(api, session_id, { messages: messages.map(of) });
  await index();
  return session_id;
}

const index = () => deriveAll(app);

// biome-ignore lint/suspicious/noExplicitAny: rows of answers
type Row = any;
const find = async (asked: string | object, by: Api = api): Promise<Row[]> =>
  expectOk(await by.post(MESSAGES, typeof asked === 'string' ? { query: asked } : asked)).hits;
const seqs = async (asked: string | object, by?: Api) =>
  (await find(asked, by)).map((hit) => hit.message.seq).sort();
const marks = async (asked: string) => (await find(asked)).map((hit) => hit.highlight);

describe('what is found', () => {
  test.each([
    ['a word', 'Where is my invoice?', 'invoice', '<mark>invoice</mark>'],
    ['whatever its case', 'The INVOICE came', 'Invoice', '<mark>INVOICE</mark>'],
    [
      'without accents',
      'Über Café Straße',
      'uber cafe strasse',
      '<mark>Über</mark> <mark>Café</mark> <mark>Straße</mark>',
    ],
    ['with accents', 'the cafe', 'café', '<mark>cafe</mark>'],
    [
      'all words, anywhere',
      'one thing or another two',
      'two one',
      '<mark>one</mark> thing or another <mark>two</mark>',
    ],
    ['a phrase', 'paid in full today', '"in full"', '<mark>in</mark> <mark>full</mark>'],
    ['a name in code', 'call find_invoice(id) now', 'find_invoice', '<mark>find</mark>_<mark>invoice</mark>'],
    ['a part of a path', 'see /src/search/words.ts', 'words.ts', '<mark>words</mark>.<mark>ts</mark>'],
    ['two characters of Chinese', '我们明天去东京塔看日落', '东京', '<mark>东京</mark>'],
    ['one character', '我们明天去东京塔', '塔', '<mark>塔</mark>'],
    ['Japanese in kana', 'ありがとうございます', 'とう', '<mark>とう</mark>'],
    ['Korean', '내일 서울에서 만나요', '서울', '<mark>서울</mark>'],
    ['Thai', 'ฉันรักภาษาไทยมาก', 'ภาษาไทย', '<mark>ภาษาไทย</mark>'],
    ['Cyrillic', 'Где мой счёт', 'счет', '<mark>счёт</mark>'],
    ['Arabic', 'أين الفاتورة الآن', 'الفاتورة', '<mark>الفاتورة</mark>'],
    ['a number', 'order 4711 was sent', '4711', '<mark>4711</mark>'],
    ['the beginning of a word', 'Where is my invoice?', 'inv', '<mark>invoice</mark>'],
    ['a misspelt word', 'Where is my invoice?', 'invioce', '<mark>invoice</mark>'],
    [
      'one beside a letter',
      'plan b of the invoice',
      'invioce b',
      '<mark>b</mark> of the <mark>invoice</mark>',
    ],
    ['another', 'did you receive it', 'recieve', '<mark>receive</mark>'],
    [
      'markup as text',
      'if (a<b && c>"d") found',
      'found',
      'if (a&lt;b &amp;&amp; c&gt;&quot;d&quot;) <mark>found</mark>',
    ],
    [
      'a word among tags',
      '<script>alert(1)</script>',
      'alert',
      '&lt;script&gt;<mark>alert</mark>(1)&lt;/script&gt;',
    ],
  ])('%s', async (_, content, query, marked) => {
    await session('something else entirely', content);
    expect(await marks(query)).toEqual([expect.stringContaining(marked)]);
  });

  test.each([
    ['a phrase in another order', 'full in', '"in full"'],
    ['Chinese characters apart', '东边的京城', '东京'],
    ['a word that is far from it', 'Where is my receipt?', 'invoice'],
    ['what is not wanted', 'invoice draft', 'invoice -draft'],
    ['half of what is asked', 'invoice', 'invoice payment'],
    ['nothing but what is not wanted', 'invoice', '-draft'],
    ['no index can answer', 'invoice', 'x or -draft'],
    ['no word at all', 'invoice', '?!… --'],
  ])('not: %s', async (_, content, query) => {
    await session(content);
    expect(await find(query)).toEqual([]);
  });

  test('one of several', async () => {
    await session('apples', 'pears', 'plums');
    expect(await seqs('apples or plums')).toEqual([1, 3]);
  });

  test('typed parts, names, and arguments of calls; not what is coded in letters', async () => {
    const call = {
      id: 'c1',
      type: 'function',
      function: { name: 'find_invoice', arguments: '{"customer":"Müller\\nSons"}' },
    };
    await session(
      {
        role: 'user',
        content: [
          { type: 'text', text: 'look here' },
          { type: 'image_url', image_url: { url: 'data:secretletters' } },
        ],
      },
      { role: 'assistant', tool_calls: [call] },
      { role: 'tool', tool_call_id: 'c1', content: 'nobody of that name', name: 'crm' },
    );
    expect(await seqs('look')).toEqual([1]);
    expect(await seqs('muller')).toEqual([2]);
    expect(await seqs('sons')).toEqual([2]);
    expect(await seqs('find_invoice customer')).toEqual([2]);
    expect(await seqs('crm')).toEqual([3]);
    expect(await seqs('secretletters')).toEqual([]);
    expect(await seqs('c1')).toEqual([]);
  });

  test('a word at the end of a long message, with what stands around it', async () => {
    await session(`${'lorem ipsum dolor '.repeat(20_100)} needle ${'sit amet '.repeat(5_000)}`);
    const [highlight] = await marks('needle');
    expect(highlight).toMatch(/^…[\w ]*dolor\s+<mark>needle<\/mark> sit amet[\w ]*…$/);
    expect(highlight!.length).toBeLessThan(400);
  });

  test.each([
    ['letters', 'x'.repeat(1_000_000), 'y'],
    ['Chinese', '漢字仮名'.repeat(80_000), '仮名'],
    ['punctuation', `${'-'.repeat(1_000_000)}end`, 'end'],
    ['accents', `a${'\u0301'.repeat(300_000)}`, 'a'],
  ])('a megabyte of %s without a space does no harm', async (_, content, query) => {
    await session(content, 'after it');
    expect(await seqs('after')).toEqual([2]);
    for (const { highlight } of await find(query)) expect(highlight.length).toBeLessThan(1_000);
  });

  test('best first, the newer where they are alike', async () => {
    await session('blue', 'blue', `blue ${'and other things '.repeat(30)}`);
    const hits = await find('blue');
    expect(hits.map((hit) => hit.message.seq)).toEqual([2, 1, 3]);
    expect(hits[0].score).toBeGreaterThan(hits[2].score);
  });
});

describe('what narrows it', () => {
  test('session, role, time, limit', async () => {
    const first = await session('word', { role: 'assistant', content: 'word' });
    const between = new Date().toISOString();
    await new Promise((resolve) => setTimeout(resolve, 5));
    const second = await session('word');
    expect(await find('word')).toHaveLength(3);
    expect(await seqs({ query: 'word', session_id: first })).toEqual([1, 2]);
    expect(await seqs({ query: 'word', role: 'assistant' })).toEqual([2]);
    expect((await find({ query: 'word', created_after: between })).map((hit) => hit.session_id)).toEqual([
      second,
    ]);
    expect((await find({ query: 'word', created_before: between })).map((hit) => hit.session_id)).toEqual([
      first,
      first,
    ]);
    expect(await find({ query: 'word', limit: 2 })).toHaveLength(2);
    expect(await find({ query: 'word', limit: 100_000 })).toHaveLength(3);
  });

  test('neighbours, as far as there are', async () => {
    const id = await session('one', 'two', 'needle', 'four', 'five');
    const [hit] = await find({ query: 'needle', neighbours: 3 });
    expect(hit.before.map((m: Row) => m.content)).toEqual(['one', 'two']);
    expect(hit.after.map((m: Row) => m.content)).toEqual(['four', 'five']);
    expect(hit).toMatchObject({ session_id: id, message: { session_id: id, seq: 3 } });
    const [alone] = await find('needle');
    expect([alone.before, alone.after]).toEqual([[], []]);
  });

  test('hits that are too large together are fewer, never none', async () => {
    await session();
    const { session_id } = await create(api);
    for (let i = 0; i < 12; i++)
      await append(api, session_id, { role: 'user', content: `huge ${'x'.repeat(900_000)}` });
    await index();
    const hits = await find('huge');
    expect(hits.length).toBeGreaterThan(4);
    expect(hits.length).toBeLessThan(12);
  });
});

describe('what cannot be read', () => {
  test('arguments nested without end do no harm', async () => {
    const nested = '['.repeat(400_000) + ']'.repeat(400_000);
    const call = { id: 'c', function: { name: 'deep', arguments: nested } };
    await session({ role: 'assistant', tool_calls: [call] }, 'after it');
    expect(await seqs('deep')).toEqual([1]);
    expect(await seqs('after')).toEqual([2]);
  });

  test.each([
    ['deep', `${'['.repeat(1000)}${'1,'.repeat(400_000)}1${']'.repeat(1000)}`],
    ['wide', JSON.stringify({ list: Array.from({ length: 90_000 }, (_, i) => i) })],
  ])('arguments that are %s', async (_, given) => {
    await session({
      role: 'assistant',
      tool_calls: [{ id: 'c', function: { name: 'tool', arguments: given } }],
    });
    expect(await seqs('tool')).toEqual([1]);
  });

  test('what is due more than once is read once', async () => {
    const id = await session('twice');
    expectOk(await api.put(at(id, '/memory/k'), { value: 'before' }), 201);
    await index();
    const fork = expectOk(await api.post(at(id, '/fork'), {}), 201).session_id;
    expectOk(await api.put(at(fork, '/memory/k'), { value: 'afterwards' }));
    await app.app.get(Derivations).deriveAll();
    await app.app.get(Derivations).deriveAll();
    await index();
    expect(await seqs('twice')).toEqual([1, 1]);
    expect((await find({ query: 'twice', session_id: fork })).length).toBe(1);
    const { body } = await api.post(MEMORY, { query: 'afterwards' });
    expect(body.hits).toMatchObject([{ entry: { session_id: fork } }]);
  });

  test('a message that nothing can be derived from keeps no other from being found', async () => {
    const derivations = app.app.get(Derivations);
    derivations.add(async ({ messages }) => {
      if (messages.some(({ content }) => content === 'poison')) throw new Error('not to be had');
    });
    await session('before', 'poison', 'behind');
    const other = await session('elsewhere');
    expect(await seqs('before')).toEqual([1]);
    expect(await seqs('behind')).toEqual([3]);
    expect(await find('poison')).toEqual([]);
    expect((await find('elsewhere'))[0].session_id).toBe(other);
  });
});

describe('modes', () => {
  test('lexical is what runs, and said to', async () => {
    await session('word');
    for (const mode of ['lexical', 'hybrid', undefined])
      expect(expectOk(await api.post(MESSAGES, { query: 'word', mode }))).toMatchObject({
        mode: 'lexical',
        hits: [{}],
      });
    expectRefused(
      await api.post(MESSAGES, { query: 'word', mode: 'semantic' }),
      501,
      'embeddings_not_configured',
    );
    expectRefused(
      await api.post(MEMORY, { query: 'word', mode: 'semantic' }),
      501,
      'embeddings_not_configured',
    );
  });

  test.each([
    [{}],
    [{ query: '' }],
    [{ query: 'x'.repeat(1001) }],
    [{ query: 'x', neighbours: 6 }],
    [{ query: 'x', limit: 0 }],
    [{ query: 'x', created_after: 'yesterday' }],
    [{ query: 'x', other: 1 }],
  ])('refused: %j', async (body) => {
    expectRefused(await api.post(MESSAGES, body), 422, 'invalid');
  });
});

describe('who finds it', () => {
  test('its owner, those it is shared with, services; nobody else', async () => {
    const word = fresh('word').replace('-', '');
    const id = await session(word);
    const [friend, stranger] = [fresh('friend'), fresh('stranger')];
    await share(app, id, friend, 'viewer');
    const finders = {
      owner: api,
      friend: app.api.as(friend),
      service: service,
      'service as owner': service.with({ 'x-user-id': user }),
    };
    for (const finder of Object.values(finders)) expect(await seqs(word, finder)).toEqual([1]);
    expect(await seqs({ query: word, session_id: id }, finders.friend)).toEqual([1]);
    for (const nobody of [app.api.as(stranger), service.with({ 'x-user-id': stranger })]) {
      expect(await find(word, nobody)).toEqual([]);
      expectRefused(await nobody.post(MESSAGES, { query: word, session_id: id }), 404, 'session_not_found');
    }
  });

  test('a friend finds nothing in what is not shared with him, nor a misspelt word of it', async () => {
    const shared = await session('shared words');
    await session('hidden treasure');
    const friend = fresh('friend');
    await share(app, shared, friend, 'editor');
    expect(await seqs('words', app.api.as(friend))).toEqual([1]);
    for (const query of ['treasure', 'treasrue', 'treas'])
      expect(await find(query, app.api.as(friend))).toEqual([]);
  });

  test('however much another has of what he does not share', async () => {
    const word = fresh('hidden').replace('-', '');
    const owner = fresh('owner');
    const mine = await session(word);
    const theirs = (await create(app.api.as(owner))).session_id;
    const shared = (await create(app.api.as(owner))).session_id;
    await share(app, shared, user, 'viewer');
    await app.database.pool.query(
      `with m as (
         insert into messages (session_key, seq, message_id, role, content, message_type, metadata, bytes, created_at)
         select key, n, 'm' || n, 'user', to_json($2::text), 'chat', '{}', 9, now() from sessions, generate_series(1, 21000) n where id = $1
         returning session_key, seq
       )
       insert into message_texts (place_key, item, part, owner, words)
       select session_key, seq, 0, hashtextextended($3, 0), to_tsvector('simple', $2) from m`,
      [theirs, word, owner],
    );
    expect((await find(word)).map((hit) => hit.session_id)).toEqual([mine]);
  });

  test('what only an agent owns, services alone find', async () => {
    const word = fresh('agentword').replace('-', '');
    const { session_id } = await create(service, { agent_id: 'a' });
    await append(service, session_id, { role: 'user', content: word });
    await index();
    expect(await seqs(word, service)).toEqual([1]);
    expect(await find(word)).toEqual([]);
  });
});

describe('what is gone', () => {
  test('a deleted session, until it is restored', async () => {
    const id = await session('word');
    expectOk(await api.delete(at(id)));
    expect(await find('word')).toEqual([]);
    expectRefused(await api.post(MESSAGES, { query: 'word', session_id: id }), 404, 'session_deleted');
    expectOk(await api.post(at(id, '/restore')));
    expect(await seqs('word')).toEqual([1]);
  });

  test('an expired one', async () => {
    const { session_id } = await create(api, { timeout_minutes: 5 });
    await append(api, session_id, { role: 'user', content: 'word' });
    await index();
    expect(await seqs('word')).toEqual([1]);
    await runOut(app.database, session_id);
    expect(await find('word')).toEqual([]);
  });

  test('a redacted message, from that moment on, and its words with the next sweep', async () => {
    const id = await session('secretword', 'other');
    const { message_id } = (await find('secretword'))[0].message;
    expectOk(await api.delete(at(id, `/messages/${message_id}`)));
    expect(await find('secretword')).toEqual([]);
    await index();
    const { rows } = await app.database.pool.query(
      `select from message_texts t join sessions s on s.key = t.place_key where s.id = $1 and t.item = 1`,
      [id],
    );
    expect(rows).toEqual([]);
    expect(await seqs('other')).toEqual([2]);
  });

  test('one redacted before it was read', async () => {
    const { session_id } = await create(api);
    const { message_id } = await append(api, session_id, { role: 'user', content: 'secretword' });
    expectOk(await api.delete(at(session_id, `/messages/${message_id}`)));
    await index();
    expect(await find('secretword')).toEqual([]);
  });

  test('words of a purged session', async () => {
    const id = await session('word');
    const key = (await app.database.pool.query('select key from sessions where id = $1', [id])).rows[0].key;
    expectOk(await api.delete(at(id, '?permanent=true')), 204);
    expect(await find('word')).toEqual([]);
    await index();
    expect(
      (await app.database.pool.query('select from message_texts where place_key = $1', [key])).rows,
    ).toEqual([]);
  });
});

describe('memory', () => {
  const ofUser = (key: string) => `/api/v1/users/${user}/memory/${key}`;
  const look = async (asked: string | object, by: Api = api): Promise<Row[]> =>
    expectOk(await by.post(MEMORY, typeof asked === 'string' ? { query: asked } : asked)).hits;
  const keys = async (asked: string | object, by?: Api) =>
    (await look(asked, by)).map((hit) => hit.entry.key).sort();
  const save = async (path: string, body: object) => {
    const { status } = await api.put(path, body);
    expect([200, 201]).toContain(status);
  };

  test('by key and by value, of a user and of sessions', async () => {
    const { session_id } = await create(api);
    await save(ofUser('allergies'), { value: ['penicillin', { severe: true }] });
    await save(at(session_id, '/memory/diet'), { value: 'no penicillin either' });
    expectOk(
      await api.post(`/api/v1/users/${user}/memory`, { memory_type: 'note', content: 'Likes short answers' }),
      201,
    );
    await index();
    expect(await keys('penicillin')).toEqual(['allergies', 'diet']);
    expect(await keys('allergies')).toEqual(['allergies']);
    expect(await keys('severe')).toEqual(['allergies']);
    expect(await keys('penicilin')).toEqual(['allergies', 'diet']);
    expect(await look('short')).toMatchObject([
      {
        entry: { key: null, memory_type: 'note', scope: 'user', user_id: user },
        highlight: 'Likes <mark>short</mark> answers',
      },
    ]);
    expect(await keys({ query: 'penicillin', session_id })).toEqual(['diet']);
    expect(await keys({ query: 'penicillin', session_id, include_user: true })).toEqual([
      'allergies',
      'diet',
    ]);
    expect(await keys({ query: 'penicillin', user_id: user })).toEqual(['allergies']);
    expect(await keys({ query: 'penicillin', memory_type: 'note' })).toEqual([]);
    expect(await keys({ query: 'penicillin', min_score: 1e6 })).toEqual([]);
    expect(await keys({ query: 'penicillin', user_id: user }, service)).toEqual(['allergies']);
    expect(await keys({ query: 'penicillin', session_id, include_user: true }, service)).toEqual([
      'allergies',
      'diet',
    ]);
    expect(await keys({ query: 'penicillin', user_id: fresh('unknown') }, service)).toEqual([]);
  });

  test('a collaborator finds the session’s, never the owner’s own', async () => {
    const word = fresh('word').replace('-', '');
    const { session_id } = await create(api);
    await save(ofUser('own'), { value: word });
    await save(at(session_id, '/memory/shared'), { value: word });
    await index();
    const name = fresh('friend');
    const friend = app.api.as(name);
    expect(await look(word, friend)).toEqual([]);
    expectRefused(await friend.post(MEMORY, { query: word, session_id }), 404, 'session_not_found');
    expectRefused(await friend.post(MEMORY, { query: word, user_id: user }), 403, 'forbidden');
    await share(app, session_id, name, 'viewer');
    expect(await keys(word, friend)).toEqual(['shared']);
    expect(await keys({ query: word, session_id, include_user: true }, friend)).toEqual(['shared']);
  });

  test('what it was is not found, nor what has expired or been deleted', async () => {
    await save(ofUser('k'), { value: 'before' });
    await save(ofUser('brief'), { value: 'fleeting', ttl_seconds: 60 });
    await save(ofUser('gone'), { value: 'vanished' });
    await index();
    await save(ofUser('k'), { value: 'after' });
    expect(await look('before')).toEqual([]);
    await app.database.pool.query(`update memory_entries set expires_at = now() where name = 'brief'`);
    expect(await look('fleeting')).toEqual([]);
    expectOk(await api.delete(ofUser('gone')), 204);
    expect(await look('vanished')).toEqual([]);
    await index();
    expect(await keys('after')).toEqual(['k']);
    expect(await look('before')).toEqual([]);
    const { rows } = await app.database.pool.query(
      `select count(*)::int as n from memory_texts where owner = hashtextextended($1, 0)`,
      [user],
    );
    expect(rows[0].n).toBe(1);
  });
});
