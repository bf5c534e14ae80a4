import { Redis } from 'ioredis';
import { Sweeps } from '../../src/jobs/sweeps.js';
import {
  history,
  merge,
  point,
  put,
  type Row,
  remember,
  result,
  resultOf,
  said,
  say,
  session,
  split,
} from '../http/histories.js';
import { at, deriveAll, expectOk, read, share } from '../http/support.js';
import type { Api } from '../setup/api.js';
import { SERVICE_KEY, startApp, type TestApp } from '../setup/app.js';
import { eventually } from '../setup/eventually.js';
import { FakeModels } from '../setup/fake-models.js';
import { FakeQdrant } from '../setup/fake-qdrant/fake-qdrant.js';
import { namesIn } from '../setup/names-in.js';
import { type RedisServer, startRedis } from '../setup/redis.js';

/** A name and a word that stand nowhere else: the name in ids too, which their owner has chosen. */
const [WHO, WORD] = ['zq-user-7f', 'qxcanary'];
const CHOSEN = `of-${WHO}`;
const BOB = 'bob';
const SHAPE = { vectors: { size: 2, distance: 'euclid' } };

interface Mode {
  name: string;
  environment(): Promise<Record<string, string>>;
  /** of everything outside the database */
  content(): Promise<string>;
  close(): Promise<void>;
}

const onPostgres = (): Mode => ({
  name: 'PostgreSQL alone',
  environment: async () => ({}),
  content: async () => '',
  close: async () => {},
});

function onOthers(layout: string): Mode {
  const qdrant = new FakeQdrant();
  let redis: RedisServer;
  return {
    name: `Redis, and Qdrant with its ${layout} layout`,
    environment: async () => {
      await qdrant.start();
      redis = await startRedis();
      return { REDIS_URL: redis.url, QDRANT_URL: qdrant.url, QDRANT_LAYOUT: layout };
    },
    content: async () => `${await contentOfQdrant(qdrant.url)}\n${await contentOfRedis(redis.url)}`,
    close: async () => {
      await redis.close();
      await qdrant.stop();
    },
  };
}

async function contentOfQdrant(url: string): Promise<string> {
  const ask = async (path: string, body?: object): Promise<Row> => {
    const init = body && {
      method: 'POST',
      body: JSON.stringify(body),
      headers: { 'content-type': 'application/json' },
    };
    return ((await (await fetch(url + path, init)).json()) as Row).result;
  };
  const { collections } = await ask('/collections');
  const contents = collections.map(async ({ name }: Row) => [
    name,
    await ask(`/collections/${name}`),
    await ask(`/collections/${name}/points/scroll`, { limit: 10_000, with_payload: true, with_vector: true }),
  ]);
  return JSON.stringify(await Promise.all(contents));
}

/** Every key, and its value as Redis keeps it. */
async function contentOfRedis(url: string): Promise<string> {
  const client = new Redis(url);
  try {
    const texts: string[] = [];
    for (let cursor = ''; cursor !== '0'; ) {
      const [next, keys] = await client.scan(cursor || '0', 'COUNT', 1000);
      for (const key of keys) texts.push(key, String(await client.dumpBuffer(key)));
      cursor = next;
    }
    return texts.join('\n');
  } finally {
    client.disconnect();
  }
}

/** …as text, in base64, and as bytes are shown. */
const PATTERN = 'zq-user|qxcan|cXhjYW5hcnk|717863616e617279';

/** One word of his in every place that a message has. */
const message = (n: number) => ({
  ...said('user', `${WORD} ${n}. And so on.`, {
    name: WORD,
    metadata: { [WORD]: WORD },
    message_id: `${CHOSEN}:${WORD}:${n}`,
  }),
});
const calling = (id: string) => ({
  role: 'assistant',
  tool_calls: [{ id, type: 'function', function: { name: WORD, arguments: `{"${WORD}":"${WHO}"}` } }],
});

