import { FORMAT, VERSION } from './format.js';
import { Tally } from './tally.js';

const TIME = '2026-01-31T12:00:00.250Z';

const MANIFEST = {
  format: FORMAT,
  version: VERSION,
  exported_at: '2026-01-31T13:00:00.000Z',
  session_id: 'support-4711',
  include: ['messages'],
};

const SESSION = {
  type: 'session',
  ...{
    user_id: 'alice',
    agent_id: null,
    client_id: null,
    title: 'An invoice',
    title_seq: 0,
    description: null,
  },
  ...{ session_type: 'conversation', state: 'active', archived_at: null, tags: ['billing'], context: {} },
  ...{ metadata: {}, configuration: {}, conversation_data: {}, checkpoint: null, checkpoint_n: 0 },
  ...{ runtime_backend: 'unknown', runtime_metadata: {}, timeout_minutes: null },
  ...{ heartbeat_timeout_seconds: null, auto_recover: false, legal_hold: false, lineage: null },
  ...{ created_at: TIME, updated_at: TIME, last_activity_at: TIME },
};

const MESSAGE = {
  type: 'message',
  ...{ seq: 1, message_id: 'msg-1', user_id: 'alice', role: 'user', content: 'Why two items?' },
  ...{
    message_type: 'chat',
    tool_calls: null,
    tool_call_id: null,
    tool_call_seq: null,
    name: null,
    model: null,
  },
  ...{ tokens_used: null, cost_usd: null, token_count: null, metadata: {}, origin: null },
  ...{ created_at: TIME, redacted_at: null },
};

/** A whole document, as the API's description shows one; it can be brought in. */
export const EXAMPLE = documentOf([SESSION, MESSAGE]);

function documentOf(records: { type: string }[]) {
  const tally = new Tally();
  for (const line of [MANIFEST, ...records]) tally.digestAll(`${JSON.stringify(line)}\n`);
  for (const { type } of records) tally.count(type);
  const { counts, sha256 } = tally.end();
  return { ...MANIFEST, records, counts, sha256 };
}
