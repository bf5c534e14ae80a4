import { z } from 'zod';
import { ON_CONFLICT } from '../collections/placed.js';
import { acceptOlderNames } from '../http/older-names.js';
import { anyId, chosenId, printableName } from '../http/schemas.js';
import { describing } from '../sessions/sessions.schemas.js';

const INCLUDED = ['messages', 'memory', 'vectors', 'stats'] as const;
export type Included = (typeof INCLUDED)[number];

const distinct = (ids: string[]) => new Set(ids).size === ids.length;

export const mergeBody = acceptOlderNames({
  session_ids: z
    .array(anyId)
    .min(2)
    .max(100)
    .refine(distinct, 'must be distinct')
    .meta({ description: 'the order matters: the first gives configuration and title, and settles ties' }),
  session_id: chosenId.optional(),
  ...describing,
  user_id: printableName.nullable().optional().meta({
    description: 'a service names the owner (that of the first source else); for a user it is himself',
  }),
  archive_sources: z.boolean().default(true),
  include: z
    .array(z.enum(INCLUDED))
    .min(1)
    .refine(distinct, 'must be distinct')
    .default([...INCLUDED]),
  on_point_conflict: z.enum(ON_CONFLICT).default('fail').meta({
    description:
      'points with the same id that are not the same; `remap` gives the later one an id made from its session and its id, and keeps the old one in the payload’s `_origin`',
  }),
  on_memory_conflict: z.enum(['keep_latest', 'fail']).default('keep_latest'),
}).meta({ id: 'Merge' });
export type Merge = z.output<typeof mergeBody>;

/** What a merge's job is told beside its sources. */
export type MergeInput = Omit<Merge, 'session_ids' | 'tags'> & { tags: string[] };

/** Whose the target is: the caller's; of what a service asks for whose it names, else whose the first source is by then. */
export const ownerOf = ({ user_id }: Pick<MergeInput, 'user_id'>, first: { user_id: string | null }) =>
  user_id ?? first.user_id;

/** Who takes sessions out of use must manage them; who only reads them, read. */
export const permissionOf = ({ archive_sources }: Pick<Merge, 'archive_sources'>) =>
  archive_sources ? 'manage' : 'read';
