import type { INestApplication } from '@nestjs/common';
import { DocumentBuilder, type OpenAPIObject, SwaggerModule } from '@nestjs/swagger';
import type { z } from 'zod';
import { type JsonSchema, toJsonSchema } from './json-schema.js';
import { requestBody } from './openapi-body.js';
import { headersOfAnswer, headersOfRefusal, headersOfRequest } from './openapi-headers.js';
import { type OperationSpec, operationById, refusalsOf } from './operation.js';
import { problemSchema } from './problem.js';
import { EVENT_STREAM } from './sse.js';

// biome-ignore lint/suspicious/noExplicitAny: the document is a plain JSON tree
type Tree = any;

/** The OpenAPI 3.1 document of every route: parameters and bodies as Nest binds them, the rest as `@Operation` declares it. */
export function buildOpenApi(app: INestApplication, version: string): OpenAPIObject {
  const schemas: Record<string, JsonSchema> = {};
  const settings = new DocumentBuilder()
    .setOpenAPIVersion('3.1.0')
    .setTitle('Session Service')
    .setDescription('Keeps everything an AI application must remember between two calls.')
    .setVersion(version)
    .setLicense('Apache-2.0', 'https://www.apache.org/licenses/LICENSE-2.0')
    .addServer('http://127.0.0.1:8002', 'as `npm start` serves it')
    .build();
  const document: Tree = SwaggerModule.createDocument(app, settings, {
    standardSchemaConverter: (schema, { schemaType }) => ({
      schema: toJsonSchema(schema as z.ZodType, schemaType, schemas),
    }),
  });
  document.paths = Object.fromEntries(
    Object.entries(document.paths as Tree).map(([path, item]) => [
      publicPath(path, item),
      inUsualOrder(item),
    ]),
  );
  forEachOperation(document, (operation) => complete(operation, schemas));
  document.components = { schemas: sortKeys(schemas), securitySchemes: SECURITY_SCHEMES };
  document.tags = TAGS;
  return document;
}

const SECURITY_SCHEMES = {
  user: {
    type: 'apiKey',
    in: 'header',
    name: 'X-User-ID',
    description:
      'a user, named by the gateway in front, which proves itself by X-Gateway-Secret where one is set',
  },
  serviceKey: { type: 'apiKey', in: 'header', name: 'X-API-Key', description: 'one of SERVICE_API_KEYS' },
  serviceBearer: { type: 'http', scheme: 'bearer', description: 'the same, as a bearer token' },
  token: {
    type: 'http',
    scheme: 'bearer',
    bearerFormat: 'JWT',
    description: 'with AUTH_MODE=jwt: a user, named by `sub`; X-User-ID names none then',
  },
};

/** A user, a service, or a service that asks for what one user sees. */
const SECURITY = [
  { user: [] },
  { token: [] },
  { serviceKey: [] },
  { serviceKey: [], user: [] },
  { serviceBearer: [] },
  { serviceBearer: [], user: [] },
];

const TAGS = [
  { name: 'Sessions', description: 'The unit of isolation: its lifecycle and fields.' },
  { name: 'Checkpoints', description: 'Saved states to resume from, numbered in their session.' },
  { name: 'Messages', description: 'The history of a session, numbered without gaps.' },
  { name: 'Memory', description: 'Facts that persist: of a user, or of one session.' },
  { name: 'Collections', description: 'A vector collection of one session, and the points in it.' },
  { name: 'Jobs', description: 'Work that outlives a request.' },
  { name: 'Events', description: 'What happened, numbered and replayable.' },
  { name: 'Statistics', description: 'Figures of a session, of a user, of the service.' },
  { name: 'Operations', description: 'For those who run the service.' },
];

function forEachOperation(
  document: Tree,
  visit: (operation: Tree, path: string, method: string) => void,
): void {
  for (const [path, item] of Object.entries<Tree>(document.paths)) {
    for (const [method, operation] of Object.entries<Tree>(item)) visit(operation, path, method);
  }
}

/** Routes are bound without the prefix that the server takes off; those that ask for no credential have none. */
function publicPath(path: string, item: Tree): string {
  const operation = Object.values<Tree>(item)[0];
  return operationById(operation.operationId)?.scope === null ? path : `/api/v1${path}`;
}

