import { z } from 'zod';
import { acceptOlderNames } from '../http/older-names.js';
import { chosenId } from '../http/schemas.js';

export const forkSessionBody = acceptOlderNames({
  up_to_seq: z.int().min(0).optional().meta({ description: 'the last message to copy; all when left out' }),
  title: z.string().max(500).nullable().optional().meta({ description: 'that of the source unless given' }),
  session_id: chosenId.optional(),
}).meta({ id: 'Fork' });
export type ForkSession = z.output<typeof forkSessionBody>;
