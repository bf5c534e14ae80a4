import { comparePointIds, isInteger, type PointId } from '../../point-id.js';
import type { ScanRequest } from '../../vector-store.js';
import type { QdrantCalls, StoredPoint } from './calls.js';
import { type StoredFilter, toStored } from './filters.js';
import type { Place } from './layout.js';

/** An id in three numbers that a double holds: whether it is a UUID, then 128 bits. They sort as the ids do. */
export const ORDER_KEYS = ['order1', 'order2', 'order3'] as const;
const BITS = 43n;
const LOWEST = (1n << BITS) - 1n;

export function orderKeys(id: PointId): Record<string, number> {
  const bits = isInteger(id) ? BigInt(id) : (1n << 128n) | BigInt(`0x${id.replaceAll('-', '')}`);
  return {
    order1: Number(bits >> (2n * BITS)),
    order2: Number((bits >> BITS) & LOWEST),
    order3: Number(bits & LOWEST),
  };
}

type Bound = unknown[];

/** Everything behind an id, in parts that are walked one after the other: Qdrant orders by one number at a time. */
function partsBehind(after: PointId | undefined): { bound: Bound; level: number }[] {
  if (after === undefined) return [{ bound: [], level: 0 }];
  const keys = orderKeys(after);
  return [2, 1, 0].map((level) => ({
    level,
    bound: ORDER_KEYS.slice(0, level + 1).map((key, at) =>
      at === level ? { key, range: { gt: keys[key] } } : { key, match: { value: keys[key] } },
    ),
  }));
}

/** A page of the shared layout, where the ids that Qdrant itself sorts by are scattered. */
export async function orderedPage(
  calls: QdrantCalls,
  place: Place,
  request: ScanRequest,
): Promise<{ points: StoredPoint[]; hasMore: boolean }> {
  const walk = new Walk(calls, place, request);
  const points: StoredPoint[] = [];
  for (const { bound, level } of partsBehind(request.after)) {
    const missing = request.limit + 1 - points.length;
    if (missing > 0) points.push(...(await walk.first(missing, bound, level)));
  }
  return { points: points.slice(0, request.limit), hasMore: points.length > request.limit };
}

class Walk {
  private readonly filter: StoredFilter;

  constructor(
    private readonly calls: QdrantCalls,
    private readonly place: Place,
    private readonly request: ScanRequest,
  ) {
    this.filter = place.within(toStored(request.filter ?? {}, place));
  }

  /**
   * The first points within the bound, which agree in all keys above the level. Those that share the last value may
   * be cut off anywhere, so they are asked for again by the next key.
   */
  async first(count: number, bound: Bound, level: number): Promise<StoredPoint[]> {
    const found = await this.scroll(count, bound, ORDER_KEYS[level]!);
    if (found.length < count || level === ORDER_KEYS.length - 1) return found.sort(this.inOrder);
    const key = ORDER_KEYS[level]!;
    const value = found.at(-1)!.payload![key] as number;
    const whole = found.filter(({ payload }) => payload![key] !== value).sort(this.inOrder);
    const outer = bound.filter((one) => (one as { key: string }).key !== key);
    const shared = [...outer, { key, match: { value } }];
    return [...whole, ...(await this.first(count - whole.length, shared, level + 1))];
  }

  private async scroll(limit: number, bound: Bound, key: string): Promise<StoredPoint[]> {
    const { points } = await this.calls.scroll(this.place.collection, {
      filter: { must: [...bound, this.filter] },
      limit,
      order_by: { key },
      with_payload: this.request.payload || ['id', ...ORDER_KEYS],
      with_vector: this.request.vectors,
    });
    return points;
  }

  private readonly inOrder = (a: StoredPoint, b: StoredPoint) =>
    comparePointIds(this.place.read(a).id, this.place.read(b).id);
}
