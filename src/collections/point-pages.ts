import { ahead } from '../common/ahead.js';
import type { PointId } from '../vectors/point-id.js';
import type { Point, Space, VectorStore } from '../vectors/vector-store.js';

/** Points of a page: as many as have about so many bytes in memory, never more than a store answers at once. */
const PAGE = { first: 64, most: 1000, bytes: 1024 * 1024 };

interface Page {
  points: Point[];
  next: PointId | null;
}

/** All points of a collection behind one of them, in the order of their ids, page by page. The next is read while one is in use. */
export const pointPages = (store: VectorStore, space: Space, after: PointId | null = null) =>
  ahead(readPages(store, space, after));

async function* readPages(store: VectorStore, space: Space, after: PointId | null): AsyncGenerator<Point[]> {
  const read = (behind: PointId | null, limit: number) =>
    store.scan(space, {
      limit,
      payload: true,
      vectors: true,
      ...(behind !== null && { after: behind }),
    }) as Promise<Page>;
  let limit = PAGE.first;
  for (let page = await read(after, limit); ; page = await read(page.next, limit)) {
    yield page.points;
    if (page.next === null) return;
    limit = Math.min(PAGE.most, limit * 4, Math.ceil(PAGE.bytes / bytesOf(page.points)));
  }
}

/** What one point takes, about, in memory. */
function bytesOf(points: Point[]): number {
  let [numbers, payloads] = [0, 0];
  for (const { vectors, payload } of points) {
    for (const vector of Object.values(vectors)) numbers += vector.length;
    payloads += JSON.stringify(payload).length;
  }
  return (numbers * 8 + payloads) / Math.max(1, points.length) + 1;
}
