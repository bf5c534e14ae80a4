import type { MemoryRow } from '../memory/memory.view.js';
import type { FoundMessage } from '../messages/message.view.js';

/** A message that was found, with its neighbours. */
export interface MessageHit {
  row: FoundMessage;
  sessionId: string;
  score: number;
  highlight: string;
  before: FoundMessage[];
  after: FoundMessage[];
}

export interface MemoryHit {
  row: MemoryRow;
  score: number;
  highlight: string;
}
