import { z } from 'zod';
import { timestamp } from '../http/schemas.js';
import { DEFAULTS, type FieldName } from './rules.js';

/** More days than that, or sessions, nothing has. */
const MOST = 2_147_483_647;

const limit = (about: string) =>
  z
    .int()
    .min(0)
    .max(MOST)
    .nullable()
    .meta({ description: `${about}; null: off` });

const FIELDS = {
  auto_archive_inactive_days: limit('days after its last activity until a session is archived'),
  auto_delete_archived_days: limit('days after its archiving until an archived session is deleted'),
  delete_completed_days: limit('days after its completion until a completed session is deleted'),
  max_age_days: limit('days after its making until a session is deleted, whatever its state'),
  purge_deleted_days: limit('days after its deletion until a deleted session is gone for good'),
  max_sessions_per_user: limit(
    'sessions of a user that are neither archived nor deleted; beyond them the least active are archived',
  ),
} satisfies Record<FieldName, z.ZodType>;

const policy = z.strictObject(FIELDS);

export const policyBody = policy.partial().meta({ id: 'RetentionPolicyFields' });

/** What a policy names; of a user's what is not named is inherited. */
export type OwnPolicy = z.output<typeof policyBody>;
/** What holds. */
export type Policy = z.output<typeof policy>;

const common = {
  effective: policy.meta({ description: 'what holds' }),
  version: z.int().min(0).meta({ description: 'counts changes; the ETag; 0: there never was one' }),
  updated_at: timestamp.nullable(),
};

export const servicePolicyView = z.strictObject({ ...FIELDS, ...common }).meta({
  id: 'ServiceRetentionPolicy',
  example: {
    ...{ ...DEFAULTS, auto_archive_inactive_days: 90 },
    effective: { ...DEFAULTS, auto_archive_inactive_days: 90 },
    ...{ version: 2, updated_at: '2026-01-31T12:00:00.000Z' },
  },
});

export const userPolicyView = z
  .strictObject({ user_id: z.string(), ...policy.partial().shape, ...common })
  .meta({
    id: 'UserRetentionPolicy',
    description: 'Beside `effective` only what is the user’s own; the rest is inherited.',
    example: {
      ...{ user_id: 'alice', max_age_days: null, max_sessions_per_user: 100 },
      effective: { ...DEFAULTS, max_sessions_per_user: 100 },
      ...{ version: 1, updated_at: '2026-01-31T12:00:00.000Z' },
    },
  });

/** A policy as it is read. */
export interface PolicyRow {
  /** null: the service's */
  user_id: string | null;
  policy: OwnPolicy;
  effective: Policy;
  version: number;
  /** null: there never was one */
  updated_at: Date | null;
}

/** A policy as the API shows it. */
export const toView = ({ user_id, policy, effective, version, updated_at }: PolicyRow) => ({
  ...(user_id !== null && { user_id }),
  ...policy,
  effective,
  version,
  updated_at: updated_at?.toISOString() ?? null,
});
