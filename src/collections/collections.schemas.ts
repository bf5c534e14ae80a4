import { z } from 'zod';
import { sessionCollection } from '../sessions/session-collection.js';
import { payloadKey } from '../vectors/filter.js';
import { vectors } from '../vectors/shape.js';

/** What a store that does not do its work answers. */
export const STORE_DOWN = [
  'vectors_unavailable',
  'vectors_rate_limited',
  'vectors_outcome_unknown',
  'collection_elsewhere',
];

const indexKind = z.enum(['keyword', 'integer', 'float', 'bool', 'datetime', 'uuid']);

export const putCollectionBody = z
  .strictObject({
    vectors,
    payload_indexes: z
      .record(payloadKey, indexKind)
      .refine((indexes) => Object.keys(indexes).length <= 32, 'name at most 32')
      .optional()
      .meta({
        description: 'members of payloads that filters shall find faster; what they find is the same',
      }),
  })
  .meta({ id: 'CollectionToPut' });
export type PutCollection = z.output<typeof putCollectionBody>;

export const collectionView = z
  .strictObject({
    ...sessionCollection.shape,
    payload_indexes: z.record(z.string(), indexKind),
    points_count: z
      .int()
      .min(0)
      .nullable()
      .meta({ description: 'exact; null while the collection is not there, or its store does not answer' }),
    error: z.string().nullable().meta({ description: 'why the store refuses to make it' }),
  })
  .meta({
    id: 'Collection',
    example: {
      name: 'ss1f4c9d02_0199f0c2a1d47b6c8e6a3f0d4b8a7c51',
      backend: 'qdrant',
      vectors: { size: 384, distance: 'cosine' },
      status: 'ready',
      direct_writes: true,
      payload_indexes: { topic: 'keyword' },
      points_count: 1200,
      error: null,
    },
  });
