import { type JsonSchema, toJsonSchema } from './json-schema.js';
import type { OperationSpec, StreamedTypes } from './operation.js';

// biome-ignore lint/suspicious/noExplicitAny: the document is a plain JSON tree
type Tree = any;

/** The body of a request, as the document tells it: what Nest binds, or what a route that reads it itself says. */
export function requestBody(
  operation: Tree,
  body: NonNullable<OperationSpec['body']>,
  schemas: Record<string, JsonSchema>,
): Tree {
  if (body.streams) return { required: true, content: streamed(body.streams, schemas) };
  const schema = Object.values<Tree>(operation.requestBody.content)[0].schema;
  const content = { schema, example: body.example };
  const mediaTypes = body.mediaTypes ?? ['application/json'];
  return {
    required: body.required ?? false,
    content: Object.fromEntries(mediaTypes.map((type) => [type, content])),
  };
}

const BYTES = { type: 'string', format: 'binary' };

const streamed = (types: StreamedTypes, schemas: Record<string, JsonSchema>) =>
  Object.fromEntries(
    Object.entries(types).map(([type, { schema, example }]) => [
      type,
      {
        schema: schema ? toJsonSchema(schema, 'input', schemas) : BYTES,
        ...(example !== undefined && { example }),
      },
    ]),
  );
