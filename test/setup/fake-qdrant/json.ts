/** JSON as Qdrant reads it: integers keep all their digits, as `bigint` where a double would round them. */
export type Value = null | boolean | number | bigint | string | Value[] | { [key: string]: Value };
export type Obj = { [key: string]: Value };

const TOKEN = /\s*([[\]{},:]|"[^"\\]*(?:\\.[^"\\]*)*"|-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?|true|false|null)/y;

export const isObj = (value: Value | undefined): value is Obj =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** @throws SyntaxError */
export function parse(text: string): Value {
  const tokens = tokensOf(text);
  const take = () => tokens.next().value ?? fail();
  const value = valueFrom(take(), take);
  if (!tokens.next().done) fail();
  return value;
}

function fail(): never {
  throw new SyntaxError('expected value');
}

function* tokensOf(text: string): Generator<string, undefined> {
  const end = text.trimEnd().length;
  for (let at = 0; at < end; ) {
    TOKEN.lastIndex = at;
    const [all, token] = TOKEN.exec(text) ?? fail();
    at += all.length;
    yield token!;
  }
  return undefined;
}

function valueFrom(token: string, take: () => string): Value {
  if (token === '{') return objectFrom(take);
  if (token === '[') return listFrom(take);
  if (/^[\]},:]$/.test(token)) fail();
  const value = JSON.parse(token);
  return typeof value === 'number' && /^-?\d+$/.test(token) && !Number.isSafeInteger(value)
    ? BigInt(token)
    : value;
}

function objectFrom(take: () => string): Obj {
  const object: Obj = {};
  for (let token = take(); token !== '}'; token = take()) {
    if (token === ',') token = take();
    if (!token.startsWith('"') || take() !== ':') fail();
    object[JSON.parse(token)] = valueFrom(take(), take);
  }
  return object;
}

function listFrom(take: () => string): Value[] {
  const list: Value[] = [];
  for (let token = take(); token !== ']'; token = take())
    list.push(valueFrom(token === ',' ? take() : token, take));
  return list;
}

export function print(value: Value): string {
  try {
    return JSON.stringify(value);
  } catch {
    return printExactly(value); // somewhere in it is a bigint
  }
}

function printExactly(value: Value): string {
  if (typeof value === 'bigint') return String(value);
  if (Array.isArray(value)) return `[${value.map(printExactly).join(',')}]`;
  if (!isObj(value)) return JSON.stringify(value);
  return `{${Object.entries(value)
    .map(([key, member]) => `${JSON.stringify(key)}:${printExactly(member)}`)
    .join(',')}}`;
}
