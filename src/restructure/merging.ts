import type { Json } from '../common/json.js';
import type { Progress, RunningJob } from '../jobs/job-handler.js';
import type { SessionRow } from '../sessions/session.view.js';
import type { Included, MergeInput } from './merge.schemas.js';

/** In this order; each begins where the job's cursor says. */
export type Phase = 'messages' | 'memory' | 'points' | 'stats' | 'finish' | 'done';

/** How far a merge is. Whoever goes on with it begins behind this. */
export type State = {
  target: number;
  session_id: string;
  phase: Phase;
  /** of each source, the last message that is copied */
  reached: number[];
  /** of memory and points: which source is copied, and what of it was last */
  source: number;
  after: Json;
  messages: number;
  memory: number;
  /** points of the sources that were read */
  read: number;
  /** points of the target, known at the end */
  points: number;
  remapped: number;
  /** of each source, the last report on a model that is copied; none yet: it is not there */
  reported?: number[];
};

export interface Merging {
  job: RunningJob;
  input: MergeInput;
  sources: SessionRow[];
  state: State;
}

/** What is written next is how far it is then. */
export function advance(merging: Merging, changes: Partial<State>): { cursor: State; progress: Progress } {
  merging.state = { ...merging.state, ...changes };
  return { cursor: merging.state, progress: progressOf(merging) };
}

export const progressOf = ({ state }: Merging): Progress => ({
  phase: state.phase,
  done: state.messages + state.memory + state.read,
});

export const has = ({ input }: Merging, part: Included) => input.include.includes(part);

export const resultOf = ({ session_id, messages, memory, points, remapped }: State) => ({
  ...{ session_id, messages, memory, points, remapped },
});
