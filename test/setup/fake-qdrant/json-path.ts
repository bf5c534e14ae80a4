import { isObj, type Obj, type Value } from './json.js';
import { badRequest } from './refusal.js';

type Step = { key: string } | { index: number } | 'each';

const STEP = /\.?([\p{Alphabetic}\p{N}_-]+)|\.?"([^"\\]*)"|\[(\d+)\]|(\[\])/uy;

/** A filter is held against thousands of payloads: its paths are read once. */
const known = new Map<string, Step[]>();

/** `a.b[0].c[]."with.dot"` */
export function stepsOf(path: string): Step[] {
  const steps = known.get(path) ?? read(path);
  if (known.size < 10_000) known.set(path, steps);
  return steps;
}

function read(path: string): Step[] {
  const steps: Step[] = [];
  for (let at = 0; at < path.length; at = STEP.lastIndex) {
    STEP.lastIndex = at;
    const match = STEP.exec(path);
    if (!match || (at > 0 && !/^[.[]/.test(match[0])) || (at === 0 && /^[.[]/.test(match[0])))
      throw badRequest(
        'Format error in JSON body: data did not match any variant of untagged enum Condition',
      );
    const [, raw, quoted, index] = match;
    const key = raw ?? quoted;
    steps.push(key !== undefined ? { key } : index !== undefined ? { index: Number(index) } : 'each');
  }
  if (steps.length === 0) throw badRequest('Format error in JSON body: invalid json path');
  return steps;
}

/** All values that stand at the path; lists are not unfolded unless it says so. */
export function valuesAt(payload: Obj, path: string): Value[] {
  return stepsOf(path).reduce<Value[]>(
    (values, step) => values.flatMap((value) => follow(value, step)),
    [payload],
  );
}

function follow(value: Value, step: Step): Value[] {
  if (step === 'each') return Array.isArray(value) ? value : [];
  if ('index' in step) return Array.isArray(value) && step.index < value.length ? [value[step.index]!] : [];
  return isObj(value) && Object.hasOwn(value, step.key) ? [value[step.key]!] : [];
}
