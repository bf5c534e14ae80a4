import type { Session, SessionDetails } from './session.entity.js';

/** Everything a new session begins with; times, counters and the key are the database's. */
export type NewSession = Pick<
  Session,
  | 'id'
  | 'user_id'
  | 'agent_id'
  | 'client_id'
  | 'session_type'
  | 'runtime_backend'
  | 'state'
  | 'legal_hold'
  | 'title_seq'
  | 'timeout_minutes'
  | 'heartbeat_timeout_seconds'
  | 'auto_recover'
> &
  Pick<SessionDetails, 'title' | 'description' | 'tags' | 'lineage' | 'wants_collection' | DocumentColumn> & {
    archived: boolean;
  };

export const DOCUMENTS = [
  'metadata',
  'context',
  'configuration',
  'conversation_data',
  'checkpoint',
  'runtime_metadata',
] as const;
type DocumentColumn = (typeof DOCUMENTS)[number];
