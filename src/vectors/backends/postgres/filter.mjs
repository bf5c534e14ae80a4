// Qdrant's filters over payloads: each is made into a function once and then asked of every point.
import { isObject, parsePath, valuesAt } from './json-path.mjs';
import { parseTime } from './times.mjs';

/** Makes `(payload, id) => boolean` of a filter; the id is in stored form, undefined inside of a point. */
export function compileFilter({ must, should, must_not }) {
  const all = (must ?? []).map(compileCondition);
  const some = (should ?? []).map(compileCondition);
  const none = (must_not ?? []).map(compileCondition);
  return (payload, id) =>
    all.every((holds) => holds(payload, id)) &&
    (some.length === 0 || some.some((holds) => holds(payload, id))) &&
    !none.some((holds) => holds(payload, id));
}

function compileCondition(condition) {
  if ('nested' in condition) return compileNested(condition.nested);
  if ('has_id' in condition) return compileHasId(condition.has_id);
  if ('is_empty' in condition) return atKey(condition.is_empty.key, (values) => values.every(isEmpty));
  if ('is_null' in condition) return atKey(condition.is_null.key, (values) => values.includes(null));
  if ('key' in condition) return compileField(condition);
  return compileFilter(condition);
}

function atKey(key, holds) {
  const steps = parsePath(key);
  return (payload) => holds(valuesAt(payload, steps));
}

const isEmpty = (value) => value === null || (Array.isArray(value) && value.length === 0);

/** One element of the list must meet the whole filter. */
function compileNested({ key, filter }) {
  const holds = compileFilter(filter);
  const steps = parsePath(key);
  if (steps.at(-1) !== null) steps.push(null);
  return (payload) => valuesAt(payload, steps).some((value) => isObject(value) && holds(value));
}

function compileHasId(ids) {
  const stored = new Set(ids.map((id) => (id.includes('-') ? `1${id}` : `0${id.padStart(20, '0')}`)));
  return (_payload, id) => stored.has(id);
}

function compileField({ key, match, range, values_count }) {
  if (values_count) {
    const isWithin = within(values_count, (bound) => bound);
    return atKey(key, (values) => values.some((value) => isWithin(countOf(value))));
  }
  const holds = match ? compileMatch(match) : compileRange(range);
  return atKey(key, (values) =>
    values.some((value) => (Array.isArray(value) ? value.some(holds) : holds(value))),
  );
}

const countOf = (value) => (Array.isArray(value) ? value.length : value === null ? 0 : 1);

function compileMatch(match) {
  if ('value' in match) return (value) => value === match.value;
  if ('text' in match) return (value) => typeof value === 'string' && value.includes(match.text);
  const list = new Set(match.any ?? match.except);
  return match.any ? (value) => list.has(value) : (value) => value !== null && !list.has(value);
}

function compileRange(range) {
  if (Object.values(range).some((bound) => typeof bound === 'string')) {
    const isWithin = within(range, parseTime);
    return (value) => {
      const time = typeof value === 'string' ? parseTime(value) : null;
      return time !== null && isWithin(time);
    };
  }
  const isWithin = within(range, (bound) => bound);
  return (value) => typeof value === 'number' && isWithin(value);
}

function within({ gt, gte, lt, lte }, read) {
  const tests = [
    [gt, (value, bound) => value > bound],
    [gte, (value, bound) => value >= bound],
    [lt, (value, bound) => value < bound],
    [lte, (value, bound) => value <= bound],
  ]
    .filter(([bound]) => bound !== undefined)
    .map(([bound, test]) => [read(bound), test]);
  return (value) => tests.every(([bound, test]) => test(value, bound));
}
