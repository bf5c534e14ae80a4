import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startEmbeddedPostgres } from '../../src/database/embedded/embedded-postgres.js';
import { Api } from '../setup/api.js';
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

test('SIGTERM finishes what runs', async () => {
  const service = await startService({ DATABASE_URL: database.url });
  await service.api.as('bob').post('/sessions', { session_id: 'last-orders' });
  const { rows } = await database.pool.query(`select key from sessions where id = 'last-orders'`);
  const holder = await database.pool.connect();
  await holder.query('begin');
  await holder.query('select from sessions where key = $1 for update', [rows[0].key]);
  const running = service.api
    .as('bob')
    .post('/sessions/last-orders/messages', { role: 'user', content: 'wait for me' });
  while (
    !(
      await database.pool.query(
        `select from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()`,
      )
    ).rowCount
  ) {}
  service.kill('SIGTERM');
  while (
    await new Api(service.url).get('/health/live').then(
      () => true,
      () => false,
    )
  ) {}
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

test('a port that is taken, and a schema newer than the code, stop the start with one line', async () => {
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
  await database.pool.query(
    `insert into migrations (timestamp, name) values (9999999999999, 'Future9999999999999')`,
  );
  const newer = await refusedStart({ DATABASE_URL: database.url });
  expect(newer).toMatchObject({
    status: 1,
    text: expect.stringMatching(/^session-service: the database's schema is newer than this version.*\n$/),
  });
});
