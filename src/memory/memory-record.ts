import { z } from 'zod';
import { isMemoryId } from '../common/ids.js';
import { checkSize, jsonBytes } from '../common/json.js';
import { exactTime, jsonObject, pastTime, printableName } from '../http/schemas.js';
import type { MemoryEntry, MemoryVersion } from './memory.entity.js';
import { importance, METADATA_KIB, memoryKey, memoryType, VALUE_KIB } from './memory.schemas.js';

const memoryId = z
  .string()
  .refine((id) => isMemoryId(id) && id === id.toLowerCase(), 'must be mem_ and a UUID');
const version = z
  .int()
  .min(1)
  .max(2 ** 31 - 1);

const said = {
  version,
  memory_type: memoryType,
  value: z.unknown().refine((value) => value !== undefined, 'is required'),
  metadata: jsonObject(METADATA_KIB),
  importance,
  expires_at: exactTime.nullable(),
  updated_at: pastTime,
};

/** An entry as an export carries it; its `content` follows from the value. */
export const entryRecord = z.strictObject({
  type: z.literal('memory'),
  memory_id: memoryId,
  key: memoryKey.nullable(),
  ...said,
  created_by: printableName.nullable(),
  created_at: pastTime,
});
export type EntryRecord = z.output<typeof entryRecord>;

/** What an entry was before; it follows its entry. */
export const versionRecord = z.strictObject({
  type: z.literal('memory_version'),
  memory_id: memoryId,
  ...said,
});
export type VersionRecord = z.output<typeof versionRecord>;

/** What follows from a record. @throws DomainError `too_large` */
export function derivedFrom({ value, metadata }: Pick<EntryRecord, 'value' | 'metadata'>) {
  checkSize('/value', value, VALUE_KIB);
  checkSize('/metadata', metadata, METADATA_KIB);
  const content = typeof value === 'string' ? value : JSON.stringify(value);
  return { content, bytes: jsonBytes(value) + Buffer.byteLength(content) + jsonBytes(metadata) };
}

const saidOf = (row: MemoryEntry | MemoryVersion) => ({
  version: row.version,
  memory_type: row.memory_type,
  value: row.value,
  metadata: row.metadata,
  importance: row.importance,
  expires_at: row.expires_at?.toISOString() ?? null,
  updated_at: row.updated_at.toISOString(),
});

export const toEntryRecord = (row: MemoryEntry) => ({
  type: 'memory',
  memory_id: `mem_${row.memory_id}`,
  key: row.name,
  ...saidOf(row),
  created_by: row.created_by,
  created_at: row.created_at.toISOString(),
});

export const toVersionRecord = (entry: MemoryEntry, row: MemoryVersion) => ({
  type: 'memory_version',
  memory_id: `mem_${entry.memory_id}`,
  ...saidOf(row),
});