const inUsualOrder = (item: Tree) =>
  Object.fromEntries(METHODS.filter((method) => method in item).map((method) => [method, item[method]]));

const METHODS = ['get', 'post', 'put', 'patch', 'delete'];

function complete(operation: Tree, schemas: Record<string, JsonSchema>): void {
  const spec = operationById(operation.operationId)!;
  operation.description = describe(spec) || undefined;
  operation.security = spec.scope === null ? [] : SECURITY;
  if (spec.scope) operation['x-scope'] = spec.scope;
  if (spec.permission) operation['x-permission'] = spec.permission;
  if (spec.onlyServices) operation['x-only-services'] = true;
  operation.parameters = [...(operation.parameters ?? []).map(tidyParameter), ...headersOfRequest(spec)];
  if (spec.body) operation.requestBody = requestBody(operation, spec.body, schemas);
  else delete operation.requestBody;
  operation.responses = responses(spec, schemas);
}

const describe = (spec: OperationSpec) =>
  [
    spec.description,
    spec.permission && `The caller's role in the session must allow \`${spec.permission}\`.`,
    spec.scope && `A service key needs the scope \`${spec.scope}\`.`,
  ]
    .filter(Boolean)
    .join('\n\n');

function tidyParameter(parameter: Tree): Tree {
  const { description, deprecated, ...schema } = parameter.schema ?? {};
  const text = parameter.description ?? description;
  return {
    name: parameter.name,
    in: parameter.in,
    required: parameter.in === 'path' || parameter.required === true,
    ...(text && { description: text }),
    ...(deprecated && { deprecated: true }),
    ...(schema.type === 'array' && { style: 'form', explode: true }),
    ...(schema.type === 'object' && { style: 'form', explode: true }),
    schema,
  };
}

function responses(spec: OperationSpec, schemas: Record<string, JsonSchema>): Tree {
  const answers = Object.entries(spec.answers).map(([status, schema]) => [
    status,
    answer(spec, status, schema, schemas),
  ]);
  const refusals = Object.entries(refusalsOf(spec)).map(([status, codes]) => [
    status,
    refusal(status, codes, schemas),
  ]);
  return Object.fromEntries([...answers, ...refusals]);
}

function answer(
  spec: OperationSpec,
  status: string,
  schema: z.ZodType | null,
  schemas: Record<string, JsonSchema>,
): Tree {
  const content = schema && {
    [spec.mediaType ?? 'application/json']: {
      schema: toJsonSchema(schema, 'output', schemas),
      ...(spec.example !== undefined && { example: spec.example }),
    },
    ...(spec.alsoEvents && {
      [EVENT_STREAM]: { schema: { type: 'string' }, example: spec.alsoEvents },
    }),
    ...(spec.alsoJson && { 'application/json': { schema: toJsonSchema(spec.alsoJson, 'output', schemas) } }),
  };
  return {
    description: { 200: 'Done.', 201: 'Made.', 202: 'Begun.', 204: 'Gone.' }[status] ?? 'Answered.',
    headers: headersOfAnswer(spec, status),
    ...(content && { content }),
  };
}

function refusal(status: string, codes: string[], schemas: Record<string, JsonSchema>): Tree {
  const code = codes[0];
  const example = {
    type: `urn:session-service:problem:${code}`,
    title: 'Refused',
    status: Number(status),
    detail: 'What was wrong, in words.',
    instance: '/api/v1/sessions',
    code,
    request_id: '0190b5b0-6a3c-7c7e-9a53-6f1d3c1f2a10',
  };
  return {
    description: `Refused: ${codes.map((c) => `\`${c}\``).join(', ')}.`,
    headers: headersOfRefusal(status, codes),
    content: {
      'application/problem+json': { schema: toJsonSchema(problemSchema, 'output', schemas), example },
    },
  };
}

const sortKeys = (object: Record<string, JsonSchema>) =>
  Object.fromEntries(Object.entries(object).sort(([a], [b]) => (a < b ? -1 : 1)));
