import { isDeepStrictEqual } from 'node:util';
import { checkSize, type Json, type JsonObject, jsonBytes, mergePatch } from '../common/json.js';
import type { MemoryEntry } from './memory.entity.js';
import { DEFAULTS, METADATA_KIB, type PatchMemory, type SaveMemory, VALUE_KIB } from './memory.schemas.js';
import type { Written } from './memory-writes.repository.js';

const SAID = ['memory_type', 'value', 'metadata', 'importance'] as const;

/** Whether an entry would say the same, for as long. */
export function isUnchanged(held: MemoryEntry, written: Written): boolean {
  const { ttlSeconds } = written;
  const keepsTime = ttlSeconds === undefined || (ttlSeconds === null && held.expires_at === null);
  return keepsTime && SAID.every((name) => isDeepStrictEqual(held[name], written[name]));
}

/** An entry as it is when nothing is left of one before. */
export function whole(input: Omit<SaveMemory, 'value'>, value: Json): Written {
  return sized({
    memory_type: input.memory_type ?? DEFAULTS.memory_type,
    metadata: (input.metadata ?? {}) as JsonObject,
    importance: input.importance ?? DEFAULTS.importance,
    ttlSeconds: input.ttl_seconds ?? null,
    value,
  });
}

/** An entry with a change merged into it (RFC 7396). */
export function merged(held: MemoryEntry, input: PatchMemory): Written {
  const or = <T>(given: T | null | undefined, kept: T, none: T): T =>
    given === undefined ? kept : (given ?? none);
  return sized({
    memory_type: or(input.memory_type, held.memory_type, DEFAULTS.memory_type),
    metadata: input.metadata
      ? (mergePatch(held.metadata, input.metadata as Json) as JsonObject)
      : or(input.metadata, held.metadata, {}),
    importance: or(input.importance, held.importance, DEFAULTS.importance),
    ttlSeconds: input.ttl_seconds,
    value: input.value === undefined ? held.value : mergePatch(held.value, input.value as Json),
  });
}

/** @throws DomainError `too_large` */
function sized(said: Omit<Written, 'content' | 'bytes'>): Written {
  checkSize('/value', said.value, VALUE_KIB);
  checkSize('/metadata', said.metadata, METADATA_KIB);
  const content = typeof said.value === 'string' ? said.value : JSON.stringify(said.value);
  return {
    ...said,
    content,
    bytes: jsonBytes(said.value) + Buffer.byteLength(content) + jsonBytes(said.metadata),
  };
}
