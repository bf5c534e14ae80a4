import type { Config } from '../../../config/config.js';
import { QdrantCalls } from './calls.js';
import { DedicatedLayout } from './dedicated.js';
import { QdrantStore } from './qdrant-store.js';
import { SharedLayout } from './shared.js';
import { Wire } from './wire.js';

export type QdrantConfig = Pick<Config, 'QDRANT_PORT'> &
  Partial<Pick<Config, 'QDRANT_URL' | 'QDRANT_HOST' | 'QDRANT_API_KEY'>>;

/** How long an answer may take, and how long to wait before a second try. */
const TIMES = { timeoutMs: 10_000, pauseMs: 100 };

/** The stores in the Qdrant server that the configuration names, one in each layout; nothing is asked of it yet. */
export async function createQdrantStores(
  config: QdrantConfig,
  times = TIMES,
): Promise<Record<Config['QDRANT_LAYOUT'], QdrantStore>> {
  const { QdrantClient } = await import('@qdrant/js-client-rest');
  const { isSecure, host, port, path } = addressOf(config);
  const apiKey = config.QDRANT_API_KEY;
  const client = new QdrantClient({
    host,
    port,
    https: isSecure,
    prefix: path,
    timeout: times.timeoutMs,
    checkCompatibility: false,
    // as a header of ours: on its own parameter the client prints a warning about plain HTTP
    headers: apiKey ? { 'api-key': apiKey } : {},
  });
  const url = `http${isSecure ? 's' : ''}://${host}:${port}${path}`;
  const calls = new QdrantCalls(client, new Wire({ url, apiKey, timeoutMs: times.timeoutMs }), times.pauseMs);
  return {
    dedicated: new QdrantStore(calls, new DedicatedLayout(calls)),
    shared: new QdrantStore(calls, new SharedLayout(calls)),
  };
}

function addressOf({ QDRANT_URL, QDRANT_HOST, QDRANT_PORT }: QdrantConfig) {
  const url = new URL(QDRANT_URL ?? `http://${QDRANT_HOST}`);
  // a URL forgets the port that its protocol has anyway, so it is read from the text
  const given = /^https?:\/\/[^/]*:(\d+)(?:[/?#]|$)/.exec(QDRANT_URL ?? '')?.[1];
  return {
    isSecure: url.protocol === 'https:',
    host: url.hostname,
    port: Number(given ?? QDRANT_PORT),
    path: url.pathname.replace(/\/+$/, ''),
  };
}
