import { z } from 'zod';

export type JsonSchema = Record<string, unknown>;
type Direction = 'input' | 'output';
// biome-ignore lint/suspicious/noExplicitAny: a schema is a plain JSON tree
type Tree = any;

/** A Zod schema as JSON Schema; those with an id become components and are referred to. */
export function toJsonSchema(
  schema: z.ZodType,
  io: Direction,
  schemas: Record<string, JsonSchema>,
): JsonSchema {
  const { $defs, $schema, id, ...own } = z.toJSONSchema(schema, { io, unrepresentable: 'any' }) as Tree;
  for (const [name, { id: _, ...definition }] of Object.entries<Tree>($defs ?? {})) {
    schemas[name] = referToComponents(definition);
  }
  if (!id) return referToComponents(own);
  schemas[id] = referToComponents(own);
  return { $ref: `#/components/schemas/${id}` };
}

/** Points to components, and leaves out the patterns that say what a format says already. */
const referToComponents = (tree: Tree): Tree =>
  JSON.parse(JSON.stringify(tree), (key, value) => {
    if (key === '$ref' && typeof value === 'string')
      return value.replace('#/$defs/', '#/components/schemas/');
    if (value?.format && value?.pattern) delete value.pattern;
    return value;
  });
