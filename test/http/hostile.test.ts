import { Agent, request } from 'node:http';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { newId } from '../../src/common/ids.js';
import type { Answer } from '../setup/api.js';
import { SERVICE_KEY, startApp, type TestApp } from '../setup/app.js';
import { checkAgainstContract } from '../setup/contract.js';
import {
  bodiesWithHole,
  CONTENT_TYPES,
  CURSOR_KEYS,
  CURSORS,
  FEW_JSON_VALUES,
  type HostileOperation,
  IDEMPOTENCY_KEYS,
  IF_MATCH,
  JSON_VALUES,
  LARGE_JSON_VALUES,
  METADATA_QUERIES,
  NO_OBJECTS,
  NO_TEXT,
  ODD_QUERIES,
  oddlyShaped,
  operations,
  PATH_SEGMENTS,
  QUERY_VALUES,
} from './hostile.values.js';
import { insertJob } from './support.js';

/** A word of another user's, in everything that he wrote. */
const CANARY = 'canary7f3q';
/** Whose rows nobody but him may see or change; the attacker is `mallory`. */
const VICTIM = 'victim';
/** The attacker's own; it is over, so its stream ends. */
const JOB = newId();
const BODY_LIMIT_MB = 2;

const JSON_TYPE = { 'content-type': 'application/json' };
const inSession = ({ path }: HostileOperation) => path.includes('{session_id}');
const attacks = new Map<string, number>();

/** All of the values for a place that is attacked for the first time; for each one like it a twelfth of them, every time another. */
function shareOf<Value>(values: Value[], ...place: unknown[]): Value[] {
  const key = JSON.stringify(place);
  const before = attacks.get(key) ?? 0;
  attacks.set(key, before + 1);
  return before === 0 ? values : values.filter((_, i) => (i + before) % 12 === 0);
}

const isNested = (pointer: string) => pointer.lastIndexOf('/') > 0;
const parameters = (operation: HostileOperation, place: string) =>
  operation.parameters.filter((parameter) => parameter.in === place).map(({ name }) => name);

let service: TestApp;
let agent: Agent;
let requests = 0;
/** one statement that counts every table and digests the victim's rows */
let snapshotSql: string;
/** deletes the rows of mallory's sessions */
let forgetSql: string;

beforeAll(async () => {
  // nobody does the jobs that are asked for: what they write would be taken for a case's
  service = await startApp({ BODY_LIMIT_MB: String(BODY_LIMIT_MB), ROLE: 'api' });
  agent = new Agent({ keepAlive: true });
  await seed();
  await insertJob(service.database, JOB, 'mallory', 'succeeded');
  await insertJob(service.database, newId(), 'mallory');
  await insertJob(service.database, newId(), VICTIM, 'failed', CANARY);
  await prepareStatements();
});
afterAll(async () => {
  agent.destroy();
  await service.close();
  console.log(`${requests} hostile requests`);
});

