import { randomUUID } from 'node:crypto';
import type { Point, Shape, Space, VectorStore } from '../../src/vectors/vector-store.js';
import { describeFilters } from './vector-store.filters.js';
import { describeQueries } from './vector-store.queries.js';
import { describeReads } from './vector-store.reads.js';
import { describeSpaces } from './vector-store.spaces.js';
import { describeWrites } from './vector-store.writes.js';

export interface Opened {
  store: VectorStore;
  close(): Promise<void>;
}

/** What the parts of the suite share: the store, and spaces that nobody else has. */
export interface Subject {
  readonly store: VectorStore;
  /** a space of its own, made */
  space(shape?: Shape): Promise<Space>;
}

export const ALL = { payload: true, vectors: true };
export const IDS = { payload: false, vectors: false };
export const SMALL: Shape = { '': { size: 3, distance: 'dot' } };
export const NAMED: Shape = { text: { size: 2, distance: 'euclid' }, image: { size: 3, distance: 'cosine' } };

/** As the service names them: what stands before the first `_` is the installation's. */
export const newName = () => `test_${randomUUID()}`;
export const point = (id: string, payload: Point['payload'] = {}, vector = [1, 2, 3]): Point => ({
  id,
  vectors: { '': vector },
  payload,
});
export const many = (count: number, from = 0): Point[] =>
  Array.from({ length: count }, (_, i) => point(String(from + i), { n: from + i }));

/** The whole contract of a vector store; every backend runs it, with so many random filters. */
export function describeVectorStore(name: string, open: () => Promise<Opened>, filters = 1000): void {
  describe(`vector store: ${name}`, () => {
    let opened: Opened;
    const made: Space[] = [];
    beforeAll(async () => {
      opened = await open();
    });
    afterAll(async () => {
      for (const space of made) await opened?.store.drop(space.name);
      await opened?.close();
    });
    const subject: Subject = {
      get store() {
        return opened.store;
      },
      space: async (shape = SMALL) => {
        const space = { name: newName(), shape };
        made.push(space);
        await opened.store.ensure(space);
        return space;
      },
    };
    describeSpaces(subject);
    describeWrites(subject);
    describeReads(subject);
    describeQueries(subject);
    describeFilters(subject, filters);
  });
}
