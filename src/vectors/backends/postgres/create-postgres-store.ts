import type { Database } from '../../../database/database.js';
import { PointsRepository } from './points.repository.js';
import { CAP, type Cap, PostgresVectorStore } from './postgres-vector-store.js';
import { SearchThread } from './search-thread.js';
import { SpacesRepository } from './spaces.repository.js';

/** Bytes of points that the thread keeps in memory, over all spaces; the one in use stays however large it is. */
const MEMORY = 256 * 1024 * 1024;

/** The store, and what closes it. */
export function createPostgresStore(
  database: Database,
  { cap = CAP, maxBytes = MEMORY }: { cap?: Cap; maxBytes?: number } = {},
) {
  const thread = new SearchThread({ url: database.url, maxBytes });
  const store = new PostgresVectorStore(
    new SpacesRepository(database),
    new PointsRepository(database),
    thread,
    database,
    cap,
  );
  return { store, thread, close: () => thread.close() };
}
