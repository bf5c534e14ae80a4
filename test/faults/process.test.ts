import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { get, type IncomingMessage } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { json } from 'node:stream/consumers';
import { startEmbeddedPostgres } from '../../src/database/embedded/embedded-postgres.js';
import { createDatabase, type TestDatabase } from '../setup/database.js';
import { startProxy } from '../setup/pg-proxy.js';
import { freePort, startService } from '../setup/service.js';

const folders: string[] = [];
const newFolder = () => {
  folders.push(mkdtempSync(join(tmpdir(), 'session-service-process-')));
  return folders.at(-1)!;
};
let database: TestDatabase;
beforeAll(async () => {
  database = await createDatabase();
});
afterAll(async () => {
  await database.drop();
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

/** Starts the built service where it must not start: its exit status and what it said. */
async function refusedStart(
  environment: NodeJS.ProcessEnv,
): Promise<{ status: number | null; text: string }> {
  const child = spawn(process.execPath, ['dist/src/main.js'], {
    env: { PATH: process.env.PATH, ...environment },
  });
  let text = '';
  child.stderr.on('data', (chunk) => {
    text += chunk;
  });
  const status = await new Promise<number | null>((resolve) => child.once('close', resolve));
  return { status, text };
}

/** A connection that was made in the instant of closing is reset instead: then the next one is refused. */
async function whenRefused(url: string): Promise<void> {
  for (;;) {
    const socket = connect(Number(new URL(url).port), '127.0.0.1');
    const code = await new Promise<string>((resolve) => {
      socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? ''));
      socket.once('close', () => resolve('closed'));
    });
    if (code === 'ECONNREFUSED') return;
    expect(['closed', 'ECONNRESET']).toContain(code);
  }
}

test('PostgreSQL stopped while serving: 503 with Retry-After; back: it recovers by itself', async () => {
  const log = { info: () => undefined, warn: () => undefined, error: () => undefined };
  const dataDir = newFolder();
  let postgres = await startEmbeddedPostgres({ dataDir, servesAt: 'a test', log });
  const proxy = await startProxy(postgres.url); // keeps the address while the server comes back on another port
  const service = await startService({ DATABASE_URL: proxy.url });
  const alice = service.api.as('alice');
  await alice.post('/sessions', { session_id: 'one' });
  const acknowledged = [
    (await alice.post('/sessions/one/messages', { role: 'user', content: 'before' })).body.message_id,
  ];

  await postgres.stop();
  for (const request of [
    () => alice.post('/sessions/one/messages', { role: 'user', content: 'meanwhile' }),
    () => alice.post('/sessions', { session_id: 'two' }),
    () => alice.patch('/sessions/one', { title: 'x' }),
    () => alice.get('/sessions/one/messages'),
    () => alice.get('/sessions'),
    () => alice.get('/events'),
  ]) {
    const answer = await request();
    expect(answer.status).toBe(503);
    expect(answer.body.code).toBe('database_unavailable');
    expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0);
  }
  expect((await service.api.get('/health')).status).toBe(503);
  expect((await service.api.get('/health/live')).status).toBe(200);

  postgres = await startEmbeddedPostgres({ dataDir, servesAt: 'a test', log });
  proxy.retarget(postgres.url);
  while ((await service.api.get('/health/ready')).status !== 200)
    await new Promise((resolve) => setTimeout(resolve, 20));
  acknowledged.push(
    (await alice.post('/sessions/one/messages', { role: 'user', content: 'after' })).body.message_id,
  );
  const { body } = await alice.get('/sessions/one/messages');
  expect(body.messages.map((message: { message_id: string }) => message.message_id)).toEqual(acknowledged);
  service.kill('SIGTERM');
  expect(await service.exited).toBe(0);
  await proxy.close();
  await postgres.stop();
}, 120_000);

