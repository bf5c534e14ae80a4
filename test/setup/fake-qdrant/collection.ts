import { testOf } from './conditions.js';
import type { Obj, Value } from './json.js';
import { isObj } from './json.js';
import { valuesAt } from './json-path.js';
import { badRequest, unprocessable, wrongInput } from './refusal.js';
import { type Distance, isLargerBetter, passes, prepare, scoreOf } from './vectors.js';

interface Spec {
  size: number;
  distance: Distance;
}

export interface StoredPoint {
  id: string;
  payload: Obj;
  vectors: Map<string, Float32Array>;
}

const UUID = /^[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}$/i;

/** One collection in memory; ids are text, integers in decimal. */
export class Collection {
  readonly points = new Map<string, StoredPoint>();
  readonly indexes = new Map<string, Obj>();
  readonly specs: ReadonlyMap<string, Spec>;

  constructor(readonly config: Obj) {
    const vectors = (config.vectors ?? {}) as Obj;
    const named = typeof vectors.size === 'number' ? { '': vectors } : vectors;
    this.specs = new Map(Object.entries(named).map(([name, spec]) => [name, specFrom(spec as Obj)]));
  }

  /** All are looked at before the first one is written. */
  upsert(given: Value[], isInsertOnly: boolean): void {
    for (const point of given.map((one) => this.pointFrom(one as Obj)))
      if (!isInsertOnly || !this.points.has(point.id)) this.points.set(point.id, point);
  }

  select({ points, filter }: Obj): StoredPoint[] {
    if (Array.isArray(points)) return points.flatMap((id) => this.points.get(idFrom(id)) ?? []);
    if (!isObj(filter)) throw badRequest('Format error in JSON body: data did not match PointsSelector');
    return this.matching(filter);
  }

  matching(filter: Value | undefined): StoredPoint[] {
    return [...this.points.values()].filter(testOf(filter));
  }

  scroll({ filter, offset, limit = 10, order_by }: Obj): { points: StoredPoint[]; next: string | null } {
    if (Number(limit) < 1) throw unprocessable('limit: value 0 invalid, must be 1 or larger');
    const found = this.matching(filter);
    if (isObj(order_by))
      return { points: this.ordered(found, String(order_by.key)).slice(0, Number(limit)), next: null };
    const from = offset === undefined || offset === null ? null : { id: idFrom(offset) };
    const page = found.sort(byId).filter((point) => !from || byId(point, from) >= 0);
    return { points: page.slice(0, Number(limit)), next: page[Number(limit)]?.id ?? null };
  }

  query({
    query,
    using = '',
    filter,
    limit = 10,
    score_threshold,
  }: Obj): (StoredPoint & { score: number })[] {
    const spec = this.specs.get(String(using));
    if (!spec) throw wrongInput(`Not existing vector name error: ${using}`);
    const target = prepare(checkVector(query, spec), spec.distance);
    const sign = isLargerBetter(spec.distance) ? -1 : 1;
    return this.matching(filter)
      .flatMap((point) => {
        const vector = point.vectors.get(String(using));
        return vector ? [{ ...point, score: scoreOf(target, vector, spec.distance) }] : [];
      })
      .filter(
        ({ score }) => typeof score_threshold !== 'number' || passes(score, score_threshold, spec.distance),
      )
      .sort((a, b) => sign * (a.score - b.score))
      .slice(0, Number(limit));
  }

  private ordered(points: StoredPoint[], key: string): StoredPoint[] {
    const type = this.indexes.get(key)?.data_type;
    if (type !== 'integer' && type !== 'float' && type !== 'datetime')
      throw wrongInput(`No range index for \`order_by\` key: \`${key}\`.`);
    const valued = points.flatMap((point) =>
      valuesAt(point.payload, key)
        .filter((value) => typeof value === 'number')
        .map((value) => ({ point, value: Number(value) })),
    );
    // Qdrant says nothing of the order of equal values that anybody could build on
    return valued.sort((a, b) => a.value - b.value || byId(b.point, a.point)).map(({ point }) => point);
  }

  private pointFrom({ id, vector, payload }: Obj): StoredPoint {
    const given: Obj = Array.isArray(vector) ? { '': vector } : ((vector ?? {}) as Obj);
    const vectors = new Map<string, Float32Array>();
    for (const [name, values] of Object.entries(given)) {
      const spec = this.specs.get(name);
      if (!spec) throw wrongInput(`Not existing vector name error: ${name}`);
      vectors.set(name, prepare(checkVector(values, spec), spec.distance));
    }
    return { id: idFrom(id), vectors, payload: isObj(payload) ? payload : {} };
  }
}

function specFrom({ size, distance }: Obj): Spec {
  if (!Number.isInteger(size) || Number(size) < 1 || Number(size) > 65_536)
    throw unprocessable('vectors.size: value invalid, must be from 1 to 65536');
  if (!/^(Cosine|Dot|Euclid|Manhattan)$/.test(String(distance)))
    throw badRequest(
      'Format error in JSON body: data did not match any variant of untagged enum VectorsConfig',
    );
  return { size: Number(size), distance: distance as Distance };
}

function checkVector(values: Value | undefined, { size }: Spec): number[] {
  if (!Array.isArray(values) || !values.every((one) => typeof one === 'number' || typeof one === 'bigint'))
    throw badRequest(
      'Format error in JSON body: data did not match any variant of untagged enum VectorStruct',
    );
  if (values.length !== size)
    throw wrongInput(`Vector dimension error: expected dim: ${size}, got ${values.length}`);
  return values.map(Number);
}

function idFrom(id: Value | undefined): string {
  if (typeof id === 'bigint' ? id >= 0n && id < 2n ** 64n : Number.isInteger(id) && Number(id) >= 0)
    return String(id);
  if (typeof id === 'string' && UUID.test(id))
    return id
      .toLowerCase()
      .replaceAll('-', '')
      .replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
  throw badRequest(
    `Format error in JSON body: value ${id} is not a valid point ID, valid values are either an unsigned integer or a UUID`,
  );
}

function byId(a: { id: string }, b: { id: string }): number {
  const [uuidA, uuidB] = [a.id.includes('-'), b.id.includes('-')];
  if (uuidA !== uuidB) return uuidA ? 1 : -1;
  if (!uuidA && a.id.length !== b.id.length) return a.id.length - b.id.length;
  return a.id < b.id ? -1 : a.id === b.id ? 0 : 1;
}