describe.each(operations)('$id', (operation) => {
  const takesBody = operation.body !== null;
  const queried = operation.parameters.filter((parameter) => parameter.in === 'query');
  const names = queried.map(({ name }) => name);

  if (takesBody) {
    test('a hostile value in every member of the body', async () => {
      const cases = bodiesWithHole(operation).flatMap(({ pointer, schema, around: [before, after] }) =>
        shareOf(
          isNested(pointer) ? FEW_JSON_VALUES : [...JSON_VALUES, ...LARGE_JSON_VALUES],
          'member',
          pointer,
          schema,
        ).map((value) => ({
          what: `${pointer} = ${value.slice(0, 60)}`,
          body: Buffer.from(before + value + after),
          headers: JSON_TYPE,
          expected: NO_TEXT.includes(value) ? [422] : undefined,
          ownOnly: !FEW_JSON_VALUES.includes(value),
        })),
      );
      expect(cases.length).toBeGreaterThan(0);
      await attack(operation, cases);
    });

    test('a body that is not an object, or not JSON', async () => {
      await attack(
        operation,
        shareOf(Object.entries(NO_OBJECTS), 'body', operation.method).map(([what, body]) => ({
          what,
          body,
          headers: JSON_TYPE,
          expected: [400, 413, 422],
        })),
      );
    });

    test('an empty body', () =>
      attack(operation, [{ what: 'empty', body: Buffer.alloc(0), headers: JSON_TYPE }]));

    test('a body over the limit: 413', async () => {
      const body = Buffer.alloc(BODY_LIMIT_MB * 1024 * 1024 + 1, ' ');
      await attack(operation, [
        { what: 'over the limit', body, headers: JSON_TYPE, expected: [413], anywhere: true },
      ]);
    });
  }

  if (operation.method !== 'GET' && operation.scope !== null) {
    test('another Content-Type, or none: 415', async () => {
      const types =
        operation.method === 'PATCH' ? CONTENT_TYPES : [...CONTENT_TYPES, 'application/merge-patch+json'];
      const body = Buffer.from('{"title":"x"}');
      await attack(
        operation,
        shareOf(types, 'type', operation.method)
          .filter((type) => type === null || !operation.mediaTypes.includes(type))
          .map((type) => ({
            what: `Content-Type ${type}`,
            body,
            headers: (type === null ? {} : { 'content-type': type }) as Record<string, string>,
            expected: [415],
            anywhere: true,
          })),
      );
    });
  }

  if (!takesBody && operation.method !== 'GET') {
    test('a body where none is taken', () =>
      attack(
        operation,
        ['null', 'half an object', 'invalid UTF-8', '65 levels'].map((what) => ({
          what,
          body: NO_OBJECTS[what]!,
          headers: JSON_TYPE,
        })),
      ));
  }

  test('a hostile value in every query parameter', () =>
    attack(
      operation,
      queried.flatMap(({ name, schema }) =>
        shareOf(QUERY_VALUES, 'query', name, schema).map((value) => ({
          what: `?${name}`,
          query: `${name}=${value}`,
        })),
      ),
    ));

  test('query parameters twice, in other shapes, unknown', () =>
    attack(
      operation,
      [
        ...shareOf(ODD_QUERIES, 'queries'),
        ...queried.flatMap(({ name, schema }) => shareOf(oddlyShaped(name), 'shape', name, schema)),
      ].map((query) => ({ what: 'query', query })),
    ));

  if (names.includes('metadata')) {
    test('hostile names and values in metadata.<key>', () =>
      attack(
        operation,
        METADATA_QUERIES.map((query) => ({ what: 'metadata', query })),
      ));
  }

  for (const name of parameters(operation, 'path')) {
    test(`a hostile ${name} in the path`, () => {
      const segments = shareOf(PATH_SEGMENTS, 'path', name, operation.method);
      return attack(
        operation,
        segments
          .filter((segment) => !isRoute(operation, name, segment))
          .map((segment) => ({
            what: `{${name}}`,
            params: { [name]: segment },
            expected: [400, 403, 404, 414, 422],
            elsewhere: true,
          })),
      );
    });
  }

  if (names.includes('cursor')) {
    test('garbage cursors', () =>
      attack(
        operation,
        CURSORS.map((cursor) => ({ what: 'cursor', query: `cursor=${cursor}`, expected: [400] })),
      ));

    test('a cursor of ours with another key inside', async () => {
      const orders = operation.parameters.find(({ name }) => name === 'order')?.schema.enum ?? [null];
      for (const order of orders) {
        const own = await standingSession();
        const history = names.includes('history') ? 'history=true&' : '';
        const sorted = order === null ? history : `order=${order}&`;
        const page = await send(operation.method, fill(operation, { session_id: own }, `${sorted}limit=1`));
        const [digest] = JSON.parse(Buffer.from(page.body.next_cursor, 'base64url').toString());
        await attack(
          operation,
          CURSOR_KEYS.map((key) => {
            const cursor = Buffer.from(JSON.stringify([digest, key])).toString('base64url');
            const isText = order === 'title' || order === '-title';
            const expected = isText && Array.isArray(key) && key[0] !== '\0' ? undefined : [400];
            return {
              what: `cursor with ${JSON.stringify(key)}`,
              query: `${sorted}limit=1&cursor=${cursor}`,
              expected,
            };
          }),
        );
      }
    });
  }

  if (names.includes('after')) {
    test('garbage positions', () =>
      attack(
        operation,
        CURSORS.filter((cursor) => cursor !== '').map((after) => ({
          what: 'after',
          query: `after=${after}`,
          expected: [400],
        })),
      ));
  }

  if (parameters(operation, 'header').includes('If-Match')) {
    test('If-Match that is not the version: 412 or 422', () =>
      attack(
        operation,
        shareOf(IF_MATCH, 'tag', operation.method).map((tag) => ({
          what: `If-Match ${tag}`,
          headers: { 'if-match': latin1(tag) },
          expected: [412, 422],
          valid: true,
        })),
      ));
  }

  if (parameters(operation, 'header').includes('Idempotency-Key')) {
    test('Idempotency-Key that is none: 422', () =>
      attack(
        operation,
        shareOf(IDEMPOTENCY_KEYS, 'key').map((key) => ({
          what: `Idempotency-Key ${key}`,
          headers: { 'idempotency-key': latin1(key) },
          expected: [422],
          valid: true,
        })),
      ));
  }

  if (operation.scope !== null) {
    test('X-User-ID that names nobody, or two: 401', async () => {
      const badUsers = [
        ...[
          ['mallory', VICTIM],
          ['mallory', 'mallory'],
          [VICTIM, 'mallory'],
          ['', 'mallory'],
          ['mallory', ''],
        ],
        ...[
          [''],
          [' '],
          ['\xff'],
          ['\xed\xa0\x80'],
          ['a'.repeat(256)],
          [latin1('😀'.repeat(256))],
          [latin1('a\u200b')],
          ['a\tb'],
        ],
      ];
      await attack(
        operation,
        shareOf(badUsers, 'user', operation.method).map((users) => ({
          what: `X-User-ID ${JSON.stringify(users)}`,
          headers: { 'x-user-id': users },
          expected: [401],
          valid: true,
          anywhere: true,
        })),
      );
    });
  }
});

