import { readFileSync } from 'node:fs';
import type { ValidateFunction } from 'ajv';
import { Ajv2020 } from 'ajv/dist/2020.js';
import formats from 'ajv-formats';
import type { Answer } from './api.js';

// biome-ignore lint/suspicious/noExplicitAny: the document is a plain JSON tree
type Tree = any;

export const contract: Tree = JSON.parse(readFileSync('openapi.json', 'utf8'));

const ajv = new Ajv2020({ strict: false, allErrors: true });
formats.default(ajv);
ajv.addSchema(contract, 'openapi.json');
const compiled = new Map<string, ValidateFunction>();

const routes = Object.entries<Tree>(contract.paths).map(([path, item]) => ({
  item,
  path,
  pattern: new RegExp(`^${path.replace('/api/v1/', '/(?:api/v1/)?').replace(/\{[^}]+\}/g, '[^/]+')}/?$`),
  weight: path.split('{').length,
}));

/** The documented operation that a request meets; literal paths win over parameters. */
export function findOperation(method: string, url: string): { operation: Tree; path: string } | null {
  const pathname = url.split('?', 1)[0]!;
  const [route] = routes.filter(({ pattern }) => pattern.test(pathname)).sort((a, b) => a.weight - b.weight);
  const operation = route?.item[method.toLowerCase()];
  return operation ? { operation, path: route!.path } : null;
}

const HEADERS = [
  'ETag',
  'Location',
  'Preference-Applied',
  'Idempotency-Replayed',
  'Retry-After',
  'WWW-Authenticate',
  'X-Request-ID',
];
/** documented to be there at times only */
const OPTIONAL = new Set(['Idempotency-Replayed', 'ETag', 'Preference-Applied']);

function checkHeaders(where: string, documented: object, { status, headers }: Answer): void {
  for (const name of HEADERS) {
    const isThere = headers.has(name);
    if (isThere && !(name in documented))
      throw new Error(`${where} has the header ${name}, which is not documented`);
    const isOptional = OPTIONAL.has(name) || (name === 'Retry-After' && status === 409);
    if (!isThere && name in documented && !isOptional) throw new Error(`${where} lacks the header ${name}`);
  }
}

/** @throws when the answer has a status, a header, a media type or a field that openapi.json does not document */
export function checkAgainstContract(method: string, url: string, answer: Answer): void {
  const found = findOperation(method, url);
  if (!found) {
    if (answer.status === 404 || answer.status === 400 || answer.status === 204 || url.startsWith('/docs'))
      return;
    throw new Error(`${method} ${url} → ${answer.status}: no such operation in openapi.json`);
  }
  const where = `${method} ${found.path} → ${answer.status}`;
  const documented = found.operation.responses[answer.status];
  if (!documented) throw new Error(`${where} is not documented: ${answer.text.slice(0, 500)}`);
  checkHeaders(where, documented.headers ?? {}, answer);
  if (!documented.content) {
    if (answer.text !== '') throw new Error(`${where} has a body, none is documented`);
    return;
  }
  const type = answer.headers.get('content-type')?.split(';')[0] ?? '';
  const media = documented.content[type];
  if (!media)
    throw new Error(`${where} has media type ${type}, documented: ${Object.keys(documented.content)}`);
  if (/[/+]json$/.test(type))
    checkSchema(where, `${found.path}|${method}|${answer.status}|${type}`, media.schema, answer.body);
  if (type === 'application/problem+json' && !documented.description.includes(`\`${answer.body.code}\``)) {
    throw new Error(`${where} has code ${answer.body.code}, which is not documented`);
  }
}

function checkSchema(where: string, key: string, schema: Tree, body: unknown): void {
  let validate = compiled.get(key);
  if (!validate) {
    const rooted = JSON.parse(
      JSON.stringify(schema).replaceAll('"#/components/', '"openapi.json#/components/'),
    );
    validate = ajv.compile(rooted);
    compiled.set(key, validate);
  }
  if (!validate(body))
    throw new Error(`${where}: ${ajv.errorsText(validate.errors)}\n${JSON.stringify(body).slice(0, 2000)}`);
}