/** A user with everything there is, and others with what he has left with them. */
async function live(app: TestApp, alice: Api, bob: Api, service: Api) {
  const words = {
    ...{ title: WORD, description: WORD, tags: [WORD], metadata: { [WORD]: WHO }, context: { [WORD]: 1 } },
    ...{ conversation_data: { [WORD]: 1 }, client_id: WORD, runtime_metadata: { [WORD]: 1 } },
  };
  const own: string[] = [];
  for (const id of ['active', 'deleted', 'archived', 'expired', 'forked']) {
    const made = await session(alice, {
      ...{ session_id: `${CHOSEN}-${id}`, ...words, timeout_minutes: 60 },
      configuration: { ...SHAPE, [WORD]: 1 },
    });
    own.push(made);
    await say(alice, made, message(1), calling('c-1'), result('c-1', WORD));
    await remember(alice, made, WORD, { [WORD]: WHO });
    expectOk(await alice.put(at(made, `/memory/${WORD}`), { value: `${WORD} again` }));
    expectOk(
      await alice.post(at(made, '/checkpoints'), { checkpoint: { [WORD]: 1 }, metadata: { [WORD]: 1 } }),
      201,
    );
    await put(alice, made, point(1, [1, 2], { [WORD]: WHO }));
  }
  const [active, deleted, archived, expired, forked] = own as [string, string, string, string, string];
  for (const key of [WORD, 'k']) {
    expectOk(
      await alice.put(`/users/${encodeURIComponent(WHO)}/memory/${key}`, { value: { [WORD]: 1 } }),
      201,
    );
    expectOk(await alice.put(`/users/${encodeURIComponent(WHO)}/memory/${key}`, { value: WORD }));
  }
  expectOk(await service.put(`/users/${encodeURIComponent(WHO)}/retention-policy`, { max_age_days: 900 }));
  const keyed = { 'idempotency-key': WORD };
  expectOk(await alice.post('/sessions', { session_id: `${CHOSEN}-keyed`, title: WORD }, keyed), 201);

  // sessions of others
  const theirs = await session(bob, { title: 'Theirs', configuration: SHAPE });
  await share(app, theirs, WHO, 'editor');
  await share(app, theirs, 'carol', 'viewer');
  await app.database.pool.query('update members set added_by = $1 where user_id = $2', [WHO, 'carol']);
  await say(bob, theirs, said('user', 'bobs own word'));
  await say(alice, theirs, message(1), calling('c-1'));
  await say(bob, theirs, result('c-1', 'bobs result'));
  await remember(alice, theirs, WORD, WORD);
  expectOk(await alice.put(at(theirs, `/memory/${WORD}`), { value: { [WORD]: WHO } }));
  await remember(bob, theirs, 'bobs', 'kept');
  const untitled = await session(bob);
  await share(app, untitled, WHO, 'editor');
  await say(alice, untitled, ...Array.from({ length: 60 }, (_, n) => message(n)));
  for (const id of own) await share(app, id, BOB, 'viewer');
  await deriveAll(app);

  const copies = [
    expectOk(await bob.post(at(theirs, '/fork'), {}), 201).session_id,
    expectOk(await bob.post(at(forked, '/fork'), { title: 'Fork' }), 201).session_id,
    resultOf(
      await merge(bob, {
        session_ids: [theirs, active],
        ...{ title: 'Merged', archive_sources: false, include: ['messages', 'memory'] },
      }),
    ).session_id,
  ];
  const parts = resultOf(
    await split(bob, theirs, { parts: [{ title: 'Part', from_seq: 1 }], remove_points: false }),
  );
  copies.push(parts.sessions[0].session_id);
  copies.push(
    expectOk(await bob.post(at(copies[1]!, '/fork'), { title: 'Fork of the fork' }), 201).session_id,
  );
  const file = await bob.get(at(theirs, '/export'));
  const imported = await bob.call('POST', '/api/v1/sessions/import', {
    raw: file.text,
    headers: { 'content-type': 'application/x-ndjson' },
  });
  copies.push(expectOk(imported, 201).session.session_id);
  const his = resultOf(
    await merge(alice, { session_ids: [active, forked], archive_sources: false }),
  ).session_id;
  own.push(his, `${CHOSEN}-keyed`);
  const failed = await merge(alice, {
    session_ids: [active, archived],
    on_memory_conflict: 'fail',
    title: WORD,
  });
  expectOk(failed);
  const failing = { session_ids: [theirs, active], on_memory_conflict: 'fail', archive_sources: false };
  expectOk(await merge(bob, failing));
  expectOk(await merge(service, { session_ids: [active, theirs], archive_sources: false, user_id: WHO }));
  const gone = await session(alice, { session_id: `${CHOSEN}-gone` });
  copies.push(expectOk(await service.post(at(gone, '/fork'), { title: 'Of one gone' }), 201).session_id);
  await app.database.pool.query(`update sessions set user_id = 'bob' where id = $1`, [copies.at(-1)]);
  await app.database.pool.query(
    `update session_details set user_id = 'bob' where key = (select key from sessions where id = $1)`,
    [copies.at(-1)],
  );
  expectOk(await alice.delete(at(gone, '?permanent=true')), 204);
  await app.database.pool.query(
    `with s as (update sessions set event_seq = event_seq + 1 where id = $1 returning *)
     insert into events (aggregate_key, seq, event_type, payload, tx, created_at)
     select key, event_seq, 'session.shared', jsonb_build_object('user_ids', array[$2::text, 'carol'], 'role', 'editor', 'added_by', 'bob'), event_tx, now()
     from s`,
    [theirs, WHO],
  );
  expectOk(await alice.delete(at(deleted)));
  expectOk(await alice.post(at(archived, '/archive')));
  await app.database.pool.query(
    `update sessions set expires_at = now() - interval '1 minute' where id = $1`,
    [expired],
  );
  await deriveAll(app);
  return { own, theirs, untitled, copies };
}

