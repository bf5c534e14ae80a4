import { isObj, type Obj, type Value } from './json.js';
import { stepsOf, valuesAt } from './json-path.js';
import { badRequest } from './refusal.js';

/** What a filter is held against: without an id inside a `nested`. */
export interface Candidate {
  id?: string;
  payload: Obj;
}

const wrong = () =>
  badRequest('Format error in JSON body: data did not match any variant of untagged enum Condition');

const listOf = (value: Value | undefined): Value[] | undefined =>
  value === undefined || value === null ? undefined : Array.isArray(value) ? value : [value];

type Test = (candidate: Candidate) => boolean;

/** What a filter asks, read once for all candidates. As in Qdrant, an empty `should` is met by nothing. */
export function testOf(filter: Value | undefined): Test {
  if (filter === undefined || filter === null) return () => true;
  if (!isObj(filter)) throw wrong();
  for (const key of Object.keys(filter)) if (!/^(must|should|must_not|min_should)$/.test(key)) throw wrong();
  const must = (listOf(filter.must) ?? []).map(conditionOf);
  const mustNot = (listOf(filter.must_not) ?? []).map(conditionOf);
  const should = listOf(filter.should)?.map(conditionOf);
  return (candidate) =>
    must.every((test) => test(candidate)) &&
    !mustNot.some((test) => test(candidate)) &&
    (should?.some((test) => test(candidate)) ?? true);
}

function conditionOf(condition: Value): Test {
  if (!isObj(condition)) throw wrong();
  const { key, has_id, is_empty, is_null, nested } = condition;
  if (Array.isArray(has_id)) {
    const ids = new Set(has_id.map(String));
    return ({ id }) => id !== undefined && ids.has(id);
  }
  if (isObj(is_empty ?? null)) return ofValues((is_empty as Obj).key, (values) => values.every(isNothing));
  if (isObj(is_null ?? null)) return ofValues((is_null as Obj).key, (values) => values.includes(null));
  if (isObj(nested ?? null)) return nestedOf(nested as Obj);
  return typeof key === 'string' ? ofValues(key, fieldOf(condition)) : testOf(condition);
}

const isNothing = (value: Value) => value === null || (Array.isArray(value) && value.length === 0);

function ofValues(key: Value | undefined, test: (values: Value[]) => boolean): Test {
  if (typeof key !== 'string') throw wrong();
  stepsOf(key);
  return ({ payload }) => test(valuesAt(payload, key));
}

function nestedOf({ key, filter }: Obj): Test {
  const test = testOf(filter);
  if (typeof key !== 'string') throw wrong();
  return ofValues(key.endsWith('[]') ? key : `${key}[]`, (values) =>
    values.filter(isObj).some((payload) => test({ payload })),
  );
}

function fieldOf({ match, range, values_count }: Obj): (values: Value[]) => boolean {
  if (isObj(values_count ?? null)) {
    const isRight = rangeOf(values_count as Obj, Number);
    return (values) => values.some((value) => isRight(countOf(value)));
  }
  if (!isObj(match ?? null) && !isObj(range ?? null)) throw wrong();
  const single = isObj(match ?? null)
    ? (value: Value) => matches(value, match as Obj)
    : withinOf(range as Obj);
  return (values) => values.flat(1).some(single);
}

const countOf = (value: Value) => (value === null ? 0 : Array.isArray(value) ? value.length : 1);
const isInt = (value: Value) =>
  typeof value === 'bigint' ? value >= -(2n ** 63n) && value < 2n ** 63n : Number.isInteger(value);
const same = (stored: Value, asked: Value): boolean =>
  typeof asked === 'string' || typeof asked === 'boolean'
    ? stored === asked
    : isInt(stored) && String(stored) === String(asked);

function matches(stored: Value, match: Obj): boolean {
  if (match.value !== undefined) {
    if (typeof match.value === 'number' && !Number.isInteger(match.value)) throw wrong();
    return same(stored, match.value);
  }
  if (Array.isArray(match.any)) return match.any.some((one) => same(stored, one));
  if (Array.isArray(match.except)) return stored !== null && !match.except.some((one) => same(stored, one));
  if (typeof match.text === 'string') return typeof stored === 'string' && stored.includes(match.text);
  throw wrong();
}

function withinOf(range: Obj): (stored: Value) => boolean {
  if (!Object.values(range).some((bound) => typeof bound === 'string')) {
    const isRight = rangeOf(range, Number);
    return (stored) => (typeof stored === 'number' || typeof stored === 'bigint') && isRight(Number(stored));
  }
  const isRight = rangeOf(range, (bound) => timeOf(String(bound)));
  return (stored) => {
    const time = typeof stored === 'string' ? timeOf(stored) : Number.NaN;
    return !Number.isNaN(time) && isRight(time);
  };
}

function rangeOf({ gt, gte, lt, lte }: Obj, read: (bound: Value) => number): (value: number) => boolean {
  const given = (bound: Value | undefined, otherwise: number) =>
    bound === undefined || bound === null ? otherwise : read(bound);
  const [above, from] = [given(gt, Number.NEGATIVE_INFINITY), given(gte, Number.NEGATIVE_INFINITY)];
  const [below, to] = [given(lt, Number.POSITIVE_INFINITY), given(lte, Number.POSITIVE_INFINITY)];
  return (value) => value > above && value >= from && value < below && value <= to;
}

const DAY = /^\d{4}-\d\d-\d\d$/;
const TIME = /^(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d)(?:(:\d\d)(?:\.(\d+))?(Z|[+-]\d\d:?\d\d)?)?$/i;

/** Microseconds; what names no zone is UTC, and only what names seconds may name a zone. */
function timeOf(text: string): number {
  if (DAY.test(text)) return timeOf(`${text}T00:00`);
  const [, day = '', minute, second = ':00', fraction = '', zone = 'Z'] = TIME.exec(text) ?? [];
  const isDay = new Date(Date.parse(day) || 0).toISOString().startsWith(day);
  if (!isDay || !minute) return Number.NaN;
  return (
    Date.parse(`${day}T${minute}${second}${zone.toUpperCase()}`) * 1000 +
    Number(fraction.padEnd(6, '0').slice(0, 6))
  );
}
