import type { Json, JsonObject } from '../../src/common/json.js';
import type { Condition, FieldCondition, Filter } from '../../src/vectors/filter.js';
import type { PointId } from '../../src/vectors/point-id.js';

/**
 * What Qdrant documents of its filters, written down once more in the plainest way, for the backends to be held
 * against: a field condition holds when one of the values at its key meets it, or one element of a list there.
 */
export function meets(filter: Filter, payload: JsonObject, id: PointId | null): boolean {
  const holds = (condition: Condition) => meetsCondition(condition, payload, id);
  if (filter.must) for (const condition of filter.must) if (!holds(condition)) return false;
  if (filter.must_not) for (const condition of filter.must_not) if (holds(condition)) return false;
  if (filter.should && filter.should.length > 0) return filter.should.some(holds);
  return true;
}

function meetsCondition(condition: Condition, payload: JsonObject, id: PointId | null): boolean {
  // an element of a list has no id
  if ('has_id' in condition) return id !== null && condition.has_id.includes(id);
  if ('nested' in condition) {
    const { key, filter } = condition.nested;
    const elements = valuesAt(payload, key.endsWith('[]') ? key : `${key}[]`);
    return elements.some((element) => isObject(element) && meets(filter, element, null));
  }
  if ('is_empty' in condition) {
    return valuesAt(payload, condition.is_empty.key).every(
      (value) => value === null || (Array.isArray(value) && value.length === 0),
    );
  }
  if ('is_null' in condition) return valuesAt(payload, condition.is_null.key).some((value) => value === null);
  if ('key' in condition) return meetsField(condition, payload);
  return meets(condition, payload, id);
}

type Keyed = Extract<FieldCondition, { key: string }>;

function meetsField(condition: Keyed, payload: JsonObject): boolean {
  for (const value of valuesAt(payload, condition.key)) {
    if ('values_count' in condition) {
      const count = Array.isArray(value) ? value.length : value === null ? 0 : 1;
      if (isWithin(count, condition.values_count)) return true;
    } else {
      for (const single of Array.isArray(value) ? value : [value]) {
        if ('match' in condition && matches(single, condition.match)) return true;
        if ('range' in condition && isInRange(single, condition.range)) return true;
      }
    }
  }
  return false;
}

function matches(value: Json, match: Extract<Keyed, { match: unknown }>['match']): boolean {
  if ('value' in match) return value === match.value;
  if ('text' in match) return typeof value === 'string' && value.indexOf(match.text) >= 0;
  if ('any' in match) return match.any.some((one) => one === value);
  return value !== null && !match.except.some((one) => one === value);
}

function isInRange(value: Json, range: Extract<Keyed, { range: unknown }>['range']): boolean {
  const bounds = Object.entries(range);
  if (typeof bounds[0]![1] === 'number')
    return typeof value === 'number' && isWithin(value, range as Record<string, number>);
  if (typeof value !== 'string') return false;
  const time = timeOf(value);
  return (
    time !== null && isWithin(time, Object.fromEntries(bounds.map(([name, text]) => [name, timeOf(text)!])))
  );
}

function isWithin(value: number, { gt, gte, lt, lte }: Record<string, number | undefined>): boolean {
  if (gt !== undefined && value <= gt) return false;
  if (gte !== undefined && value < gte) return false;
  if (lt !== undefined && value >= lt) return false;
  return lte === undefined || value <= lte;
}

/** In milliseconds; the payloads of the tests are no finer. Without a zone it is UTC. */
function timeOf(text: string): number | null {
  const parts = /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d)(:\d\d(?:\.\d{1,3})?)?(Z|[+-]\d\d:?\d\d)?)?$/.exec(text);
  if (!parts) return null;
  const [, date, minutes = '00:00', seconds = ':00', zone = 'Z'] = parts;
  if (parts[4] && !parts[3]) return null;
  const time = Date.parse(`${date}T${minutes}${seconds}${zone.replace(/(\d\d)(\d\d)$/, '$1:$2')}`);
  const isDay = new Date(`${date}T00:00:00Z`).toJSON()?.startsWith(date!);
  return isDay && !Number.isNaN(time) ? time : null;
}

/** `a.b`, `"a.b"`, `a[0]`, `a[]`: every value that the path leads to. */
function valuesAt(payload: JsonObject, path: string): Json[] {
  const steps = path.match(/"[^"]*"|\[\d*\]|[^.[\]"]+/g)!;
  let values: Json[] = [payload];
  for (const step of steps) {
    values = values.flatMap((value): Json[] => {
      if (step === '[]') return Array.isArray(value) ? value : [];
      if (step.startsWith('[')) {
        const index = Number(step.slice(1, -1));
        return Array.isArray(value) && index < value.length ? [value[index]!] : [];
      }
      const name = step.startsWith('"') ? step.slice(1, -1) : step;
      return isObject(value) && Object.hasOwn(value, name) ? [value[name]!] : [];
    });
  }
  return values;
}

const isObject = (value: Json | undefined): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