describe.each([onPostgres(), onOthers('dedicated'), onOthers('shared')])('with $name', (mode) => {
  let models: FakeModels;
  let app: TestApp;
  beforeAll(async () => {
    models = await FakeModels.start();
    models.summarize = (prompt) => `A model says ${WORD}: ${prompt.length}`;
    app = await startApp({
      ...(await mode.environment()),
      EMBEDDINGS_URL: models.url,
      EMBEDDINGS_MODEL: 'fake',
      SUMMARIZER_URL: models.url,
      SUMMARIZER_MODEL: 'fake',
      SUMMARIZE_AFTER_MESSAGES: '20',
    });
  }, 60_000);
  afterAll(async () => {
    await app.close();
    await models.close();
    await mode.close();
  });

  test('nothing is left of a user who had everything', async () => {
    const service = app.api.service(SERVICE_KEY);
    const [alice, bob] = [app.api.as(WHO), app.api.as(BOB)];
    const { own, theirs, untitled, copies } = await live(app, alice, bob, service);
    await eventually(
      async () => (await app.database.pool.query('select from summaries where written is not null')).rowCount,
      (count) => count! > 0,
    );
    const before = await namesIn(app.database, PATTERN);
    const tables = new Set(before.map((row) => row.split(':')[0]));
    expect([...tables]).toEqual(
      expect.arrayContaining(
        [
          'checkpoints',
          'events',
          'jobs',
          'members',
          'memory_entries',
          'memory_versions',
          'message_texts',
          'messages',
        ].map((name) => `public.${name}`),
      ),
    );
    const outside = (await mode.content()).includes(WORD);
    expect(outside || (await countOf(app, 'vector_points')) > 0).toBe(true);

    models.summarize = () => 'Nothing.';
    const job = expectOk(await alice.delete(`/users/${encodeURIComponent(WHO)}/data`, { prefer: 'wait=60' }));
    expect(job).toMatchObject({ state: 'succeeded', error: null });
    expect(job.result).toMatchObject({ held: { session_ids: [] }, remaining: 0 });
    console.log(`${mode.name}: ${before.length} rows named him; ${JSON.stringify(job.result)}`);
    // what is derived of others is brought up to date by the sweeps, and they add nothing of his
    await deriveAll(app);
    await app.app.get(Sweeps, { strict: false }).run();

    expect(await namesIn(app.database, PATTERN)).toEqual([]);
    expect(await mode.content()).not.toMatch(/zq|qxcanary/i);
    for (const id of own) expect((await service.get(at(id, '?include_deleted=true'))).status).toBe(404);
    expect(JSON.stringify(await history(bob, theirs))).toMatch(/bobs own word.*bobs result/);
    expect(await read(bob, untitled)).toMatchObject({ title: null, message_count: 60 });
    for (const id of copies) expect((await bob.get(at(id))).status).toBe(200);
    expect(expectOk(await bob.get(at(theirs, '/memory'))).entries).toMatchObject([{ key: 'bobs' }]);
    const [, first] = await history(bob, theirs);
    const { collaborators } = { collaborators: await membersOf(app, theirs) };
    expect(collaborators).toEqual([{ user_id: 'carol', added_by: first.user_id }]);
  }, 240_000);
});

const countOf = async ({ database }: TestApp, table: string): Promise<number> =>
  (await database.pool.query(`select count(*)::int as count from ${table}`)).rows[0].count;

const membersOf = async ({ database }: TestApp, id: string): Promise<Row[]> =>
  (
    await database.pool.query(
      'select m.user_id, m.added_by from members m join sessions s on s.key = m.session_key where s.id = $1 order by 1',
      [id],
    )
  ).rows;
