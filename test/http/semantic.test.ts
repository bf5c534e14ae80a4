import { Derivations } from '../../src/derived/derivations.js';
import { Sweeps } from '../../src/jobs/sweeps.js';
import type { Api } from '../setup/api.js';
import { SERVICE_KEY, startApp, type TestApp } from '../setup/app.js';
import { eventually } from '../setup/eventually.js';
import { FakeModels, type Trouble } from '../setup/fake-models.js';
import { append, at, create, deriveAll, expectOk, expectRefused, fresh, runOut, share } from './support.js';

let models: FakeModels;
let app: TestApp;
let api: Api;
let user: string;
beforeAll(async () => {
  models = await FakeModels.start();
  app = await startApp({
    EMBEDDINGS_URL: models.url,
    EMBEDDINGS_API_KEY: 'sesame',
    EMBEDDINGS_TIMEOUT_SECONDS: '2',
  });
});
afterAll(async () => {
  await app.close();
  await models.close();
});
beforeEach(() => {
  user = fresh();
  api = app.api.as(user);
  models.troubles = [];
  models.trouble = null;
  models.refused = null;
});

/** Rows of this state. */
const countOf = async (state: string) =>
  (await app.database.pool.query('select count(*)::int from text_vectors where state = $1', [state])).rows[0]
    .count;

/** Everything is read, and embedded as far as it can be. */
async function embedAll(): Promise<void> {
  await deriveAll(app);
  await eventually(
    async () => {
      await app.app.get(Sweeps).run();
      return (await countOf('due')) + (await countOf('answered')) + (await countOf('gone'));
    },
    (left) => left === 0,
  );
}

const search = async (body: object, by = api) => expectOk(await by.post('/api/v1/search/messages', body));
const searchMemory = async (body: object) => expectOk(await api.post('/api/v1/memory/search', body));
const contents = (found: { hits: { message: { content: unknown } }[] }) =>
  found.hits.map(({ message }) => message.content);
const said = (content: string) => ({ role: 'user', content });

async function conversation(...texts: string[]): Promise<string> {
  const { session_id } = await create(api);
  await append(api, session_id, { messages: texts.map(said) });
  return session_id;
}