describe('SQL fragments in filters match as text, not as patterns', () => {
  const found = async (query: string) => {
    const answer = await send('GET', `/api/v1/sessions?${query}`, { headers: { 'x-user-id': 'texts' } });
    return (
      answer.body.sessions?.map((session: { session_id: string }) => session.session_id) ?? answer.status
    );
  };

  test.each([
    ['q=%25', ['texts-percent']],
    ['q=_', ['texts-underscore']],
    ['q=%5C', ['texts-backslash']],
    ['q=%27', ['texts-quote']],
    ['q=1%25%5F', []],
    ['tags=%25', ['texts-percent']],
    ['tags=_', ['texts-underscore']],
    ['tags=%5C', ['texts-backslash']],
    ['tags=%27', ['texts-quote']],
    ['metadata.a=%25', ['texts-percent']],
    ['metadata.a=_', ['texts-underscore']],
    ['metadata.a=%5C', ['texts-backslash']],
    ['metadata.a=%27', ['texts-quote']],
    ['metadata.%25=1', ['texts-percent']],
    ['metadata._=1', ['texts-underscore']],
    ['metadata.%5C=1', ['texts-backslash']],
    ['metadata.%27=1', ['texts-quote']],
    ['client_id=%25', ['texts-percent']],
    ['session_type=%27', ['texts-quote']],
    ['agent_id=_', ['texts-underscore']],
  ])('%s', async (query, expected) => expect(await found(query)).toEqual(expected));
});

describe('limits hold to the character', () => {
  const create = (body: string, user = 'limits') =>
    send('POST', '/api/v1/sessions', {
      headers: { ...JSON_TYPE, 'x-user-id': user },
      body: Buffer.from(body),
    });
  const levels = (n: number) => `${'{"a":'.repeat(n - 1)}{}${'}'.repeat(n - 1)}`;

  test.each([
    ['a session_id of 255 characters', JSON.stringify({ session_id: 'i'.repeat(255) }), 201],
    ['a session_id of 256 characters', JSON.stringify({ session_id: 'i'.repeat(256) }), 422],
    ['a client_id of 255 characters of four bytes', JSON.stringify({ client_id: '😀'.repeat(255) }), 201],
    ['a client_id of 256 characters of four bytes', JSON.stringify({ client_id: '😀'.repeat(256) }), 422],
    ['a title of 500 characters', JSON.stringify({ title: 't'.repeat(500) }), 201],
    ['a title of 501 characters', JSON.stringify({ title: 't'.repeat(501) }), 422],
    ['a title of 500 characters of four bytes', JSON.stringify({ title: '😀'.repeat(500) }), 201],
    [
      '50 tags of 100 characters',
      JSON.stringify({ tags: Array.from({ length: 50 }, (_, i) => `${i}`.padEnd(100, 'x')) }),
      201,
    ],
    ['51 tags', JSON.stringify({ tags: Array.from({ length: 51 }, (_, i) => `${i}`) }), 422],
    ['a tag of 101 characters', JSON.stringify({ tags: ['x'.repeat(101)] }), 422],
    ['a body 64 levels deep', `{"metadata":${levels(63)}}`, 201],
    ['a body 65 levels deep', `{"metadata":${levels(64)}}`, 422],
    ['metadata of 256 KiB', JSON.stringify({ metadata: { a: 'x'.repeat(256 * 1024 - 8) } }), 201],
    ['metadata of more', JSON.stringify({ metadata: { a: 'x'.repeat(256 * 1024 - 7) } }), 413],
  ])('%s', async (_, body, status) => expect((await create(body)).status).toBe(status));

  test('a user_id of 255 characters of four bytes, in the header and percent-encoded in the path', async () => {
    const user = '😀'.repeat(255);
    await create('{"title":"mine"}', latin1(user));
    const path = `/api/v1/users/${encodeURIComponent(user)}/sessions`;
    const answer = await send('GET', path, { headers: { 'x-user-id': latin1(user) } });
    // others have given him theirs
    const own = answer.body.sessions.filter(({ title }: { title: string }) => title === 'mine');
    expect(own).toMatchObject([{ user_id: user }]);
  });
});

