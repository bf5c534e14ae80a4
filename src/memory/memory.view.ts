import { z } from 'zod';
import { pageFields } from '../http/paging.js';
import { timestamp } from '../http/schemas.js';
import type { MemoryEntry } from './memory.entity.js';

/** An entry as read, and whose it is. */
export type MemoryRow = MemoryEntry & {
  scope: 'user' | 'session';
  user_id: string | null;
  session_id: string | null;
};

export const memoryView = z
  .strictObject({
    memory_id: z.string(),
    scope: z.enum(['user', 'session']),
    user_id: z.string().nullable().meta({ description: 'whom it is kept for; of a session, its owner' }),
    session_id: z.string().nullable(),
    key: z.string().nullable(),
    memory_type: z.string(),
    value: z.unknown(),
    content: z.string().meta({ description: 'the value as text' }),
    metadata: z.record(z.string(), z.unknown()),
    importance: z.number(),
    version: z.int().min(1).meta({ description: 'the ETag; never used twice for a key' }),
    expires_at: timestamp.nullable(),
    created_by: z.string().nullable().meta({ description: 'the user who made it; null: a service' }),
    created_at: timestamp,
    updated_at: timestamp,
  })
  .meta({
    id: 'Memory',
    example: {
      memory_id: 'mem_0190b5b0-6a3c-7c7e-9a53-6f1d3c1f2a10',
      scope: 'user',
      user_id: 'alice',
      session_id: null,
      key: 'allergies',
      memory_type: 'fact',
      value: ['penicillin'],
      content: '["penicillin"]',
      metadata: {},
      importance: 0.9,
      version: 1,
      expires_at: null,
      created_by: 'alice',
      created_at: '2026-01-31T12:00:00.000Z',
      updated_at: '2026-01-31T12:00:00.000Z',
    },
  });

const memoryPage = z.strictObject({ entries: z.array(memoryView), ...pageFields }).meta({ id: 'MemoryPage' });
const memoryMap = z.strictObject({ memories: z.record(z.string(), z.unknown()), ...pageFields }).meta({
  id: 'MemoryMap',
  example: { memories: { allergies: ['penicillin'] }, limit: 50, next_cursor: null, has_more: false },
});
export const memoryList = z.union([memoryPage, memoryMap]);
export const memoryHistory = memoryPage;

export const clearedView = z
  .strictObject({ deleted: z.int().min(0) })
  .meta({ id: 'ClearedMemory', example: { deleted: 2 } });

/** An entry as the API shows it. */
export const toView = (row: MemoryRow) => ({
  memory_id: `mem_${row.memory_id}`,
  scope: row.scope,
  user_id: row.user_id,
  session_id: row.session_id,
  key: row.name,
  memory_type: row.memory_type,
  value: row.value,
  content: row.content,
  metadata: row.metadata,
  importance: row.importance,
  version: row.version,
  expires_at: row.expires_at?.toISOString() ?? null,
  created_by: row.created_by,
  created_at: row.created_at.toISOString(),
  updated_at: row.updated_at.toISOString(),
});
