import { randomBytes } from 'node:crypto';
import { createQdrantStores } from '../../src/vectors/backends/qdrant/create-qdrant-stores.js';
import type { Shape, Space, VectorStore } from '../../src/vectors/vector-store.js';

export type LayoutName = 'dedicated' | 'shared';
export const LAYOUTS: LayoutName[] = ['dedicated', 'shared'];

/** A store over a server, real or not. */
export async function storeAt(
  QDRANT_URL: string,
  layout: LayoutName,
  { apiKey = process.env.QDRANT_API_KEY, timeoutMs = 20_000, pauseMs = 100 } = {},
) {
  const stores = await createQdrantStores(
    { QDRANT_URL, QDRANT_PORT: 6333, QDRANT_API_KEY: apiKey },
    { timeoutMs, pauseMs },
  );
  return { store: stores[layout], close: async () => {} };
}

export const PLANE: Shape = { '': { size: 2, distance: 'dot' } };

/** Names of an installation of its own. */
export function installation() {
  const prefix = `ss${randomBytes(4).toString('hex')}`;
  let made = 0;
  return { prefix, space: (shape: Shape = PLANE): Space => ({ name: `${prefix}_${++made}`, shape }) };
}

export const point = (id: string | number, payload = {}, vector = [1, 0]) => ({
  id: String(id),
  vectors: { '': vector },
  payload,
});

/** Every id of a space, page by page. */
export async function allIds(
  store: VectorStore,
  space: Space,
  limit: number,
  filter?: object,
): Promise<string[]> {
  const ids: string[] = [];
  let after: string | undefined;
  do {
    const page = await store.scan(space, { limit, after, filter, payload: false, vectors: false });
    ids.push(...page.points.map(({ id }) => id));
    after = page.next ?? undefined;
  } while (after !== undefined);
  return ids;
}

export async function allNames(store: VectorStore, prefix: string): Promise<string[]> {
  const names: string[] = [];
  for await (const name of store.list(prefix)) names.push(name);
  return names.sort();
}