describe('a viewer', () => {
  test('who appends what is no message is told that he may not: 403', async () => {
    const append = operations.find(({ id }) => id === 'appendMessages')!;
    const inMembers = bodiesWithHole(append).flatMap(({ around: [before, after] }) =>
      FEW_JSON_VALUES.map((value) => Buffer.from(before + value + after)),
    );
    const cases = [...Object.values(NO_OBJECTS), Buffer.alloc(0), ...inMembers].map((body) => ({
      what: body.subarray(0, 100).toString(),
      headers: JSON_TYPE,
      body,
      expected: [403],
    }));
    expect(await together(append, cases, 'viewed')).toEqual([]);
  });
});

interface Hostile {
  what: string;
  query?: string;
  params?: Record<string, string>;
  headers?: Record<string, string | string[]>;
  body?: Buffer;
  /** statuses of the answer to him who may; default: any but a fault of the service */
  expected?: number[];
  /** refused for everybody alike, before anybody looks at the session */
  anywhere?: boolean;
  /** asks for another session than the attacker's or the victim's by its path */
  elsewhere?: boolean;
  /** send the example body with it */
  valid?: boolean;
  /** not to the victim's session too */
  ownOnly?: boolean;
}

/**
 * Makes each request to the attacker's own session, and to the victim's; fails with all that went wrong.
 * A third of what was refused is asked once more, all together, to see that it writes nothing; what is large is watched alone.
 */
async function attack(operation: HostileOperation, cases: Hostile[]): Promise<void> {
  let own = await standingSession();
  const strangers = cases.filter(({ elsewhere, ownOnly }) => inSession(operation) && !elsewhere && !ownOnly);
  // a stranger is refused before anything is read: a part of them, of each kind
  const atVictim = strangers
    .filter((_, i) => i % 6 === 0)
    .map((hostile) => ({
      ...hostile,
      expected: hostile.anywhere ? hostile.expected : [404],
    }));
  const failures = await together(operation, atVictim, 'victim-1');
  if (operation.method === 'GET') {
    failures.push(...(await together(operation, cases, own)));
  } else {
    const { victim } = await snapshot();
    const refused: Hostile[] = [];
    for (const hostile of cases) {
      const before = isLarge(hostile) ? await snapshot() : null;
      const { status, body, faults } = await attempt(operation, hostile, own);
      failures.push(...faults);
      if (status >= 400 && before === null) refused.push({ ...hostile, expected: [status] });
      if (status >= 400 && before !== null && !same(before, await snapshot()))
        failures.push(`${hostile.what} was refused, but wrote`);
      if (status < 300) standing = null;
      if (inSession(operation) && changes(operation, status, body)) own = await freshSession();
    }
    const some = refused.filter((_, i) => i % 3 === 0);
    failures.push(...(await together(operation, some, standing ?? (await freshSession()))));
    if ((await snapshot()).victim !== victim) failures.push('one of the cases changed rows of another user');
  }
  expect(failures).toEqual([]);
}

const isLarge = ({ body }: Hostile) => (body?.length ?? 0) > 100_000;
const same = (a: Snapshot, b: Snapshot) => JSON.stringify(a) === JSON.stringify(b);

/** Whether what was answered leaves the session in another state, so that the next case needs a new one. */
const changes = ({ method }: HostileOperation, status: number, body: Answer['body']) =>
  status < 300 &&
  (method === 'DELETE' ||
    (body?.status ?? 'active') !== 'active' ||
    (body?.user_id ?? 'mallory') !== 'mallory');