describe('a search', () => {
  it('finds by meaning what has none of the words', async () => {
    await conversation('the automobile is red', 'bread and butter');
    await embedAll();
    const found = await search({ query: 'car', mode: 'semantic' });
    expect(found.mode).toBe('semantic');
    expect(found.hits[0].message.content).toBe('the automobile is red');
    expect(found.hits[0].highlight).toContain('automobile');
    expect(await search({ query: 'car', mode: 'lexical' })).toEqual({ hits: [], mode: 'lexical' });
    expect(models.authorizations).toEqual(new Set(['Bearer sesame']));
  });

  it('by both puts first what both find', async () => {
    await conversation('a vehicle', 'my car is a car', 'cheese', 'the car of a doctor');
    await embedAll();
    const found = await search({ query: 'car' });
    expect(found.mode).toBe('hybrid');
    expect(contents(found)[0]).toBe('my car is a car');
    expect(contents(found)).toContain('a vehicle');
    const scores = found.hits.map((hit: { score: number }) => hit.score);
    expect(scores).toEqual([...scores].sort((a, b) => b - a));
  });

  it('finds each message once, and no more than asked for', async () => {
    const id = await conversation(...Array.from({ length: 30 }, (_, n) => `car number ${n}`));
    await append(api, id, said(`${'filler '.repeat(4100)} automobile`));
    await embedAll();
    const found = await search({ query: 'vehicle', mode: 'semantic', limit: 10 });
    expect(found.hits).toHaveLength(10);
    const all = await search({ query: 'vehicle', mode: 'hybrid', limit: 100 });
    const seqs = all.hits.map(({ message }: { message: { seq: number } }) => message.seq);
    expect(new Set(seqs).size).toBe(seqs.length);
  });

  it('finds what is wanted behind much that is not', async () => {
    const { session_id } = await create(api);
    await append(api, session_id, {
      messages: Array.from({ length: 60 }, (_, n) => ({ role: 'assistant', content: `car ${n}` })),
    });
    await append(api, session_id, said('an automobile, and much else besides'));
    const gone = await conversation(...Array.from({ length: 60 }, (_, n) => `car car ${n}`));
    await embedAll();
    await api.delete(at(gone));
    const found = await search({ query: 'car', mode: 'semantic', role: 'user', limit: 1 });
    expect(contents(found)).toEqual(['an automobile, and much else besides']);
  });

  it('that says what must not be there, or stand together, is by words', async () => {
    await conversation('an invoice', 'a draft of an invoice', 'cheese');
    await embedAll();
    expect(await search({ query: 'invoice -draft' })).toMatchObject({ mode: 'lexical', hits: [{}] });
    expect(await search({ query: '"an invoice"' })).toMatchObject({ mode: 'lexical', hits: [{}, {}] });
  });

  it('sees what its caller sees, and takes filters', async () => {
    const mine = await conversation('my automobile');
    const owner = fresh();
    const other = app.api.as(owner);
    const [shared, hidden] = [await create(other), await create(other)];
    await append(other, shared.session_id, said('shared automobile'));
    await append(other, hidden.session_id, said('hidden automobile'));
    await share(app, shared.session_id, user, 'viewer');
    await embedAll();
    const all = contents(await search({ query: 'car', mode: 'semantic' }));
    expect(all.sort()).toEqual(['my automobile', 'shared automobile']);
    expect(contents(await search({ query: 'car', mode: 'semantic', session_id: mine }))).toEqual([
      'my automobile',
    ]);
    expectRefused(
      await api.post('/api/v1/search/messages', {
        query: 'car',
        mode: 'semantic',
        session_id: hidden.session_id,
      }),
      404,
      'session_not_found',
    );
    expect((await search({ query: 'car', mode: 'semantic', role: 'assistant' })).hits).toEqual([]);
    const service = app.api.service(SERVICE_KEY);
    expectRefused(
      await service.post('/api/v1/search/messages', { query: 'car', mode: 'semantic' }),
      422,
      'invalid',
    );
    expect((await search({ query: 'car' }, service)).mode).toBe('lexical');
    expect(contents(await search({ query: 'car', mode: 'semantic' }, service.as(owner))).sort()).toEqual([
      'hidden automobile',
      'shared automobile',
    ]);
  });

  it('finds nothing that was redacted, deleted or purged, from that moment on', async () => {
    const id = await conversation('the first automobile', 'the second automobile');
    const gone = await conversation('the third automobile');
    await embedAll();
    expect((await search({ query: 'car', mode: 'semantic' })).hits).toHaveLength(3);
    const [first] = expectOk(await api.get(at(id, '/messages'))).messages;
    expectOk(await api.delete(at(id, `/messages/${first.message_id}`)));
    await api.delete(at(gone));
    expect(contents(await search({ query: 'car', mode: 'semantic' }))).toEqual(['the second automobile']);
    await api.delete(at(id, '?permanent=true'));
    expect((await search({ query: 'car', mode: 'semantic' })).hits).toEqual([]);
    await embedAll();
    const left = await app.database.pool.query(
      `select count(*)::int from vector_points p join vector_spaces v on v.key = p.space_key
       where p.payload is not null and v.name like '%\\_' || hashtextextended($1, 0)`,
      [user],
    );
    expect(left.rows[0].count).toBe(1); // of the one that can be restored
  });

  it('finds in memory, each entry as it is now', async () => {
    const place = `/api/v1/users/${user}/memory`;
    expectOk(await api.put(`${place}/ride`, { value: 'drives an automobile' }), 201);
    await embedAll();
    expect((await searchMemory({ query: 'car', mode: 'semantic' })).hits).toHaveLength(1);
    expectOk(await api.put(`${place}/ride`, { value: 'rides a bicycle' }));
    expect((await searchMemory({ query: 'car', mode: 'semantic' })).hits).toEqual([]);
    await embedAll();
    const [hit] = (await searchMemory({ query: 'bicycle', mode: 'semantic' })).hits;
    expect(hit.entry.value).toBe('rides a bicycle');
    expect((await searchMemory({ query: 'bicycle', mode: 'semantic', min_score: 1.1 })).hits).toEqual([]);
    expect((await api.delete(`${place}/ride`)).status).toBe(204);
    expect((await searchMemory({ query: 'bicycle', mode: 'semantic' })).hits).toEqual([]);
    await embedAll();
  });
});

describe('while the embedder is down', () => {
  it('hybrid is lexical and semantic refused', async () => {
    await conversation('a car');
    await embedAll();
    models.trouble = { kind: 'status', status: 503 };
    expect(await search({ query: 'car' })).toMatchObject({ mode: 'lexical', hits: [{}] });
    const refusal = await api.post('/api/v1/search/messages', { query: 'car', mode: 'semantic' });
    expectRefused(refusal, 503, 'embeddings_unavailable');
    expect(Number(refusal.headers.get('retry-after'))).toBeGreaterThan(0);
    models.trouble = null;
    await eventually(
      () => api.post('/api/v1/search/messages', { query: 'car', mode: 'semantic' }),
      ({ status }) => status === 200,
    );
  });
});

