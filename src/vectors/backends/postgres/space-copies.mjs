// Copies of spaces in memory, brought up to date from PostgreSQL before each use.
import pg from 'pg';
import { SpaceCopy } from './space-copy.mjs';

/** Milliseconds after which a connection that nobody uses is closed. */
const IDLE = 10_000;
/** Rows read at once. */
const PAGE = 2000;

const SPACE = {
  name: 'space',
  text: 'select key, shape, revision, floor from vector_spaces where name = $1',
};
/** Of what changed, in one sweep through it and in no order. Both are numbers of the space's row. */
const openChanged = (key, revision) =>
  `declare changed no scroll cursor for
   select id, encode(vectors, 'base64') as vectors, payload::text as payload
   from vector_points where space_key = ${key} and revision > ${revision}`;
const NEXT = { text: `fetch ${PAGE} from changed` };
/** Texts as they come: numbers are small, and the rest is read by whoever takes the row. */
const types = { getTypeParser: () => (text) => text };

export class SpaceCopies {
  /** by key, the one used last at the end */
  #copies = new Map();
  #client = null;
  #idle = null;

  constructor({ url, maxBytes }) {
    this.url = url;
    this.maxBytes = maxBytes;
  }

  /** The space as it is now, with everything that was acknowledged before; null: there is none. */
  async get(name) {
    const client = await this.#connect();
    try {
      return await this.#upToDate(client, name);
    } catch (error) {
      this.#close();
      throw error;
    } finally {
      this.#idle = setTimeout(() => this.#close(), IDLE);
    }
  }

  /** Whether so much more fits; what has not been used for longest makes room. */
  hasRoom = (bytes) => this.#bytes() + bytes <= this.maxBytes;

  async #upToDate(client, name) {
    const seen = await readSpace(client, name);
    if (!seen) return null;
    const known = this.#copies.get(seen.key);
    if (known?.revision === seen.revision) return this.#used(seen.key, known);
    await client.query('begin isolation level repeatable read read only');
    const space = await readSpace(client, name);
    const copy = space && (await this.#load(client, space));
    await client.query('commit');
    return copy && this.#used(space.key, copy);
  }

  async #load(client, { key, shape, revision, floor }) {
    const known = this.#copies.get(key);
    const copy = known && known.revision >= floor ? known : new SpaceCopy(shape);
    // a copy that is only half up to date must not be found by the next one
    this.#copies.delete(key);
    await client.query(openChanged(key, copy.revision));
    for (let isMore = true; isMore; ) {
      const { rows } = await client.query({ ...NEXT, types });
      for (const row of rows) copy.take(row);
      isMore = rows.length === PAGE;
    }
    copy.revision = revision;
    return copy;
  }

  #used(key, copy) {
    this.#copies.delete(key);
    this.#copies.set(key, copy);
    for (const oldest of this.#copies.keys()) {
      if (oldest === key || this.hasRoom(0)) break;
      this.#copies.delete(oldest);
    }
    return copy;
  }

  #bytes() {
    let bytes = 0;
    for (const copy of this.#copies.values()) bytes += copy.bytes;
    return bytes;
  }

  async #connect() {
    clearTimeout(this.#idle);
    if (this.#client) return this.#client;
    const client = new pg.Client({
      connectionString: this.url,
      application_name: 'session-service vectors',
      connectionTimeoutMillis: 5_000,
      statement_timeout: 30_000,
      query_timeout: 30_000,
      idle_in_transaction_session_timeout: 30_000,
      keepAlive: true,
    });
    const forget = () => {
      if (this.#client === client) this.#client = null;
    };
    client.on('error', forget).on('end', forget);
    await client.connect();
    this.#client = client;
    return client;
  }

  #close() {
    const client = this.#client;
    this.#client = null;
    client?.end().catch(() => undefined);
  }
}

async function readSpace(client, name) {
  const { rows } = await client.query({ ...SPACE, values: [name], types });
  if (!rows[0]) return null;
  const { key, shape, revision, floor } = rows[0];
  return { key, shape: JSON.parse(shape), revision: Number(revision), floor: Number(floor) };
}
