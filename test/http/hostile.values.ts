import { contract } from '../setup/contract.js';

// biome-ignore lint/suspicious/noExplicitAny: the document is a plain JSON tree
type Tree = any;

export interface Parameter {
  in: 'path' | 'query' | 'header';
  name: string;
  schema: Tree;
}

export interface HostileOperation {
  id: string;
  method: string;
  path: string;
  scope: string | null;
  onlyServices: boolean;
  parameters: Parameter[];
  /** schema of the JSON body, null: it takes none */
  body: Tree | null;
  bodyExample: unknown;
  mediaTypes: string[];
}

/** Every operation of openapi.json. */
export const operations: HostileOperation[] = Object.entries<Tree>(contract.paths).flatMap(([path, item]) =>
  Object.entries<Tree>(item).map(([method, operation]) => ({
    id: operation.operationId,
    method: method.toUpperCase(),
    path,
    scope: operation['x-scope'] ?? null,
    onlyServices: operation['x-only-services'] ?? false,
    parameters: (operation.parameters ?? []).map(resolve),
    body: operation.requestBody?.content['application/json']?.schema ?? null,
    bodyExample: operation.requestBody?.content['application/json']?.example,
    mediaTypes: Object.keys(operation.requestBody?.content ?? {}),
  })),
);

function resolve(schema: Tree): Tree {
  return schema?.$ref
    ? resolve(
        schema.$ref
          .slice(2)
          .split('/')
          .reduce((tree: Tree, key: string) => tree[key], contract),
      )
    : schema;
}

const branches = (schema: Tree): Tree[] => {
  const resolved = resolve(schema);
  return (resolved.anyOf ?? resolved.oneOf)?.flatMap(branches) ?? [resolved];
};

/** The least that a schema asks for. */
function sample(schema: Tree): unknown {
  const [first] = branches(schema);
  if (first.enum) return first.enum[0];
  if (first.type === 'object') {
    return Object.fromEntries(
      (first.required ?? []).map((name: string) => [name, sample(first.properties[name])]),
    );
  }
  if (first.type === 'array') return first.minItems ? [sample(first.items)] : [];
  if (first.type === 'string') return 'x';
  return first.type === 'boolean' ? true : 1;
}

const HOLE = '@hole@';

/** Bodies that are good but for one place: each is JSON text around that place. */
export function bodiesWithHole({
  body,
  bodyExample,
}: HostileOperation): { pointer: string; schema: Tree; around: [string, string] }[] {
  if (body === null) return [];
  return branches(body).flatMap((branch) =>
    places(branch, 3).map((place) => {
      const base = place[0]! in Object(bodyExample) ? bodyExample : sample(branch);
      const [before, after] = JSON.stringify(put(base, branch, place)).split(JSON.stringify(HOLE));
      return { pointer: `/${place.join('/')}`, schema: at(branch, place), around: [before!, after!] };
    }),
  );
}

/** Where a value stands in what a schema describes, arrays by their first item. */
function places(schema: Tree, depth: number): string[][] {
  if (depth === 0) return [];
  return branches(schema).flatMap((branch) => {
    const members: [string, Tree][] = Object.entries(branch.properties ?? {});
    if (branch.type === 'array' && branch.items) members.push(['0', branch.items]);
    return members.flatMap(([name, inner]) => [
      [name],
      ...places(inner, depth - 1).map((rest) => [name, ...rest]),
    ]);
  });
}

/** What describes the member of an object, or the items of an array. */
function member(schema: Tree, name: string): Tree {
  const owner = branches(schema).find((branch) => (name === '0' ? branch.items : branch.properties?.[name]));
  return name === '0' ? owner.items : owner.properties[name];
}

const at = (schema: Tree, place: string[]): Tree => place.reduce(member, schema);

function put(base: unknown, schema: Tree, [name, ...rest]: string[]): unknown {
  const inner = member(schema, name!);
  const old = Object(base)[name!] ?? sample(inner);
  const value = rest.length ? put(old, inner, rest) : HOLE;
  return name === '0' ? [value] : { ...(base as object), [name!]: value };
}

