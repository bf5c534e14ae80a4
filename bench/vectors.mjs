// Points: written and found through the service, beside what the store does alone.
import { QdrantClient } from '@qdrant/js-client-rest';
import pg from 'pg';
import { startService } from './service.mjs';

const [SIZE, POINTS, BATCH, CONNECTIONS, SECONDS] = [384, 10_000, 20, 16, 4];
const OWNER = { 'x-user-id': 'vectorer', 'content-type': 'application/json' };

const vector = () => Array.from({ length: SIZE }, () => Number((Math.random() - 0.5).toFixed(6)));
// made once: to make them would cost more than to send them
const VECTORS = Array.from({ length: 200 }, vector);
const any = () => VECTORS[Math.floor(Math.random() * VECTORS.length)];
const points = (from = Math.floor(Math.random() * POINTS)) =>
  Array.from({ length: BATCH }, (_, n) => ({ id: (from + n) % POINTS, vector: any(), payload: { n } }));

export async function measureVectors(postgres, load) {
  console.log(
    `\n| points of ${SIZE} numbers, ${POINTS} in the collection | requests /s | p50 ms | p99 ms | the store alone /s | of it |\n|---|---|---|---|---|---|`,
  );
  await measureBackend('PostgreSQL', {}, 8719, postgres, load, await sqlAlone(postgres));
  const url = process.env.QDRANT_URL;
  if (!url) return console.log('\nQdrant was not measured: set QDRANT_URL');
  for (const layout of ['dedicated', 'shared'])
    await measureBackend(
      `Qdrant, ${layout}`,
      { QDRANT_URL: url, QDRANT_LAYOUT: layout },
      8720,
      postgres,
      load,
      await clientAlone(url),
    );
}

async function measureBackend(name, env, port, postgres, load, alone) {
  const service = await startService(postgres.url, port, env);
  const id = `vectors-${port}-${Object.values(env)
    .join('-')
    .replaceAll(/[^a-z]/g, '')}`;
  const path = `/api/v1/sessions/${id}`;
  const send = async (method, under, body) => {
    const answer = await fetch(service.url + (under ?? ''), {
      method,
      headers: OWNER,
      body: JSON.stringify(body),
    });
    if (!answer.ok) throw new Error(`${method} ${under}: ${answer.status} ${await answer.text()}`);
  };
  try {
    await send('POST', '/api/v1/sessions', { session_id: id });
    await send('PUT', `${path}/collection`, { vectors: { size: SIZE } });
    for (let from = 0; from < POINTS; from += BATCH)
      await send('PUT', `${path}/points`, { points: points(from) });
    const requests = {
      [`upsert of ${BATCH}`]: () => ({ method: 'PUT', path: `${path}/points`, body: { points: points() } }),
      'query of 10': () => ({ method: 'POST', path: `${path}/points/query`, body: { vector: any() } }),
    };
    for (const [what, request] of Object.entries(requests)) {
      const case_ = { request: () => ({ user: 'vectorer', ...request() }) };
      await load(service, case_, 2);
      const floor = await together(what.startsWith('upsert') ? alone.upsert : alone.query);
      const { rate, p50, p99 } = await load(service, case_, SECONDS);
      console.log(
        `| ${[`${name}: ${what}`, Math.round(rate), p50, p99, Math.round(floor), (rate / floor).toFixed(2)].join(' | ')} |`,
      );
    }
  } finally {
    await fetch(`${service.url}${path}/collection`, { method: 'DELETE', headers: OWNER });
    await service.stop();
    await alone.close();
  }
}

/** Rounds a second, so many at the same time, all from this process. */
async function together(work) {
  const end = Date.now() + SECONDS * 1000;
  let done = 0;
  const one = async () => {
    while (Date.now() < end) {
      await work();
      done++;
    }
  };
  await Promise.all(Array.from({ length: CONNECTIONS }, one));
  return done / SECONDS;
}

/** A table of vectors: written in one statement; to find the nearest, all of them must at least be read. */
async function sqlAlone(postgres) {
  const pool = new pg.Pool({ connectionString: postgres.url, max: CONNECTIONS });
  await pool.query(
    'create table floor_points (id int primary key, vector bytea not null, payload json not null)',
  );
  const upsert = () => {
    const batch = points().sort((a, b) => a.id - b.id);
    const bytes = batch.map((point) => Buffer.from(Float32Array.from(point.vector).buffer));
    return pool.query({
      name: 'floor-upsert',
      text: `insert into floor_points select * from unnest($1::int[], $2::bytea[], $3::json[])
        on conflict (id) do update set vector = excluded.vector, payload = excluded.payload`,
      values: [batch.map(({ id }) => id), bytes, batch.map(({ payload }) => JSON.stringify(payload))],
    });
  };
  for (let from = 0; from < POINTS; from += BATCH) {
    const bytes = points(from).map((point) => Buffer.from(Float32Array.from(point.vector).buffer));
    await pool.query('insert into floor_points select n, v, $3 from unnest($1::int[], $2::bytea[]) t(n, v)', [
      points(from).map(({ id }) => id),
      bytes,
      '{}',
    ]);
  }
  const query = () => pool.query({ name: 'floor-query', text: 'select id, vector from floor_points' });
  return { upsert, query, close: () => pool.end() };
}

/** Qdrant's own client. */
async function clientAlone(url) {
  const client = new QdrantClient({ url, checkCompatibility: false });
  const name = 'bench_floor';
  await client.deleteCollection(name);
  await client.createCollection(name, { vectors: { size: SIZE, distance: 'Cosine' } });
  for (let from = 0; from < POINTS; from += BATCH)
    await client.upsert(name, { wait: true, points: points(from) });
  return {
    upsert: () => client.upsert(name, { wait: true, points: points() }),
    query: () => client.query(name, { query: any(), limit: 10, with_payload: true }),
    close: () => client.deleteCollection(name),
  };
}
