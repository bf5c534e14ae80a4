// Export and import of one large session: their time beside that of a bare copy loop over the same stores, and what memory they take.
import { createReadStream, createWriteStream, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { DataSource } from 'typeorm';
import { dataSourceOptions } from '../dist/src/database/data-source.js';
import { Database } from '../dist/src/database/database.js';
import { MessageTransferRepository } from '../dist/src/messages/message-transfer.repository.js';
import { createPostgresStore } from '../dist/src/vectors/backends/postgres/create-postgres-store.js';
import { createQdrantStores } from '../dist/src/vectors/backends/qdrant/create-qdrant-stores.js';
import { startService } from './service.mjs';

const [MESSAGES, POINTS, SIZE, PAGE] = [40_000, 100_000, 384, 1000];
/** What one collection in PostgreSQL may hold. */
const MOST_IN_POSTGRES = 50_000;
const OWNER = { 'x-user-id': 'mover' };
const SHAPE = { '': { size: SIZE, distance: 'dot' } };

export async function measureTransfer(postgres, share) {
  console.log(
    `\nExport and import of a session with ${Math.round(MESSAGES * share)} messages of 500 bytes\n`,
  );
  console.log(
    '| vectors in | points of 384 | MB as NDJSON | export s | import s | copy loop s | export : copy | import : copy | memory grew by MB: export | import |',
  );
  console.log('|---|---|---|---|---|---|---|---|---|---|');
  await measureIn('PostgreSQL', {}, Math.min(POINTS * share, MOST_IN_POSTGRES), postgres, share);
  const { QDRANT_URL } = process.env;
  if (!QDRANT_URL) return console.log('\nQdrant was not measured: set QDRANT_URL');
  for (const layout of ['dedicated', 'shared'])
    await measureIn(
      `Qdrant, ${layout}`,
      { QDRANT_URL, QDRANT_LAYOUT: layout },
      POINTS * share,
      postgres,
      share,
    );
}

async function measureIn(name, env, points, postgres, share) {
  const folder = mkdtempSync(join(tmpdir(), 'session-service-transfer-'));
  const file = join(folder, 'export.ndjson');
  // what is read for search would take its share of the machine
  const start = () =>
    startService(postgres.url, 8721, { INDEX_SECONDS: '3600', SWEEP_SECONDS: '3600', ...env });
  let service = await start();
  const stores = await openStores(postgres, env);
  try {
    const id = await fill(service, Math.round(MESSAGES * share), points);
    // each by a process that has done nothing before, so that all it takes is seen
    const anew = async () => {
      await service.stop();
      service = await start();
    };
    await anew();
    const exported = await measured(service, () => exportTo(service, id, file));
    await anew();
    const imported = await measured(service, () => importFrom(service, createReadStream(file)));
    const copied = await copyLoop(postgres, stores, id);
    const cells = [name, points, Math.round(statSync(file).size / 1e6)];
    const times = [exported.seconds, imported.seconds, copied].map((seconds) => seconds.toFixed(1));
    const ratios = [exported, imported].map(({ seconds }) => (seconds / copied).toFixed(2));
    console.log(
      `| ${[...cells, ...times, ...ratios, Math.round(exported.grown), Math.round(imported.grown)].join(' | ')} |`,
    );
    for (const one of [id, imported.result.session.session_id]) await forget(service, one);
  } finally {
    await stores.close();
    await service.stop();
    rmSync(folder, { recursive: true });
  }
}

/** A session as large as is asked for, brought in without an end line's digest being known beforehand: by the API. */
async function fill(service, messages, points) {
  const path = '/api/v1/sessions';
  const { session_id: id } = await call(service, 'POST', path, {});
  const content = 'lorem ipsum '.repeat(40);
  for (let left = messages; left > 0; left -= PAGE) {
    const batch = Array.from({ length: Math.min(PAGE, left) }, () => ({ role: 'user', content }));
    await call(service, 'POST', `${path}/${id}/messages`, { messages: batch });
  }
  await call(service, 'PUT', `${path}/${id}/collection`, { vectors: SHAPE[''] });
  const number = () => Math.fround(Math.random() - 0.5);
  for (let at = 0; at < points; at += 250) {
    const batch = Array.from({ length: Math.min(250, points - at) }, (_, n) => ({
      ...{ id: at + n, vector: Array.from({ length: SIZE }, number), payload: { n, topic: 'billing' } },
    }));
    await call(service, 'PUT', `${path}/${id}/points`, { points: batch });
  }
  return id;
}

async function call(service, method, path, body) {
  const headers = { ...OWNER, ...(body && { 'content-type': 'application/json' }) };
  const answer = await fetch(service.url + path, { method, headers, body: body && JSON.stringify(body) });
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
  return answer.status === 204 ? null : answer.json();
}

const forget = (service, id) => call(service, 'DELETE', `/api/v1/sessions/${id}?permanent=true`);

async function exportTo(service, id, file) {
  const headers = { ...OWNER, 'accept-encoding': 'identity' };
  const answer = await fetch(`${service.url}/api/v1/sessions/${id}/export`, { headers });
  await pipeline(Readable.fromWeb(answer.body), createWriteStream(file));
}

/** By Node's own client, which waits while the service does. */
function importFrom(service, source) {
  return new Promise((resolve, reject) => {
    const headers = { ...OWNER, 'content-type': 'application/x-ndjson' };
    const sent = request(`${service.url}/api/v1/sessions/import`, { method: 'POST', headers }, (answer) => {
      let text = '';
      answer.setEncoding('utf8').on('data', (chunk) => {
        text += chunk;
      });
      answer.on('end', () =>
        answer.statusCode === 201 ? resolve(JSON.parse(text)) : reject(new Error(text)),
      );
    });
    sent.on('error', reject);
    source.pipe(sent);
  });
}

/** How long it took, and by how much the process had grown at most meanwhile. */
async function measured(service, work) {
  const before = memoryOf(service);
  let most = before;
  const timer = setInterval(() => {
    most = Math.max(most, memoryOf(service));
  }, 50);
  const begun = performance.now();
  const result = await work();
  const seconds = (performance.now() - begun) / 1000;
  clearInterval(timer);
  return { result, seconds, grown: most - before };
}

const memoryOf = ({ pid }) =>
  Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) / 1024;

