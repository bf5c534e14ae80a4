import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort, type Service, startService } from '../setup/service.js';

const WRITERS = 16;
const KILLS = 21;

/** Which process is killed: the service, its PostgreSQL, or both in the same instant. */
const VICTIMS = ['service', 'service', 'postgres', 'both'] as const;

const folder = mkdtempSync(join(tmpdir(), 'session-service-kill-'));
let service: Service;
let environment: NodeJS.ProcessEnv;

beforeAll(async () => {
  environment = { DATA_DIR: folder, PORT: String(await freePort()), LOG_LEVEL: 'silent' };
  service = await startService(environment);
});

afterAll(async () => {
  service.kill('SIGTERM');
  await service.exited;
  rmSync(folder, { recursive: true, force: true });
});

const postmaster = () =>
  Number(readFileSync(join(folder, 'postgres', 'postmaster.pid'), 'utf8').split('\n', 1)[0]);
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

test('21 × kill -9 under 16 retrying writers: every acknowledged message is there once', async () => {
  await service.api.as('alice').post('/sessions', { session_id: 'survivor' });
  const acknowledged = new Map<string, { id: string; seq: number }>();
  let isDone = false;
  let retries = 0;

  /** Sends a message again and again, under the same key, until it is acknowledged. */
  const send = async (text: string) => {
    for (;;) {
      const answer = await service.api
        .as('alice')
        .post(
          '/sessions/survivor/messages',
          { role: 'user', content: text, tokens_used: 1 },
          { 'idempotency-key': text },
        )
        .catch((error: unknown) => {
          if (
            error instanceof Error &&
            error.message !== 'fetch failed' &&
            error.name !== 'SocketError' &&
            error.message !== 'terminated'
          )
            throw error;
          return null;
        });
      if (answer?.status === 201 || answer?.status === 200) {
        acknowledged.set(text, { id: answer.body.message_id, seq: answer.body.seq });
        return;
      }
      if (answer && answer.status !== 503) throw new Error(`${answer.status} ${answer.text}`);
      retries++;
      await pause(20);
    }
  };
  const writers = Array.from({ length: WRITERS }, async (_, writer) => {
    for (let i = 0; !isDone; i++) await send(`${writer}/${i}`);
  });

  const killed: Record<string, number> = {};
  for (let kill = 0; kill < KILLS; kill++) {
    const before = acknowledged.size;
    while (acknowledged.size < before + 50) await pause(10);
    await pause((kill * 37) % 100);
    const victim = VICTIMS[kill % VICTIMS.length]!;
    killed[victim] = (killed[victim] ?? 0) + 1;
    if (victim !== 'service') process.kill(postmaster(), 'SIGKILL');
    if (victim === 'postgres') continue;
    service.kill('SIGKILL');
    await service.exited;
    service = await startService(environment);
  }
  isDone = true;
  await Promise.all(writers);

  const stored = new Map<string, { id: string; seq: number }>();
  for (let after = 0; ; ) {
    const { body } = await service.api
      .as('alice')
      .get(`/sessions/survivor/messages?limit=1000&after_seq=${after}`);
    for (const message of body.messages) {
      expect(stored.has(message.content)).toBe(false);
      stored.set(message.content, { id: message.message_id, seq: message.seq });
    }
    if (!body.has_more) break;
    after = body.messages.at(-1).seq;
  }
  for (const [text, message] of acknowledged) expect(stored.get(text)).toEqual(message);
  expect([...stored.values()].map((message) => message.seq)).toEqual(
    Array.from({ length: stored.size }, (_, i) => i + 1),
  );
  const { body: session } = await service.api.as('alice').get('/sessions/survivor');
  expect(session).toMatchObject({ message_count: stored.size, total_tokens: stored.size });
  expect(stored.size).toBe(acknowledged.size);
  console.log(
    `${KILLS} kill -9 (${JSON.stringify(killed)}), ${retries} retries: ${acknowledged.size} messages acknowledged, every one is there once`,
  );
}, 300_000);