export const SQL = [
  `' or 1=1 --`,
  `'; drop table sessions; --`,
  `" or ""="`,
  `%`,
  `_`,
  `\\`,
  `\\'; select pg_sleep(0) --`,
  `$1`,
  `{"$gt": ""}`,
  `victim%`,
  `') union select * from session_details --`,
];

const nested = (levels: number) => '['.repeat(levels) + ']'.repeat(levels);
const nestedObjects = (levels: number) => `${'{"a":'.repeat(levels)}1${'}'.repeat(levels)}`;

/** Text no column can hold: refused by its pointer wherever it stands in a body. */
export const NO_TEXT = [
  '"\\u0000"',
  '"a\\u0000b"',
  '"\\ud800"',
  '"\\udc00x"',
  '{"a\\u0000":1}',
  '{"\\ud800":1}',
  '[["\\u0000"]]',
];

/** JSON for the place of any member. */
export const JSON_VALUES = [
  ...[
    'null',
    'true',
    'false',
    '""',
    '" "',
    '"x"',
    '[]',
    '{}',
    '[[]]',
    '[null]',
    '[{}]',
    '{"a":{}}',
    '[1,"x",null]',
  ],
  ...[
    '0',
    '-0',
    '-1',
    '0.5',
    '5',
    '1e400',
    '-1e400',
    '[1e400]',
    '1e30',
    '1e-30',
    '9007199254740993',
    '2147483648',
  ],
  ...['0.12345678901', '1e-11'],
  ...NO_TEXT,
  ...[
    '{"__proto__":{"status":"paused"}}',
    '{"constructor":{"prototype":{"x":1}}}',
    '"__proto__"',
    '"constructor"',
  ],
  ...[
    '"toString"',
    '{"toString":1,"hasOwnProperty":1,"length":-1}',
    '{"toJSON":"x"}',
    '{"":1}',
    '{"then":1}',
  ],
  ...[
    '"."',
    '".."',
    '"2026-13-45T99:99:99Z"',
    '"NaN"',
    '"-1"',
    '"1e400"',
    '"\\u202e\\u200b"',
    '"\\r\\nset-cookie: a=b"',
  ],
  ...['a', '😀'].flatMap((character) => [255, 256].map((times) => JSON.stringify(character.repeat(times)))),
  ...SQL.slice(0, 3).map((text) => JSON.stringify(text)),
  nested(60),
  nested(65),
  nestedObjects(65),
];

/** One of each kind: for members of members, and for a stranger, whom no body gets an answer of its own. */
export const FEW_JSON_VALUES = [
  'null',
  '5',
  '[]',
  '{}',
  '"x"',
  '-1',
  '0.5',
  '1e30',
  '1e400',
  ...NO_TEXT,
  nested(65),
];

/** The same, so large that one of each a member will do. */
export const LARGE_JSON_VALUES = [
  JSON.stringify('a'.repeat(1024 * 1024)),
  `[${'0,'.repeat(99_999)}0]`,
  nestedObjects(100_000),
];

const utf8 = (text: string) => Buffer.from(text, 'utf8');

/** Bodies that are no JSON object at all. */
export const NO_OBJECTS: Record<string, Buffer> = {
  null: utf8('null'),
  'an array': utf8('[]'),
  'a string': utf8('"x"'),
  'a number': utf8('5'),
  'a number beyond a double': utf8('1e400'),
  'half an object': utf8('{'),
  'no value': utf8('{"a":}'),
  'trailing garbage': utf8('{} x'),
  'a comment': utf8('{} // x'),
  'a space': utf8(' '),
  'invalid UTF-8': Buffer.from([0x7b, 0x22, 0x61, 0x22, 0x3a, 0x22, 0xff, 0xfe, 0x22, 0x7d]),
  'a surrogate as bytes': Buffer.concat([utf8('{"title":"'), Buffer.from([0xed, 0xa0, 0x80]), utf8('"}')]),
  'UTF-16': Buffer.from('{"title":"x"}', 'utf16le'),
  'a form': utf8('title=x&status=paused'),
  'gzip bytes': Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0]),
  __proto__: utf8('{"__proto__":{"title":"x"}}'),
  constructor: utf8('{"constructor":{"prototype":{"title":"x"}}}'),
  'an unknown member': utf8('{"is_admin":true}'),
  'NUL in a member name': utf8('{"a\\u0000":1}'),
  'a lone surrogate in a member name': utf8('{"\\ud800":1}'),
  '65 levels': utf8(nestedObjects(65)),
  '100,000 levels of arrays': utf8(nested(100_000)),
  '100,000 levels of objects': utf8(nestedObjects(100_000)),
  '100,000 open brackets': utf8('['.repeat(100_000)),
  'an array of 100,000': utf8(`[${'{},'.repeat(99_999)}{}]`),
  'a string of 1 MB': utf8(JSON.stringify('a'.repeat(1024 * 1024))),
};

