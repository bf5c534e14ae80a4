import type { JsonObject } from '../common/json.js';
import type { Filter } from './filter.js';
import type { PointId } from './point-id.js';

export type Distance = 'cosine' | 'dot' | 'euclid' | 'manhattan';

export interface VectorSpec {
  /** dimensions, 1–65,536 */
  size: number;
  distance: Distance;
}

/** Every vector a point may have, by name; the one without a name is `''`, and then it is the only one. */
export type Shape = Readonly<Record<string, VectorSpec>>;

/** Kinds of payload members that a store may be told to index; results are the same without. */
export type IndexKind = 'keyword' | 'integer' | 'float' | 'bool' | 'datetime' | 'uuid';
export type PayloadIndexes = Readonly<Record<string, IndexKind>>;

/** A vector space: what is written to one is never seen in another. Its name is never used again. */
export interface Space {
  /** 1–200 characters of `A-Z a-z 0-9 _ -` */
  name: string;
  shape: Shape;
}

export interface Point {
  id: PointId;
  /** by name, at least one; 32-bit floats, so they come back rounded, and under cosine maybe normalised */
  vectors: Record<string, number[]>;
  /** comes back equal; only the last digit of numbers with more than 15 may differ */
  payload: JsonObject;
}

/** What to bring along with ids; what was not asked for is left out. */
export interface With {
  payload: boolean;
  vectors: boolean;
}

export interface Found {
  id: PointId;
  payload?: JsonObject;
  vectors?: Record<string, number[]>;
}

export interface Hit extends Found {
  /** cosine and dot: more is nearer; euclid and manhattan: the distance, less is nearer */
  score: number;
}

export interface ScanRequest extends With {
  filter?: Filter;
  /** the page begins behind this id */
  after?: PointId;
  limit: number;
}

export interface QueryRequest extends With {
  vector: number[];
  /** which of the named vectors; `''` for the one without a name */
  using: string;
  filter?: Filter;
  limit: number;
  /** at least this near, in the sense of the distance */
  scoreThreshold?: number;
}

/** What became of a page of points that a store copied from one space to another. */
export interface CopiedPage {
  /** how many the page has */
  read: number;
  /** the last of it; null: it has none, and none comes behind it */
  last: PointId | null;
  /** those of it whose ids the target had before, and that were not copied therefore */
  taken: PointId[];
}

export type Selection = { ids: PointId[] } | { filter: Filter };

/**
 * Keeps vector spaces. What it answered to is durable and seen by every later call. It is never called inside a
 * transaction. Every call may fail with what `errors.ts` lists; `vectors_unavailable` means that nothing happened
 * as far as is known, `vectors_outcome_unknown` that it may have: all calls but `query`'s answers are safe to repeat.
 */
export interface VectorStore {
  /** `qdrant` or `postgres`: told to users. */
  readonly backend: string;
  /** Whether others may write to the space by its name in the store itself. */
  readonly directWrites: boolean;

  /**
   * Makes the space if there is none; the same again changes nothing but adds indexes.
   * @throws DomainError `shape_mismatch` with `extra: {shape, asked}`
   */
  ensure(space: Space, indexes?: PayloadIndexes): Promise<void>;

  /** Removes the space with all its points, whatever its shape; one that is not there is no fault. */
  drop(name: string): Promise<void>;

  /** What the store says of a space; null: there is none. */
  describe(space: Space): Promise<Shape | null>;

  /** Names of the spaces that begin so, in no order. */
  list(prefix: string): AsyncIterable<string>;

  /** Writes points, ids distinct, all or none of them as far as the store can; a point there already is replaced whole. */
  upsert(space: Space, points: Point[]): Promise<void>;

  /** Answers how many there were; of those that others delete at the same time, both may say so. */
  delete(space: Space, selection: Selection): Promise<number>;

  /** Those of the ids that are there, in the order of `ids`. */
  retrieve(space: Space, ids: PointId[], what: With): Promise<Found[]>;

  /** A page in the order of ids, integers before UUIDs; `next` is what to begin behind, null at the end. */
  scan(space: Space, request: ScanRequest): Promise<{ points: Found[]; next: PointId | null }>;

  /**
   * Copies the points behind one of them, at most `limit`, in the order of ids, to another space of this store that has the
   * same shape: those whose ids are free there. Repeated, it finds its own points among those that are taken.
   * A store has it where points need not leave it for that.
   * @throws DomainError `shape_mismatch`, `no_collection`, `vectors_too_large` and then nothing of the page is copied
   */
  copy?(from: Space, to: Space, after: PointId | null, limit: number): Promise<CopiedPage>;

  /** The nearest, best first; points without the vector asked for are not among them. */
  query(space: Space, request: QueryRequest): Promise<Hit[]>;

  /** Exactly how many. */
  count(space: Space, filter?: Filter): Promise<number>;

  /** @throws DomainError `vectors_unavailable` when it would serve nothing */
  health(): Promise<void>;
}

/** Injection token: `@Inject(DERIVED_STORE) store: VectorStore`, of what is derived, in a space for every owner: there may be as many as there are users. */
export const DERIVED_STORE = Symbol('derived VectorStore');
