import { derivedId } from '../common/ids.js';
import type { Point } from '../vectors/vector-store.js';
import type { Taken, Wanted } from './embeddings.repository.js';

/** The same part has the same point whatever its version: a newer one takes its place. */
export const idOf = ({ kind, place_key, item, part }: Wanted) =>
  derivedId('text', kind, place_key, item, part);

/** An answered part, as the vector store keeps it. */
export const pointOf = (row: Taken): Point => ({
  id: idOf(row),
  vectors: { '': [...new Float32Array(new Uint8Array(row.vector!).buffer)] },
  payload: { kind: row.kind, place: row.place_key, item: row.item, part: row.part, version: row.version },
});

/** Rows by the names of spaces; one of several names is under each of them. */
export function bySpace(rows: Taken[], namesOf: (row: Taken) => string[]): Map<string, Taken[]> {
  const spaces = new Map<string, Taken[]>();
  for (const row of rows) {
    for (const name of namesOf(row)) spaces.set(name, [...(spaces.get(name) ?? []), row]);
  }
  return spaces;
}
