// Sessions as large as is asked for, and what a process takes while something is done with them.
import { readFileSync } from 'node:fs';
import { DataSource } from 'typeorm';
import { dataSourceOptions } from '../dist/src/database/data-source.js';
import { Database } from '../dist/src/database/database.js';
import { createPostgresStore } from '../dist/src/vectors/backends/postgres/create-postgres-store.js';
import { createQdrantStores } from '../dist/src/vectors/backends/qdrant/create-qdrant-stores.js';
import { startService } from './service.mjs';

export const SIZE = 384;
export const SHAPE = { '': { size: SIZE, distance: 'dot' } };
/** What one collection in PostgreSQL may hold. */
export const MOST_IN_POSTGRES = 50_000;
export const OWNER = { 'x-user-id': 'mover' };
const PAGE = 1000;

/** What is measured with each store: its name, the environment of the service. */
export function backends() {
  const { QDRANT_URL } = process.env;
  if (!QDRANT_URL) console.log('(Qdrant is not measured: set QDRANT_URL)\n');
  const qdrant = ['dedicated', 'shared'].map((layout) => ({
    name: `Qdrant, ${layout}`,
    env: { QDRANT_URL, QDRANT_LAYOUT: layout },
  }));
  return [{ name: 'PostgreSQL', env: {} }, ...(QDRANT_URL ? qdrant : [])];
}

/** The service, with nothing to do but what it is asked for: what is read for search would take its share of the machine. */
export const start = (postgres, env) =>
  startService(postgres.url, 8721, { INDEX_SECONDS: '3600', SWEEP_SECONDS: '3600', ...env });

export async function call(service, method, path, body, headers = {}) {
  const type = body && { 'content-type': 'application/json' };
  const answer = await fetch(service.url + path, {
    method,
    headers: { ...OWNER, ...type, ...headers },
    body: body && JSON.stringify(body),
  });
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
  return answer.status === 204 ? null : answer.json();
}

/** A session with messages of 500 bytes, and points from an id on; answers its id. */
export async function fill(service, messages, points, from = 0) {
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
      ...{
        id: from + at + n,
        vector: Array.from({ length: SIZE }, number),
        payload: { n, topic: 'billing' },
      },
    }));
    await call(service, 'PUT', `${path}/${id}/points`, { points: batch });
  }
  return id;
}

export const forget = (service, id) => call(service, 'DELETE', `/api/v1/sessions/${id}?permanent=true`);

/** How long it took, and by how many MB the process had grown at most meanwhile. */
export async function measured(service, work) {
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

/** The stores themselves, without the service. */
export async function openStores(postgres, env) {
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

/** Reads pages of points and writes them elsewhere, one after the other, and nothing else. */
export async function copyPoints(vectors, from, to) {
  const copy = { name: to, shape: SHAPE };
  await vectors.ensure(copy);
  for (let after; after !== null; ) {
    const request = { limit: PAGE, payload: true, vectors: true, ...(after !== undefined && { after }) };
    const page = await vectors.scan({ name: from, shape: SHAPE }, request);
    await vectors.upsert(copy, page.points);
    after = page.next;
  }
}
