import { isObj, type Obj, type Value } from './json.js';
import { valuesAt } from './json-path.js';
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

/** As in Qdrant: an empty `should` is met by nothing. */
export function meets(candidate: Candidate, filter: Value | undefined): boolean {
  if (filter === undefined || filter === null) return true;
  if (!isObj(filter)) throw wrong();
  for (const key of Object.keys(filter)) if (!/^(must|should|must_not|min_should)$/.test(key)) throw wrong();
  const should = listOf(filter.should);
  return (
    (listOf(filter.must) ?? []).every((one) => holds(candidate, one)) &&
    !(listOf(filter.must_not) ?? []).some((one) => holds(candidate, one)) &&
    (should?.some((one) => holds(candidate, one)) ?? true)
  );
}

function holds(candidate: Candidate, condition: Value): boolean {
  if (!isObj(condition)) throw wrong();
  const { key, has_id, is_empty, is_null, nested } = condition;
  if (Array.isArray(has_id)) return has_id.some((id) => String(id) === candidate.id);
  if (isObj(is_empty ?? null)) return at(candidate, (is_empty as Obj).key).every(isNothing);
  if (isObj(is_null ?? null)) return at(candidate, (is_null as Obj).key).some((value) => value === null);
  if (isObj(nested ?? null)) return holdsNested(candidate, nested as Obj);
  if (typeof key === 'string') return holdsField(at(candidate, key), condition);
  return meets(candidate, condition);
}

const isNothing = (value: Value) => value === null || (Array.isArray(value) && value.length === 0);

function at({ payload }: Candidate, key: Value | undefined): Value[] {
  if (typeof key !== 'string') throw wrong();
  return valuesAt(payload, key);
}

function holdsNested(candidate: Candidate, { key, filter }: Obj): boolean {
  if (typeof key !== 'string') throw wrong();
  return at(candidate, key.endsWith('[]') ? key : `${key}[]`)
    .filter(isObj)
    .some((payload) => meets({ payload }, filter));
}

function holdsField(values: Value[], { match, range, values_count }: Obj): boolean {
  if (isObj(values_count ?? null)) {
    return values.some((value) => inRange(countOf(value), values_count as Obj, (bound) => Number(bound)));
  }
  const single = values.flat(1);
  if (isObj(match ?? null)) return single.some((value) => matches(value, match as Obj));
  if (isObj(range ?? null)) return single.some((value) => isWithin(value, range as Obj));
  throw wrong();
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

function isWithin(stored: Value, range: Obj): boolean {
  const isTime = Object.values(range).some((bound) => typeof bound === 'string');
  if (!isTime)
    return (
      (typeof stored === 'number' || typeof stored === 'bigint') && inRange(Number(stored), range, Number)
    );
  const time = typeof stored === 'string' ? timeOf(stored) : Number.NaN;
  return !Number.isNaN(time) && inRange(time, range, (bound) => timeOf(String(bound)));
}

function inRange(value: number, { gt, gte, lt, lte }: Obj, read: (bound: Value) => number): boolean {
  const isGiven = (bound: Value | undefined): bound is Value => bound !== undefined && bound !== null;
  return (
    (!isGiven(gt) || value > read(gt)) &&
    (!isGiven(gte) || value >= read(gte)) &&
    (!isGiven(lt) || value < read(lt)) &&
    (!isGiven(lte) || value <= read(lte))
  );
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
