import type { Condition, Filter } from '../../filter.js';
import type { PointId } from '../../point-id.js';
import type { StoredId } from './exact-json.js';

/** A filter in Qdrant's own words, with what a layout adds to it. */
export interface StoredFilter {
  must?: unknown[];
  should?: unknown[];
  must_not?: unknown[];
}

/** How a layout calls what the filter names. */
export interface Naming {
  id(id: PointId): StoredId;
  key(key: string): string;
}

const CLAUSES = ['must', 'should', 'must_not'] as const;

/** An empty list is left out: Qdrant takes an empty `should` as one that nothing meets. */
export function toStored(filter: Filter, naming: Naming): StoredFilter {
  return Object.fromEntries(
    CLAUSES.filter((clause) => filter[clause]?.length).map((clause) => [
      clause,
      filter[clause]!.map((one) => condition(one, naming)),
    ]),
  );
}

function condition(one: Condition, naming: Naming): unknown {
  if ('has_id' in one) return { has_id: one.has_id.map((id) => naming.id(id)) };
  if ('is_empty' in one) return { is_empty: { key: naming.key(one.is_empty.key) } };
  if ('is_null' in one) return { is_null: { key: naming.key(one.is_null.key) } };
  if ('nested' in one) {
    const { key, filter } = one.nested;
    return { nested: { key: naming.key(key), filter: toStored(filter, { ...naming, key: (own) => own }) } };
  }
  return 'key' in one ? { ...one, key: naming.key(one.key) } : toStored(one, naming);
}
