import { z } from 'zod';
import { pageFields } from '../http/paging.js';
import { integer, jsonObject, pageQuery, timestamp } from '../http/schemas.js';
import type { Checkpoint } from './checkpoint.entity.js';
import { sessionView } from './session.view.js';

/** How many checkpoints of a session are kept. */
export const MOST_CHECKPOINTS = 1_000;

export const CHECKPOINT_KIB = 1024;
export const METADATA_KIB = 64;

export const newCheckpointBody = z
  .strictObject({ checkpoint: jsonObject(CHECKPOINT_KIB), metadata: jsonObject(METADATA_KIB).default({}) })
  .meta({ id: 'NewCheckpoint' });
export type NewCheckpoint = z.output<typeof newCheckpointBody>;

export const checkpointsQuery = z.strictObject(pageQuery(50, 200));
export type CheckpointsQuery = z.output<typeof checkpointsQuery>;

export const checkpointNumber = integer(1, Number.MAX_SAFE_INTEGER);

export const checkpointView = z
  .strictObject({
    n: z.int().min(1).meta({ description: 'from 1 in its session, never used twice' }),
    checkpoint: z.record(z.string(), z.unknown()),
    metadata: z.record(z.string(), z.unknown()),
    created_at: timestamp,
  })
  .meta({
    id: 'Checkpoint',
    example: { n: 3, checkpoint: { step: 3 }, metadata: {}, created_at: '2026-01-31T12:00:00.250Z' },
  });

export const checkpointsPage = z
  .strictObject({ checkpoints: z.array(checkpointView), ...pageFields })
  .meta({ id: 'CheckpointsPage' });

export const recoveredView = z
  .strictObject({
    session: sessionView,
    checkpoint: z.record(z.string(), z.unknown()).nullable().meta({ description: 'the last one saved' }),
  })
  .meta({ id: 'Recovered' });

/** A checkpoint as the API shows it. */
export const toView = ({ n, checkpoint, metadata, created_at }: Omit<Checkpoint, 'session_key'>) => ({
  n,
  checkpoint,
  metadata,
  created_at: created_at.toISOString(),
});
