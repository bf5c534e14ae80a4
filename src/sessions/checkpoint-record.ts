import { z } from 'zod';
import { checkSize } from '../common/json.js';
import { jsonObject, pastTime } from '../http/schemas.js';
import type { StoredCheckpoint } from './checkpoints.repository.js';
import { CHECKPOINT_KIB, METADATA_KIB } from './checkpoints.schemas.js';

/** So many that numbers after it can still be counted. */
export const MOST_N = 2 ** 31 - 1;

/** A checkpoint as an export carries it. */
export const checkpointRecord = z.strictObject({
  type: z.literal('checkpoint'),
  n: z.int().min(1).max(MOST_N),
  checkpoint: jsonObject(CHECKPOINT_KIB),
  metadata: jsonObject(METADATA_KIB),
  created_at: pastTime,
});
export type CheckpointRecord = z.output<typeof checkpointRecord>;

/** @throws DomainError `too_large` */
export function checkSizes({ checkpoint, metadata }: CheckpointRecord): void {
  checkSize('/checkpoint', checkpoint, CHECKPOINT_KIB);
  checkSize('/metadata', metadata, METADATA_KIB);
}

export const toRecord = ({ n, checkpoint, metadata, created_at }: StoredCheckpoint) => ({
  type: 'checkpoint',
  n,
  checkpoint,
  metadata,
  created_at: created_at.toISOString(),
});