async function openStores(postgres, env) {
  const source = await new DataSource(dataSourceOptions(postgres.url, 4)).initialize();
  const database = new Database(source, console);
  const own = createPostgresStore(database);
  const qdrant = env.QDRANT_URL && (await createQdrantStores({ ...env, QDRANT_PORT: 6333 }));
  return {
    database,
    vectors: qdrant ? qdrant[env.QDRANT_LAYOUT] : own.store,
    close: async () => {
      await own.close();
      await source.destroy();
    },
  };
}

/** Reads pages and writes them elsewhere, one after the other, and nothing else. */
async function copyLoop(postgres, { database, vectors }, id) {
  const [session] = await postgres.query(
    `select s.key::int, s.message_count::int as count, c.name from sessions s join collections c on c.session_key = s.key where s.id = $1`,
    [id],
  );
  const messages = new MessageTransferRepository(database);
  const space = { name: session.name, shape: SHAPE };
  const copy = { name: `${session.name}_copy`, shape: SHAPE };
  const begun = performance.now();
  for (let after = 0; after < session.count; ) {
    const page = await messages.findPage(session.key, after, session.count);
    await database.query({ text: COPY }, [-session.key, JSON.stringify(page)]);
    after = page.at(-1).seq;
  }
  await vectors.ensure(copy);
  for (let after; after !== null; ) {
    const page = await vectors.scan(space, { limit: PAGE, payload: true, vectors: true, after });
    await vectors.upsert(copy, page.points);
    after = page.next;
  }
  const seconds = (performance.now() - begun) / 1000;
  await vectors.drop(copy.name);
  await postgres.query('delete from messages where session_key = $1', [-session.key]);
  return seconds;
}

const COPY = `
  insert into messages (session_key, seq, message_id, role, content, message_type, metadata, bytes, created_at)
  select $1::bigint, seq, message_id, role, content, message_type, metadata, 1, created_at
  from json_to_recordset($2::json) as m(seq bigint, message_id text, role text, content json, message_type text,
    metadata json, created_at timestamptz)`;
