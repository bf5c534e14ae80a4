import type { Json, JsonObject } from '../common/json.js';

/** A message to be derived from; of a redacted one nothing may be left. */
export interface SourceMessage {
  place_key: number;
  seq: number;
  owner: string;
  name: string | null;
  content: Json;
  tool_calls: JsonObject[] | null;
  is_redacted: boolean;
}

/** …an entry of memory. */
export interface SourceEntry {
  place_key: number;
  key: number;
  version: number;
  owner: string;
  name: string | null;
  value: Json;
}

/** New or changed, in order; derived from before or not. */
export interface Changed {
  messages: SourceMessage[];
  entries: SourceEntry[];
}

export type Derive = (changed: Changed) => Promise<void>;