const TROUBLES: [string, Trouble][] = [
  ['fails', { kind: 'status', status: 500 }],
  ['is too busy', { kind: 'status', status: 429, retryAfter: 1 }],
  ['does not know us', { kind: 'status', status: 401 }],
  ['is silent', { kind: 'silence' }],
  ['cuts its answer', { kind: 'cut' }],
  ['answers no JSON', { kind: 'garbage', body: '<html>' }],
  ['answers too few', { kind: 'garbage', body: '{"data":[]}' }],
  [
    'answers no numbers',
    { kind: 'garbage', body: '{"data":[{"index":0,"embedding":["a"]},{"index":1,"embedding":[1]}]}' },
  ],
];

describe('texts are embedded later', () => {
  it.each(TROUBLES)('when the embedder %s', async (_, trouble) => {
    models.troubles = [trouble];
    await conversation('an automobile', 'a bicycle');
    await embedAll();
    expect(models.troubles).toEqual([]);
    expect(contents(await search({ query: 'car', mode: 'semantic' }))[0]).toBe('an automobile');
  });
});

describe('what the embedder refuses', () => {
  it('is passed over, and all else embedded', async () => {
    models.refused = /unspeakable/;
    await conversation(
      'one automobile',
      'an unspeakable automobile',
      'two automobiles',
      'another automobile',
    );
    await embedAll();
    const found = contents(await search({ query: 'car', mode: 'semantic' }));
    expect(found).toContain('one automobile');
    expect(found).toContain('another automobile');
    expect(found).not.toContain('an unspeakable automobile');
    expect(await countOf('refused')).toBe(1);
  });
});

describe('a text', () => {
  it('whose answer has arrived is not sent again', async () => {
    const mark = fresh('mark');
    await conversation(...Array.from({ length: 200 }, (_, n) => `${mark} ${n}`));
    models.troubles = [{ kind: 'status', status: 500 }];
    await embedAll();
    await embedAll();
    const sent = models.answered.filter((text) => text.startsWith(mark));
    expect(sent).toHaveLength(200);
    expect(new Set(sent).size).toBe(200);
  });

  it('that is redacted while it is embedded leaves nothing behind', async () => {
    const id = await conversation('a secret automobile');
    await deriveAll(app);
    const [message] = expectOk(await api.get(at(id, '/messages'))).messages;
    models.delayMs = 300;
    const sweeping = app.app.get(Sweeps).run();
    await eventually(
      async () => models.asked.includes('a secret automobile'),
      (isAsked) => isAsked,
    );
    expectOk(await api.delete(at(id, `/messages/${message.message_id}`)));
    await sweeping;
    models.delayMs = 0;
    expect((await search({ query: 'car', mode: 'semantic' })).hits).toEqual([]);
    await embedAll();
    const left = await app.database.pool.query(
      `select (select count(*)::int from text_vectors t join sessions s on s.key = t.place_key where s.id = $1) as rows,
         (select count(*)::int from vector_points p join vector_spaces v on v.key = p.space_key
          where p.payload is not null and v.name like '%\\_' || hashtextextended($2, 0)) as points`,
      [id, user],
    );
    expect(left.rows[0]).toEqual({ rows: 0, points: 0 });
  });

  it('of a deleted session is shown to the embedder when it is restored, and of one that is purged never', async () => {
    const [mark, doomed, expired] = [fresh('mark'), fresh('mark'), fresh('mark')];
    const id = await conversation(...Array.from({ length: 100 }, (_, n) => `${mark} automobile ${n}`));
    const gone = await conversation(`${doomed} automobile`);
    const late = await conversation(`${expired} automobile`);
    await runOut(app.database, late);
    for (const one of [id, gone]) expectOk(await api.delete(at(one)));
    await conversation('an automobile of today');
    await embedAll();
    const asked = (text: string) => models.asked.filter((one) => one.startsWith(`${text} `)).length;
    expect([mark, doomed, expired].map(asked)).toEqual([0, 0, 0]);
    expect(await countOf('waiting')).toBe(102);
    expect(contents(await search({ query: 'car', mode: 'semantic' }))).toEqual(['an automobile of today']);
    expectOk(await api.post(at(id, '/restore')));
    expectOk(await api.post(at(late, '/restore')));
    await embedAll();
    expect([mark, doomed, expired].map(asked)).toEqual([100, 0, 1]);
    expect((await search({ query: 'car', mode: 'semantic', session_id: late })).hits).toHaveLength(1);
    expect((await api.delete(at(gone, '?permanent=true'))).status).toBe(204);
    await embedAll();
    await embedAll();
    expect(asked(doomed)).toBe(0);
    expect(await countOf('waiting')).toBe(0);
  });

  it('is embedded by one of two processes', async () => {
    const second = await startApp({ EMBEDDINGS_URL: models.url }, app);
    try {
      const mark = fresh('mark');
      await conversation(...Array.from({ length: 300 }, (_, n) => `${mark} ${n}`));
      await deriveAll(app);
      await Promise.all([app.app.get(Sweeps).run(), second.app.get(Sweeps).run()]);
      await embedAll();
      expect(models.asked.filter((text) => text.startsWith(mark))).toHaveLength(300);
    } finally {
      await second.close();
    }
  });
});