/** Cases of which none may write, several at once. */
async function together(operation: HostileOperation, cases: Hostile[], session: string): Promise<string[]> {
  const before = await snapshot();
  const failures: string[] = [];
  const rest = cases.values();
  const worker = async () => {
    for (const hostile of rest) failures.push(...(await attempt(operation, hostile, session)).faults);
  };
  await Promise.all(Array.from({ length: 8 }, worker));
  if (!same(before, await snapshot())) failures.push('one of the cases wrote');
  return failures.sort();
}

async function attempt(operation: HostileOperation, hostile: Hostile, session: string) {
  // what only services may is refused to mallory, most of it before anybody looks at what he sent
  const expected = operation.onlyServices && hostile.expected ? [...hostile.expected, 403] : hostile.expected;
  const example =
    hostile.valid && operation.body !== null ? Buffer.from(JSON.stringify(operation.bodyExample)) : undefined;
  const headers = { ...(example ? JSON_TYPE : {}), ...hostile.headers };
  const path = fill(operation, { session_id: session, ...hostile.params }, hostile.query);
  const faults: string[] = [];
  let answer: Answer | undefined;
  try {
    answer = await send(operation.method, path, { headers, body: hostile.body ?? example });
    if (answer.status >= 500) faults.push('is a fault of the service');
    if (expected && !expected.includes(answer.status))
      faults.push(`expected ${expected}: ${answer.text.slice(0, 200)}`);
    if (carriesCanary(answer)) faults.push(`tells what is another user’s: ${answer.text.slice(0, 200)}`);
    checkAgainstContract(operation.method, path, answer);
  } catch (error) {
    faults.push((error as Error).message.slice(0, 400));
  }
  const where = `${operation.method} ${path.slice(0, 160)} (${hostile.what})`;
  const status = answer?.status ?? 0;
  return { status, body: answer?.body, faults: faults.map((fault) => `${where} → ${status} ${fault}`) };
}

const carriesCanary = ({ text, headers }: Answer) =>
  text.includes(CANARY) || JSON.stringify([...headers]).includes(CANARY);

/** Put there, the segment makes the path of another operation. */
const isRoute = ({ method, path }: HostileOperation, name: string, segment: string) =>
  operations.some((other) => other.method === method && other.path === path.replace(`{${name}}`, segment));

function fill({ path }: HostileOperation, given: Record<string, string>, query?: string): string {
  const params: Record<string, string> = {
    ...{ user_id: 'mallory', message_id: 'message-1', job_id: JOB },
    ...given,
  };
  return path.replace(/\{([^}]+)\}/g, (_, name: string) => params[name] ?? 'x') + (query ? `?${query}` : '');
}

const latin1 = (text: string) => Buffer.from(text, 'utf8').toString('latin1');

interface Sent {
  headers?: Record<string, string | string[]>;
  body?: Buffer;
}

/** Sends path, headers and body byte for byte, as mallory unless the headers say otherwise. */
async function send(method: string, path: string, { headers = {}, body }: Sent = {}): Promise<Answer> {
  requests++;
  const { port } = new URL(service.url);
  const length: Record<string, string> = body ? { 'content-length': String(body.length) } : {};
  const answer = await new Promise<Answer>((resolve, reject) => {
    const sent = request(
      {
        host: '127.0.0.1',
        port,
        agent,
        method,
        path,
        headers: { 'x-user-id': 'mallory', ...length, ...headers },
      },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () => {
          const text = Buffer.concat(chunks).toString('utf8');
          const received = new Headers(
            Object.entries(response.headers).map(([name, value]) => [name, String(value)]),
          );
          const isJson = /[/+]json/.test(received.get('content-type') ?? '');
          resolve({
            status: response.statusCode!,
            headers: received,
            text,
            body: isJson ? JSON.parse(text) : undefined,
          });
        });
      },
    );
    sent.on('error', reject);
    sent.end(body);
  });
  return answer;
}

/** The attacker's session, one of two, as long as nothing has been written by him. */
let standing: string | null = null;

/** …made anew then; what earlier cases left is removed: lists stay short. */
async function standingSession(): Promise<string> {
  if (standing === null) {
    await service.database.pool.query(forgetSql);
    await freshSession();
    standing = await freshSession();
  }
  return standing;
}

let sessions = 0;

/** A session of mallory's with some messages, shared with somebody. */
async function freshSession(): Promise<string> {
  const id = `mallory-${sessions++}`;
  await makeSession({ session_id: id, user_id: 'mallory', title: `Mine ${sessions}` }, 'Mine');
  const shared = { user_ids: ['friend'], role: 'viewer' };
  expect((await service.api.as('mallory').post(`/api/v1/sessions/${id}/share`, shared)).status).toBe(200);
  return id;
}

