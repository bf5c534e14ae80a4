import { z } from 'zod';
import { invalid } from '../common/errors.js';
import { escapePointer, type JsonObject } from '../common/json.js';
import type { Config } from '../config/config.js';
import { type Vectors, vectors } from '../vectors/shape.js';

/** What a session tells of its vector collection. Written by whoever keeps collections; read with the session. */
export const sessionCollection = z
  .strictObject({
    name: z.string(),
    backend: z.string().meta({ description: '`postgres` or `qdrant`' }),
    vectors,
    status: z.enum(['pending', 'ready', 'error']),
    direct_writes: z
      .boolean()
      .meta({ description: 'whether others may write to the collection in Qdrant itself, by its name' }),
  })
  .meta({ id: 'SessionCollection' });
export type SessionCollection = z.output<typeof sessionCollection>;

type Defaults = Pick<Config, 'DEFAULT_VECTOR_SIZE' | 'DEFAULT_VECTOR_DISTANCE'>;

/** The vectors of the session's collection, as its configuration says, or else the process's; null: it is made when asked for. */
export function vectorsFor(configuration: JsonObject, defaults: Defaults): Vectors | null {
  const { DEFAULT_VECTOR_SIZE: size, DEFAULT_VECTOR_DISTANCE: distance } = defaults;
  const wanted = vectors.safeParse(configuration.vectors);
  if (wanted.success) return wanted.data;
  return size === undefined ? null : { size, distance };
}

/**
 * The vectors that a configuration which is being written asks for; null: none.
 * @throws DomainError kind `invalid`
 */
export function checkedVectors(configuration: JsonObject): Vectors | null {
  if (configuration.vectors === undefined || configuration.vectors === null) return null;
  const parsed = vectors.safeParse(configuration.vectors);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const path = issue!.path.map((part) => `/${escapePointer(String(part))}`).join('');
  throw invalid([
    {
      pointer: `/configuration/vectors${path}`,
      detail: 'must be {size, distance}, or that by the name of each vector',
    },
  ]);
}