describe('a session that is transferred', () => {
  let id: string;
  let heir: string;
  beforeEach(async () => {
    heir = fresh('heir');
    id = await conversation('an automobile', 'cheese');
    expectOk(await api.put(at(id, '/memory/k'), { value: 'a vehicle' }), 201);
  });

  const give = async (to: string, by = api) => expectOk(await by.post(at(id, '/transfer'), { user_id: to }));
  const find = async (by: Api) => contents(await search({ query: 'car', mode: 'semantic', limit: 1 }, by));
  const recall = async (by: Api) =>
    expectOk(await by.post('/api/v1/memory/search', { query: 'car', mode: 'semantic', limit: 1 })).hits.map(
      ({ entry }: { entry: { key: string } }) => entry.key,
    );
  /** Where its texts are, as rows say and as the vector store has them. */
  const places = async () => {
    const { rows } = await app.database.pool.query(
      `select (select json_agg(distinct v.spaces) from text_vectors v where v.place_key = s.key) as said,
         (select json_agg(distinct array[sp.name]) from vector_points p join vector_spaces sp on sp.key = p.space_key
          where p.payload ->> 'place' = s.key::text) as stored,
         (select count(*)::int from vector_points p where p.payload ->> 'place' = s.key::text) as points
       from sessions s where s.id = $1`,
      [id],
    );
    return rows[0];
  };

  it('is found by its new owner, and by the old one as long as he is a member; nothing is embedded again', async () => {
    await embedAll();
    const before = await places();
    models.asked.length = 0;
    await give(heir);
    await embedAll();
    expect(models.asked).toEqual([]);
    const after = await places();
    expect(after).toEqual({ said: after.stored, stored: after.said, points: before.points });
    expect(after.stored).toHaveLength(1);
    expect(after.stored).not.toEqual(before.stored);
    const heirs = app.api.as(heir);
    for (const by of [heirs, api]) {
      expect(await find(by)).toEqual(['an automobile']);
      expect(await recall(by)).toEqual(['k']);
    }
    expect((await heirs.delete(at(id, `/share/${user}`))).status).toBe(204);
    expect([await find(api), await recall(api)]).toEqual([[], []]);
    await give(user, heirs);
    await embedAll();
    expect((await places()).stored).toEqual(before.stored);
  });

  it.each([
    ['before anything is embedded', async () => undefined],
    ['when all is read', () => deriveAll(app)],
    [
      'while the model is asked',
      async () => {
        models.delayMs = 300;
        await app.app.get(Derivations).step();
        models.asked.length = 0;
        void deriveAll(app);
        await eventually(
          async () => models.asked.length,
          (asked) => asked > 0,
        );
      },
    ],
  ])('%s, is where it belongs in the end', async (_, until) => {
    await until();
    await give(heir);
    models.delayMs = 0;
    await embedAll();
    expect(await find(app.api.as(heir))).toEqual(['an automobile']);
    expect(await recall(app.api.as(heir))).toEqual(['k']);
    const { said, stored, points } = await places();
    expect([said, points]).toEqual([stored, 3]);
    expect(said).toHaveLength(1);
  });

  it('takes along no vector of what was written since, or redacted', async () => {
    await embedAll();
    expectOk(await api.put(at(id, '/memory/k'), { value: 'a physician' }));
    const [first] = expectOk(await api.get(at(id, '/messages'))).messages;
    expectOk(await api.delete(at(id, `/messages/${first.message_id}`)));
    await give(heir);
    models.asked.length = 0;
    await embedAll();
    expect(models.asked).toEqual(['k\na physician']);
    expect((await places()).points).toBe(2);
    const heirs = app.api.as(heir);
    const doctors = await heirs.post('/api/v1/memory/search', { query: 'doctor', mode: 'semantic' });
    expect(expectOk(doctors).hits).toHaveLength(1);
    expect(await find(heirs)).not.toContain('an automobile');
  });
});