async function makeSession(
  body: { session_id: string } & Record<string, unknown>,
  content: string,
): Promise<void> {
  const key = service.api.service(SERVICE_KEY);
  const messages = ['message-1', 'message-2'].map((message_id) => ({ message_id, role: 'user', content }));
  expect((await key.post('/api/v1/sessions', { ...body, checkpoint: { step: 1 } })).status).toBe(201);
  const second = await key.post(`/api/v1/sessions/${body.session_id}/checkpoints`, {
    checkpoint: { step: 2 },
  });
  expect(second.status).toBe(201);
  expect((await key.post(`/api/v1/sessions/${body.session_id}/messages`, { messages })).status).toBe(201);
  for (const place of [`/api/v1/sessions/${body.session_id}`, `/api/v1/users/${body.user_id}`]) {
    for (const value of [1, 2, content])
      expect((await key.put(`${place}/memory/x`, { value })).status).toBeLessThan(300);
    await key.put(`${place}/memory/y`, { value: content });
  }
  const stats = await key.put(`/api/v1/sessions/${body.session_id}/stats`, { a: 1, metadata: { content } });
  expect(stats.status).toBe(200);
  for (const model_name of ['m', content]) {
    const usage = { model_type: 'llm', model_name };
    const at = `/api/v1/sessions/${body.session_id}/model-usage`;
    expect((await key.put(at, usage)).status).toBe(200);
  }
}

async function seed(): Promise<void> {
  const secrets = {
    user_id: VICTIM,
    title: `Title ${CANARY}`,
    description: `About ${CANARY}`,
    tags: [CANARY],
    metadata: { ticket: CANARY, [CANARY]: 1 },
    context: { secret: CANARY },
    client_id: CANARY,
  };
  for (const session_id of ['victim-1', 'victim-2'])
    await makeSession({ session_id, ...secrets }, `Hello ${CANARY}`);
  await makeSession({ session_id: 'viewed', user_id: 'friend', title: 'Shared' }, 'Hello');
  const shared = { user_ids: ['mallory'], role: 'viewer' };
  expect((await service.api.as('friend').post('/api/v1/sessions/viewed/share', shared)).status).toBe(200);
  const marks = { percent: '%', underscore: '_', backslash: '\\', quote: "'" };
  for (const [name, mark] of Object.entries(marks)) {
    const named = { client_id: mark, agent_id: mark, session_type: mark };
    const body = { title: `100${mark}`, tags: [mark], metadata: { a: mark, [mark]: 1 }, ...named };
    await makeSession({ session_id: `texts-${name}`, user_id: 'texts', ...body }, 'Hello');
  }
}

/** Statements over every table there is: what a session owns is told by its key. */
async function prepareStatements(): Promise<void> {
  const { rows } = await service.database.pool.query<{ name: string; key: string | null }>(
    `select t.tablename as name, (select column_name from information_schema.columns c
       where c.table_schema = 'public' and c.table_name = t.tablename
         and (column_name in ('session_key', 'aggregate_key', 'space_key')
           or column_name = 'key' and t.tablename in ('sessions', 'session_details', 'memory_spaces')) limit 1) as key
     from pg_tables t where t.schemaname = 'public' order by tablename = 'sessions', 1`,
  );
  expect(rows.map(({ name }) => name)).toEqual(expect.arrayContaining(['sessions', 'messages', 'events']));
  const keyed = rows.filter(({ key }) => key !== null);
  const of = (user: string) => `(select key from sessions where user_id = '${user}')`;
  const counts = rows.map(({ name }) => `'${name}', (select count(*) from "${name}")`);
  const digests = keyed.map(
    ({ name, key }) =>
      `(select md5(string_agg(t::text, '|' order by t::text)) from "${name}" t where t."${key}" in ${of(VICTIM)})`,
  );
  snapshotSql = `select json_build_object(${counts}) as counts, concat_ws(' ', ${digests}) as victim,
    (select sum(version + message_count + event_seq) from sessions) as changes`;
  forgetSql = keyed
    .map(({ name, key }) => `delete from "${name}" where "${key}" in ${of('mallory')}`)
    .join(';');
}

interface Snapshot {
  counts: object;
  victim: string;
  /** moves with every change of any session */
  changes: string;
}

const snapshot = async (): Promise<Snapshot> => (await service.database.pool.query(snapshotSql)).rows[0];
