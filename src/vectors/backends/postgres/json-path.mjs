// Paths into payloads, as Qdrant reads them: `a.b`, `a[].b`, `a[0]`, `"a.b"`.

const STEP = /\.?(?:([\p{Alphabetic}\p{N}_-]+)|"([^"\\]*)")|\[(\d*)\]/uy;

/** The steps of a path: a name, an index, or null for every element of a list. */
export function parsePath(path) {
  const steps = [];
  for (STEP.lastIndex = 0; STEP.lastIndex < path.length; ) {
    const match = STEP.exec(path);
    if (!match) throw new Error(`not a path: ${path}`);
    const [, plain, quoted, index] = match;
    steps.push(index === undefined ? (plain ?? quoted) : index === '' ? null : Number(index));
  }
  return steps;
}

/** All values that the steps lead to; none where one of them leads nowhere. */
export function valuesAt(value, steps, from = 0, found = []) {
  if (from === steps.length) {
    found.push(value);
    return found;
  }
  const step = steps[from];
  if (typeof step === 'string') {
    if (isObject(value) && Object.hasOwn(value, step)) valuesAt(value[step], steps, from + 1, found);
  } else if (Array.isArray(value)) {
    const chosen = step === null ? value : value.slice(step, step + 1);
    for (const element of chosen) valuesAt(element, steps, from + 1, found);
  }
  return found;
}

export const isObject = (value) => typeof value === 'object' && value !== null && !Array.isArray(value);