test('a connection lost within a transaction: 503, and the service goes on', async () => {
  const proxy = await startProxy(database.url);
  const service = await startService({ DATABASE_URL: proxy.url });
  const alice = service.api.as('alice');
  await alice.post('/sessions', { session_id: 'cut-off', title: 'before' });
  const holder = await database.pool.connect();
  const cuts = {
    'by an operator': () =>
      database.pool.query(
        `select pg_terminate_backend(pid) from pg_stat_activity
         where datname = current_database() and application_name = 'session-service'`,
      ),
    'by the network': () => proxy.cut(),
  };
  for (const cut of Object.values(cuts)) {
    await holder.query('begin');
    await holder.query(`select from sessions where id = 'cut-off' for update`);
    const waiting = [
      alice.patch('/sessions/cut-off', { title: 'after' }),
      alice.post('/sessions/cut-off/pause', undefined, { 'idempotency-key': 'k' }),
    ];
    await whenWaiting(2);
    await cut();
    for (const answer of await Promise.all(waiting)) {
      expect(answer.body.code).toBe('database_unavailable');
      expect(answer.status).toBe(503);
    }
    await holder.query('rollback');
    const { body } = await alice.get('/sessions/cut-off');
    expect(body).toMatchObject({ title: 'before', status: 'active', version: 1 });
  }
  holder.release();
  service.kill('SIGTERM');
  expect(await service.exited).toBe(0);
  await proxy.close();
});

/** Until so many statements wait for a lock. */
async function whenWaiting(count: number): Promise<void> {
  const look = () =>
    database.pool.query(
      `select from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()`,
    );
  while ((await look()).rowCount! < count) await new Promise((resolve) => setTimeout(resolve, 10));
}

test('SIGTERM sends what is being sent to the end', async () => {
  const service = await startService({ DATABASE_URL: database.url });
  const carol = service.api.as('carol');
  await carol.post('/sessions', { session_id: 'large' });
  for (let i = 0; i < 7; i++)
    await carol.post('/sessions/large/messages', { role: 'user', content: `${i}`.repeat(1_000_000) });
  const request = get(`${service.url}/sessions/large/messages`, { headers: { 'x-user-id': 'carol' } });
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  response.pause();
  service.kill('SIGTERM');
  await new Promise((resolve) => setTimeout(resolve, 1_000)); // long enough for an idle connection to be closed
  const { messages } = (await json(response)) as { messages: unknown[] };
  expect(messages).toHaveLength(7);
  expect(await service.exited).toBe(0);
});

test('SIGTERM sends the answers that stand in line', async () => {
  const service = await startService({ DATABASE_URL: database.url });
  const fred = service.api.as('fred');
  for (const session_id of ['first', 'second'])
    await fred.post('/sessions', { session_id: `line-${session_id}` });
  const holder = await database.pool.connect();
  await holder.query('begin');
  await holder.query(`select from sessions where id = 'line-first' for update`);
  const socket = connect(Number(new URL(service.url).port), '127.0.0.1');
  let text = '';
  socket.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
  });
  for (const session of ['first', 'second'])
    socket.write(
      `POST /sessions/line-${session}/heartbeat HTTP/1.1\r\nHost: x\r\nX-User-ID: fred\r\nContent-Length: 0\r\n\r\n`,
    );
  await whenWaiting(1);
  await new Promise((resolve) => setTimeout(resolve, 300));
  service.kill('SIGTERM');
  await new Promise((resolve) => setTimeout(resolve, 500));
  await holder.query('rollback');
  holder.release();
  await once(socket, 'close');
  expect(text.match(/"session_id":"line-(first|second)"/g)).toHaveLength(2);
  expect(await service.exited).toBe(0);
});

test('requests whose sender is gone hold up no end', async () => {
  const service = await startService({ DATABASE_URL: database.url });
  for (let i = 0; i < 20; i++) {
    const socket = connect(Number(new URL(service.url).port), '127.0.0.1');
    await once(socket, 'connect');
    socket.write('GET /sessions HTTP/1.1\r\nHost: x\r\nX-User-ID: eve\r\n\r\n'.repeat(50));
    socket.resetAndDestroy();
  }
  expect((await service.api.get('/health/live')).status).toBe(200);
  service.kill('SIGTERM');
  expect(await service.exited).toBe(0);
});

test('a body from nobody, or for no route, is not read', async () => {
  const service = await startService({ DATABASE_URL: database.url });
  for (const [path, status] of [
    ['/sessions', 401],
    ['/nowhere', 404],
  ] as const) {
    const socket = connect(Number(new URL(service.url).port), '127.0.0.1');
    let text = '';
    socket.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
    });
    socket.write(
      `POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 8000000\r\n\r\n{`,
    );
    await once(socket, 'close');
    expect(text).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
    expect(text).toMatch(/connection: close/i);
  }
  service.kill('SIGTERM');
  expect(await service.exited).toBe(0);
});

