import type { Json, JsonObject } from '../../src/common/json.js';
import type { Condition, Filter } from '../../src/vectors/filter.js';
import type { PointId } from '../../src/vectors/point-id.js';

/** Random payloads and filters over the same few names and values, so that they meet often; the same for a seed. */
export class Random {
  constructor(private state: number) {}

  /** mulberry32 */
  number(): number {
    this.state = (this.state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.state ^ (this.state >>> 15), 1 | this.state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  }

  below(n: number): number {
    return Math.floor(this.number() * n);
  }

  of<T>(list: readonly T[]): T {
    return list[this.below(list.length)]!;
  }

  some<T>(most: number, make: () => T): T[] {
    return Array.from({ length: this.below(most + 1) }, make);
  }
}

const WORDS = ['red', 'green', 'blue', 'Grün', 're', '', 'true', '1', 'green tea', '日本', 'a.b', '🙂'];
const INTEGERS = [0, 1, -1, 2, 3, 7, 42, 2 ** 53 - 1, -(2 ** 53 - 1)];
const FLOATS = [0.5, 1.5, -2.25, 1e-9, 1e21, 3.0001];
const TIMES = [
  '2024-01-15T10:00:00Z',
  '2024-01-15T12:00:00+02:00',
  '2024-01-15T10:00:00.500Z',
  '2024-01-15 10:00:00',
  '2024-01-15T10:00:00',
  '2024-01-15T10:00',
  '2024-01-15 09:59',
  '2024-01-15T12:00:00+0200',
  '2024-01-15',
  '2023-12-31T23:59:59-05:00',
  '2024-02-30',
  '2024-13-01T00:00:00Z',
  '2024-01-15T10:00Z',
  '15.01.2024',
];
const BOUNDS = [
  '2024-01-15T10:00:00Z',
  '2024-01-15T12:00:00.500+02:00',
  '2024-01-15',
  '2024-01-01T04:59:59Z',
];
const KEYS = ['a', 'b', 'n', 't', 'list', 'o', 'a.b'];
const PATHS = [
  ...['a', 'b', 'n', 't', 'list', 'o', '"a.b"', 'o.a', 'o.n', 'o.list', 'list[]', 'list[0]', 'list[1]'],
  ...['list[].a', 'list[0].n', 'o.list[].b', 'list[].list[]', 'missing', 'a.missing', 'o.o.a', 'o."a.b"'],
];
const LISTS = ['list', 'o.list', 'list[]', 'o', 'list[].list', 'a', 'missing'];

export function randomPayload(random: Random): JsonObject {
  return object(random, 0);
}

function object(random: Random, depth: number): JsonObject {
  const payload: JsonObject = {};
  for (const key of KEYS) if (random.number() < 0.6) payload[key] = valueFor(random, key, depth);
  return payload;
}

function valueFor(random: Random, key: string, depth: number): Json {
  if (depth < 3 && random.number() < 0.6) {
    if (key === 'o') return object(random, depth + 1);
    if (key === 'list') return random.some(3, () => object(random, depth + 1));
  }
  if (key === 't') return random.of(TIMES);
  if (random.number() < 0.3) return random.some(3, () => scalar(random, depth));
  return scalar(random, depth);
}

function scalar(random: Random, depth: number): Json {
  const kind = random.below(depth < 3 ? 8 : 6);
  if (kind === 0) return null;
  if (kind === 1) return random.number() < 0.5;
  if (kind === 2) return random.of(FLOATS);
  if (kind === 3) return random.of(TIMES);
  if (kind <= 5) return kind === 4 ? random.of(INTEGERS) : random.of(WORDS);
  return kind === 6 ? random.some(2, () => scalar(random, depth + 1)) : object(random, depth + 1);
}

export function randomFilter(random: Random, ids: PointId[], depth = 0): Filter {
  const filter: Filter = {};
  for (const clause of ['must', 'should', 'must_not'] as const) {
    if (random.number() < 0.5) filter[clause] = random.some(2, () => randomCondition(random, ids, depth));
  }
  return filter;
}

function randomCondition(random: Random, ids: PointId[], depth: number): Condition {
  const key = random.of(PATHS);
  switch (random.below(depth < 3 ? 14 : 11)) {
    case 0:
      return { is_empty: { key } };
    case 1:
      return { is_null: { key } };
    case 2:
      return { has_id: random.some(200, () => random.of(ids)) };
    case 3:
      return { key, values_count: bounds(random, () => random.below(4)) };
    case 4:
      return { key, range: bounds(random, () => random.of([...INTEGERS, ...FLOATS])) };
    case 5:
      return {
        key: random.of(['t', 'o.t', 'list[].t', 'a']),
        range: bounds(random, () => random.of(BOUNDS)),
      };
    case 6:
      return { key, match: { text: random.of(WORDS) } };
    case 7:
      return { key, match: { any: oneKind(random) } };
    case 8:
      return { key, match: { except: oneKind(random) } };
    case 9:
    case 10:
      return { key, match: { value: random.of([...WORDS, ...INTEGERS, true, false]) } };
    case 11:
      return randomFilter(random, ids, depth + 1);
    default:
      return { nested: { key: random.of(LISTS), filter: randomFilter(random, ids, depth + 1) } };
  }
}

const oneKind = (random: Random): string[] | number[] =>
  random.number() < 0.5 ? random.some(3, () => random.of(WORDS)) : random.some(3, () => random.of(INTEGERS));

function bounds<T>(random: Random, make: () => T): { gt?: T; gte?: T; lt?: T; lte?: T } {
  const names = ['gt', 'gte', 'lt', 'lte'] as const;
  const first = random.of(names);
  return random.number() < 0.5 ? { [first]: make() } : { [first]: make(), [random.of(names)]: make() };
}
