// What Node and PostgreSQL do here without a product: Fastify alone, a pool of connections, and the statement of a floor for each route.
// node bench/bare.mjs <database url> <port> <sessions>
import Fastify from 'fastify';
import pg from 'pg';
import { floors } from './floors.mjs';

const [url, port, sessions] = process.argv.slice(2);
const pool = new pg.Pool({ connectionString: url, max: 16 });
const scripts = floors(Number(sessions));
/** A pgbench script as a statement with one parameter. */
const statement = (name) => ({
  name,
  text: scripts[name]
    .split('\n')[1]
    .replaceAll(':i', '$1::bigint')
    .replace(/repeat\('x', 500\)/, '$2::text'),
});
const any = () => Math.floor(Math.random() * Number(sessions));

const app = Fastify();
app.get('/get', async () => (await pool.query({ ...statements.get, values: [any()] })).rows[0]);
app.get('/list', async () => (await pool.query({ ...statements.list, values: [any()] })).rows);
app.post('/heartbeat', async () => {
  await pool.query({ ...statements.heartbeat, values: [any()] });
  return {};
});
app.post('/append', async ({ body }) => {
  await pool.query({ ...statements.append, values: [any(), body.content] });
  return body;
});
const statements = Object.fromEntries(
  ['get', 'list', 'heartbeat', 'append'].map((name) => [name, statement(name)]),
);
await app.listen({ host: '127.0.0.1', port: Number(port) });