/** Percent-encoded already; what cannot be decoded stands as it is. */
const UNDECODABLE = ['%', '%0', '%zz', '%ED%A0%80', '%FF', '%C0%80', '%E0%A4'];
const UNTEXTUAL = ['%00', 'a%00b'];
const encoded = (text: string) => encodeURIComponent(text).replaceAll("'", '%27');

export const PATH_SEGMENTS = [
  ...UNDECODABLE,
  ...UNTEXTUAL,
  ...SQL.map(encoded),
  ...[
    'victim-1%00',
    'VICTIM-1',
    'victim-1%20',
    'victim-1%2e',
    'victim-_',
    'victim-1;x=1',
    'victim-1%0a',
    'victim-1%3f',
    'victim-1%23',
  ],
  ...[
    'mallory-0%2f..%2fvictim-1',
    '%2e%2e',
    '..%2f..%2fhealth',
    '%2e',
    '__proto__',
    'constructor',
    'toString',
    'null',
    'undefined',
  ],
  ...[
    'stats',
    'compare',
    '-1',
    '0',
    '1e400',
    '9007199254740993',
    '*',
    ':session_id',
    '%25',
    '%2500',
    '%u0000',
    '%EF%BB%BF',
  ],
  ...[255, 256, 3060, 3061, 8000].map((times) => 'a'.repeat(times)),
  ...[255, 256, 400].map((times) => encoded('😀'.repeat(times))),
];

export const QUERY_VALUES = [
  '',
  ...UNDECODABLE,
  ...UNTEXTUAL,
  ...SQL.map(encoded),
  ...[
    'x',
    '0',
    '-1',
    '0.5',
    '1e400',
    '1e30',
    '9007199254740993',
    '99999999999999999999',
    '0x10',
    '+5',
    'NaN',
    'Infinity',
  ],
  ...[
    'true',
    'TRUE',
    '1',
    'null',
    '[]',
    '{}',
    '%7B%22a%22%3A1%7D',
    '__proto__',
    'constructor',
    '%F0%9F%98%80',
    '%E2%80%AE',
  ],
  ...[
    '2026-02-30T00:00:00Z',
    '2026-01-01',
    '0000-01-01T00:00:00Z',
    '9999-12-31T23:59:59.999%2B23:59',
    '0001-01-01T00:00:00%2B14:00',
  ],
  ...['-last_activity_at%3Bdrop', ',', ',,a,,', encoded('{a,b}'), encoded('"{'), 'victim', 'a%20b'],
  ...[255, 256, 1001, 4097, 6000].map((times) => 'a'.repeat(times)),
  ...[255, 256].map((times) => encoded('😀'.repeat(times))),
];

/** Whole queries, of members that no operation has. */
export const ODD_QUERIES = [
  ...[
    '__proto__=1',
    '__proto__[limit]=1',
    'constructor=1',
    'constructor[prototype][x]=1',
    'toString=1',
    'hasOwnProperty=1',
  ],
  ...[
    '%00=1',
    '%ED%A0%80=1',
    '%=1',
    '%zz=%zz',
    '=1',
    '&&&',
    '?',
    'limit=1;drop',
    '[]=1',
    'a[b][c][d]=1',
    encoded(`' or 1=1`),
  ],
  Array.from({ length: 3000 }, (_, i) => `a${i}=1`)
    .join('&')
    .slice(0, 12_000),
];

