import { randomUUID } from 'node:crypto';
import { Collection, type StoredPoint } from './collection.js';
import { isObj, type Obj, type Value } from './json.js';
import { stepsOf } from './json-path.js';
import { badRequest, noCollection, Refusal, unprocessable } from './refusal.js';

export interface Call {
  method: string;
  path: string;
  search: URLSearchParams;
  body: Obj;
}

const KINDS = /^(keyword|integer|float|geo|text|bool|datetime|uuid)$/;

/** Which collections there are, and what each call does to them: the part of Qdrant's REST API that is used. */
export class Routes {
  private readonly collections = new Map<string, Collection>();
  private operation = 0;

  answer({ method, path, search, body }: Call): Value {
    const [root, encoded, ...rest] = path.split('/').slice(1);
    if (root !== 'collections') throw new Refusal(404, '');
    if (!encoded) return { collections: [...this.collections.keys()].sort().map((name) => ({ name })) };
    const name = decodeURIComponent(encoded);
    const route = `${method} ${rest.join('/')}`.trim();
    if (route === 'PUT') return this.create(name, body);
    if (route === 'DELETE') return this.collections.delete(name);
    if (route === 'GET exists') return { exists: this.collections.has(name) };
    const collection = this.collections.get(name);
    if (!collection) throw noCollection(name);
    return this.within(collection, route, body, search);
  }

  multiply(name: string, more: number): number {
    const { points } = this.collections.get(name)!;
    const [pattern] = points.values();
    for (let made = 0; made < more; made++) {
      const id = randomUUID();
      points.set(id, { ...pattern!, id });
    }
    return points.size;
  }

  private create(name: string, body: Obj): Value {
    if (name.length > 255 || /[<>:"/\\|?*\0]/.test(name)) throw unprocessable('collection_name: invalid');
    const made = new Collection(body);
    if (this.collections.has(name))
      throw new Refusal(409, `Wrong input: Collection \`${name}\` already exists!`);
    this.collections.set(name, made);
    return true;
  }

  private within(collection: Collection, route: string, body: Obj, search: URLSearchParams): Value {
    const update = () => ({
      operation_id: this.operation++,
      status: search.get('wait') === 'true' ? 'completed' : 'acknowledged',
    });
    switch (route) {
      case 'GET':
        return infoOf(collection);
      case 'PUT index':
        addIndex(collection, body);
        return update();
      case 'PUT points':
        if (!Array.isArray(body.points)) throw badRequest('Format error in JSON body: no points');
        if (body.points.length === 0) throw unprocessable('points: empty');
        collection.upsert(body.points, body.update_mode === 'insert_only');
        return update();
      case 'POST points/delete':
        for (const { id } of collection.select(body)) collection.points.delete(id);
        return update();
      case 'POST points':
        return collection
          .select({ points: body.ids ?? [] })
          .reverse()
          .map((point) => shown(point, body, true));
      case 'POST points/scroll': {
        const { points, next } = collection.scroll(body);
        return {
          points: points.map((point) => shown(point, body, true)),
          next_page_offset: next === null ? null : idValue(next),
        };
      }
      case 'POST points/query':
        return {
          points: collection
            .query(body)
            .map((point) => ({ version: 0, score: point.score, ...shown(point, body, false) })),
        };
      case 'POST points/count':
        return { count: collection.matching(body.filter).length };
      default:
        throw new Refusal(404, '');
    }
  }
}

function infoOf({ config, points, indexes }: Collection): Value {
  return {
    status: 'green',
    optimizer_status: 'ok',
    points_count: points.size,
    segments_count: 1,
    config: { params: { vectors: config.vectors ?? {}, shard_number: 1 } },
    payload_schema: Object.fromEntries(indexes),
  };
}

function addIndex(collection: Collection, { field_name, field_schema }: Obj): void {
  const type = isObj(field_schema) ? field_schema.type : field_schema;
  stepsOf(String(field_name));
  if (!KINDS.test(String(type))) throw badRequest('Format error in JSON body: unknown field schema');
  collection.indexes.set(String(field_name), { data_type: type!, points: collection.points.size });
}

const idValue = (id: string): Value =>
  id.includes('-') ? id : Number.isSafeInteger(Number(id)) ? Number(id) : BigInt(id);

function shown(point: StoredPoint, { with_payload, with_vector }: Obj, byDefault: boolean): Obj {
  const wanted = with_payload ?? byDefault;
  const names = Array.isArray(wanted) ? wanted.map(String) : null;
  const payload = names
    ? Object.fromEntries(Object.entries(point.payload).filter(([name]) => names.includes(name)))
    : point.payload;
  return {
    id: idValue(point.id),
    ...(wanted !== false && { payload }),
    ...(with_vector === true && { vector: vectorOf(point.vectors) }),
  };
}

const vectorOf = (vectors: Map<string, Float32Array>): Value =>
  vectors.has('')
    ? numbers(vectors.get('')!)
    : Object.fromEntries([...vectors].map(([name, vector]) => [name, numbers(vector)]));

/** Printed as the shortest text that is the same 32-bit float. */
const numbers = (vector: Float32Array): number[] =>
  Array.from(vector, (value) => {
    for (let digits = 6; digits < 9; digits++) {
      const short = Number(value.toPrecision(digits));
      if (Math.fround(short) === value) return short;
    }
    return value;
  });