test('one connection to PostgreSQL is enough', async () => {
  const service = await startService({ DATABASE_URL: database.url, DATABASE_POOL_SIZE: '1' });
  const dave = service.api.as('dave');
  const { body } = await dave.post('/sessions', {});
  const answers = await Promise.all(
    Array.from({ length: 20 }, (_, i) =>
      i % 2
        ? dave.post(`/sessions/${body.session_id}/messages`, { role: 'user', content: `${i}` })
        : dave.patch(`/sessions/${body.session_id}`, { title: `${i}` }),
    ),
  );
  expect(answers.map((answer) => answer.status)).toEqual(answers.map((_, i) => (i % 2 ? 201 : 200)));
  service.kill('SIGTERM');
  expect(await service.exited).toBe(0);
});

test('SIGTERM finishes what runs, however long it takes', async () => {
  const service = await startService({ DATABASE_URL: database.url });
  await service.api.as('bob').post('/sessions', { session_id: 'last-orders' });
  const { rows } = await database.pool.query(`select key from sessions where id = 'last-orders'`);
  const holder = await database.pool.connect();
  await holder.query('begin');
  await holder.query('select from sessions where key = $1 for update', [rows[0].key]);
  const running = service.api
    .as('bob')
    .post('/sessions/last-orders/messages', { role: 'user', content: 'wait for me' });
  await whenWaiting(1);
  const keptAlive = connect(Number(new URL(service.url).port), '127.0.0.1');
  await once(keptAlive, 'connect');
  service.kill('SIGTERM');
  await once(keptAlive, 'close'); // idle ones are ended at once
  await whenRefused(service.url);
  await new Promise((resolve) => setTimeout(resolve, 12_000)); // longer than any library's patience
  await holder.query('rollback');
  holder.release();
  expect((await running).status).toBe(201);
  expect(await service.exited).toBe(0);
});

test('a second start in one folder says so and does not hurt the first', async () => {
  const environment = { DATA_DIR: newFolder(), PORT: String(await freePort()) };
  const first = await startService(environment);
  const second = await refusedStart({ ...environment, PORT: String(await freePort()) });
  expect(second.status).toBe(1);
  expect(second.text.trim().split('\n')).toHaveLength(1);
  expect(second.text).toContain(String(first.pid));
  expect((await first.api.as('alice').post('/sessions', {})).status).toBe(201);
  first.kill('SIGTERM');
  expect(await first.exited).toBe(0);
});

test.each([
  [
    'a wrong value',
    { PORT: 'eighty' },
    /^session-service: PORT=eighty is not accepted: give a whole number from 0 to 65535$/,
  ],
  [
    'a secret stays one',
    { GATEWAY_SECRET: 'short' },
    /^session-service: GATEWAY_SECRET=\(secret\) is not accepted: give at least 16 characters$/,
  ],
  [
    'AUTH_MODE=none beyond loopback',
    { AUTH_MODE: 'none', HOST: '0.0.0.0' },
    /AUTH_MODE=none with HOST=0\.0\.0\.0 is not accepted/,
  ],
  [
    'nobody at the address',
    { DATABASE_URL: 'postgres://u:secret-word@127.0.0.1:1/x' },
    /PostgreSQL at 127\.0\.0\.1:1\/x does not let us in/,
  ],
])('the start stops with one line: %s', async (_name, environment, expected) => {
  const { status, text } = await refusedStart(environment);
  expect(status).toBe(1);
  expect(text.trim()).toMatch(expected);
  expect(text.trim().split('\n')).toHaveLength(1);
  expect(text).not.toContain('secret-word');
});

test('a port that is taken, a language PostgreSQL does not know, and a schema newer than the code stop the start with one line', async () => {
  const service = await startService({ DATABASE_URL: database.url });
  const taken = await refusedStart({ DATABASE_URL: database.url, PORT: new URL(service.url).port });
  expect(taken).toMatchObject({
    status: 1,
    text: expect.stringMatching(
      /^session-service: PORT=\d+ on 127\.0\.0\.1 is taken by another process.*\n$/,
    ),
  });
  service.kill('SIGTERM');
  await service.exited;
  const foreign = await refusedStart({ DATABASE_URL: database.url, SEARCH_LANGUAGE: 'klingon' });
  expect(foreign).toMatchObject({
    status: 1,
    text: expect.stringMatching(/^session-service: SEARCH_LANGUAGE=klingon is not accepted: .*\n$/),
  });
  await database.pool.query(
    `insert into migrations (timestamp, name) values (9999999999999, 'Future9999999999999')`,
  );
  const newer = await refusedStart({ DATABASE_URL: database.url });
  expect(newer).toMatchObject({
    status: 1,
    text: expect.stringMatching(/^session-service: the database's schema is newer than this version.*\n$/),
  });
});
