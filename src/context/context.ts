import type { MemoryRow } from '../memory/memory.view.js';
import type { FoundMessage } from '../messages/message.view.js';
import type { MessageHit } from '../search/hits.js';
import type { Plan, Summary } from './material.js';
import type { Strategy } from './strategies.js';

/** What goes into a model's window, as the strategy has chosen. */
export interface Context {
  strategy: Strategy;
  plan: Plan;
  tokenCount: number;
  messages: FoundMessage[];
  passages: MessageHit[];
  summary: Summary | null;
  memory: MemoryRow[];
}