/** A parameter twice, or in another shape. */
export const oddlyShaped = (name: string): string[] => [
  ...[`${name}=a&${name}=b`, `${name}=1&${name}=1`, `${name}[]=1`, `${name}[a]=1`, `${name}.a=1`, `${name}`],
];

const METADATA_KEYS = [
  'ticket',
  '',
  '.',
  'a.b',
  '__proto__',
  'constructor',
  'toString',
  '%00',
  '%ED%A0%80',
  '%',
  'a'.repeat(5000),
  ...SQL.map(encoded),
];

/** Filters by `metadata.<key>`, hostile in the key or in the value. */
export const METADATA_QUERIES = [
  ...METADATA_KEYS.map((key) => `metadata.${key}=1`),
  ...QUERY_VALUES.map((value) => `metadata.ticket=${value}`),
  ...[
    'metadata.a=1&metadata.a=2',
    'metadata=1',
    'metadata[a]=1',
    'metadata.a[b]=1',
    'metadata.a=1&metadata=x',
  ],
];

/** What a cursor may hold in the place of its key. */
export const CURSOR_KEYS: unknown[] = [
  ...[null, true, {}, [], [[]], 'x', '', '\0', -1, 0.5, 1e30, 2 ** 53, '1', "' or 1=1 --"],
  ...[
    [null, null],
    [{}, {}],
    ['\0', 1],
    ['x', 1],
    ['x\0', 1],
    ['\ud800', 1],
    [1, 'x'],
    [1, -1],
    [1e30, 1],
    [1, 1e30],
    [0.5, 0.5],
  ],
  ...[
    ['2026-01-01T00:00:00.000Z', '1'],
    ['2026-13-01T00:00:00.000Z', 1],
    ['275760-09-14T00:00:00.000Z', 1],
    ['infinity', 1],
    ['now', 1],
  ],
  ...[
    ['2026-01-01T00:00:00.000Z', 1, 1],
    { 0: 'x', 1: 1, length: 2 },
    ["' or 1=1 --", 1],
    ['2026-01-01T00:00:00.000Z', 1e30],
  ],
];

/** Cursors that are none of ours, percent-encoded. */
export const CURSORS = [
  ...['x', '%20', '-1', '%22', 'bnVsbA', '...', '%F0%9F%98%80', 'AAAA', '====', 'a'.repeat(4096)],
  ...[
    null,
    5,
    'x',
    [],
    {},
    [1],
    [null, null],
    ['', ''],
    ['x', 1, 2],
    { length: 2 },
    [['a'], 1],
    ['\0', '\0'],
  ].map((value) => Buffer.from(JSON.stringify(value)).toString('base64url')),
];

export const IF_MATCH = [
  ...[
    'garbage',
    '"',
    '""',
    '"x"',
    'W/"1"',
    '"1" "2"',
    '"1", garbage',
    '1',
    "'1'",
    '"-1"',
    '"0.5"',
    '"1e400"',
    '"9007199254740993"',
    ',',
  ],
  ...['"1" or 1=1', '"\\"', '"é"', `"${'1'.repeat(4000)}"`, Array(500).fill('"9"').join(','), 'null', '*x'],
  // numbers equal to a version, but not its tag
  ...['"0x1"', '"1.0"', '"1e0"', '"01"', '" 1"', '"+1"'],
];

export const IDEMPOTENCY_KEYS = [
  '',
  ' ',
  'a'.repeat(256),
  'a'.repeat(4000),
  'é',
  '\xff\xfe',
  'a\tb',
  '😀'.repeat(10),
];

export const CONTENT_TYPES = [
  null,
  'application/x-www-form-urlencoded',
  'multipart/form-data; boundary=x',
  'text/plain',
  'text/plain; charset=utf-8',
  'text/json',
  'application/xml',
  'application/jsonp',
  'application/octet-stream',
  'application/x-ndjson',
  'application/vnd.api+json',
  'json',
  'garbage; application/json',
  '*/*',
];
