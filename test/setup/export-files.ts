import { createHash } from 'node:crypto';
import { gzipSync } from 'node:zlib';

// biome-ignore lint/suspicious/noExplicitAny: lines of every shape, wrong ones too
export type Line = any;

/** The lines of an export as NDJSON. */
export const linesIn = (text: string): Line[] =>
  text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line));

/** NDJSON out of a manifest and records, with an end line that is right for them. */
export function ndjson(lines: Line[], end: Line = {}): string {
  const text = lines.map((line) => `${JSON.stringify(line)}\n`).join('');
  return `${text}${JSON.stringify({ ...endOf(lines), ...end })}\n`;
}

/** The same as a document. */
export function document([manifest, ...records]: Line[]): Line {
  const { counts, sha256 } = endOf([manifest, ...records]);
  return { ...manifest, records, counts, sha256 };
}

export const packed = (text: string): Buffer => gzipSync(text);

function endOf(lines: Line[]) {
  const hash = createHash('sha256');
  const counts: Record<string, number> = {};
  for (const line of lines) hash.update(`${JSON.stringify(line)}\n`);
  for (const { type } of lines.slice(1)) counts[type] = (counts[type] ?? 0) + 1;
  return { type: 'end', counts, sha256: hash.digest('hex') };
}

const TIME = '2026-01-31T12:00:00.250Z';

export const manifestOf = (
  session_id: string,
  include = ['checkpoints', 'messages', 'memory', 'points', 'stats'],
) => ({
  ...{ format: 'session-service/export', version: 1, exported_at: '2026-01-31T13:00:00.000Z' },
  ...{ session_id, include },
});

export const sessionLine = (fields: Line = {}): Line => ({
  type: 'session',
  ...{ user_id: 'alice', agent_id: null, client_id: null, title: null, title_seq: null, description: null },
  ...{ session_type: 'conversation', state: 'active', archived_at: null, tags: [], context: {} },
  ...{ metadata: {}, configuration: {}, conversation_data: {}, checkpoint: null, checkpoint_n: 0 },
  ...{ runtime_backend: 'unknown', runtime_metadata: {}, timeout_minutes: null },
  ...{ heartbeat_timeout_seconds: null, auto_recover: false, legal_hold: false, lineage: null },
  ...{ created_at: TIME, updated_at: TIME, last_activity_at: TIME },
  ...fields,
});

export const messageLine = (seq: number, fields: Line = {}): Line => ({
  type: 'message',
  ...{ seq, message_id: `m-${seq}`, user_id: 'alice', role: 'user', content: `Message ${seq}` },
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
  ...fields,
});

export const memoryLine = (n: number, fields: Line = {}): Line => ({
  type: 'memory',
  memory_id: `mem_0190b5b0-6a3c-7c7e-9a53-${String(n).padStart(12, '0')}`,
  key: `fact-${n}`,
  ...{ version: 1, memory_type: 'fact', value: n, metadata: {}, importance: 0.5, expires_at: null },
  ...{ updated_at: TIME, created_by: 'alice', created_at: TIME },
  ...fields,
});

export const countersLine = (counters: Line, metadata: Line = {}): Line => ({
  ...{ type: 'counters', counters, metadata },
});

export const reportLine = (n: number, fields: Line = {}): Line => ({
  ...{ type: 'model_report', n, model_type: 'llm', model_name: 'm', calls: 1, tokens: 0, cost_usd: 0 },
  ...{ reported_at: TIME, ...fields },
});

export const pointLine = (id: number | string, vector: Line = [1, 2], payload = {}): Line => ({
  ...{ type: 'point', id, vector, payload },
});

export const collectionLine = (vectors: Line = { size: 2, distance: 'dot' }): Line => ({
  ...{ type: 'collection', vectors, payload_indexes: {} },
});
