import { Inject, Injectable } from '@nestjs/common';
import { CONFIG, type Config } from '../config/config.js';
import { Database } from '../database/database.js';
import { statement } from '../database/statement.js';
import { JobQueue } from '../jobs/job-queue.js';
import { Embedder } from '../models/embedder.js';
import { Summarizer } from '../models/summarizer.js';
import { VectorStores } from '../vectors/vector-stores.js';
import { VERSION } from './version.js';

const PING = statement('health.ping', 'select 1');
const PATIENCE_MS = 2_000;
/** Others may ask for money, or for peace: all who want to know within this time share one answer. */
const SHARED_MS = 15_000;

interface State {
  status: 'up' | 'down';
  latency_ms: number;
}

/** Asks every dependency whether it answers, and how fast. */
@Injectable()
export class HealthService {
  private readonly embedder?: () => Promise<State>;
  private readonly summarizer?: () => Promise<State>;

  constructor(
    private readonly database: Database,
    private readonly queue: JobQueue,
    private readonly stores: VectorStores,
    embedder: Embedder,
    summarizer: Summarizer,
    @Inject(CONFIG) private readonly config: Config,
  ) {
    if (embedder.isConfigured) this.embedder = shared(() => explained(() => embedder.greet()));
    if (summarizer.isConfigured) this.summarizer = shared(() => explained(() => summarizer.greet()));
  }

  /** Of all it uses. */
  async check() {
    const [own, embedder, summarizer] = await Promise.all([
      this.own(),
      this.embedder?.(),
      this.summarizer?.(),
    ]);
    return this.view({ ...own, ...(embedder && { embedder }), ...(summarizer && { summarizer }) });
  }

  /** …but servers of models, which it can do without: a probe need not wait for them. */
  async checkOwn() {
    return this.view(await this.own());
  }

  private async own() {
    const asked = this.queue.ping();
    const store = this.stores.current;
    const [postgres, redis, qdrant] = await Promise.all([
      measure(() => this.database.query(PING)),
      asked && measure(() => asked),
      store.backend === 'qdrant' && measure(() => store.health()),
    ]);
    return { postgres, ...(redis && { redis }), ...(qdrant && { qdrant }) };
  }

  private view<Dependencies extends Record<string, State>>(dependencies: Dependencies) {
    return {
      status: Object.values(dependencies).every(({ status }) => status === 'up') ? 'ok' : 'degraded',
      service: this.config.SERVICE_NAME,
      environment: this.config.ENVIRONMENT,
      version: VERSION,
      uptime_seconds: Math.round(process.uptime() * 10) / 10,
      dependencies,
    };
  }
}

async function measure(ask: () => Promise<unknown>): Promise<State> {
  const start = performance.now();
  const status = await Promise.race([ask().then(isUp, isDown), late()]);
  return { status, latency_ms: since(start) };
}

/** The same of what says itself what is the matter, and gives up in time. */
async function explained(ask: () => Promise<void>): Promise<State & { reason?: string }> {
  const start = performance.now();
  const reason = await ask().then(
    () => null,
    (error: Error) => error.message,
  );
  const latency_ms = since(start);
  return reason === null ? { status: 'up', latency_ms } : { status: 'down', latency_ms, reason };
}

function shared<T>(ask: () => Promise<T>): () => Promise<T> {
  let answer: Promise<T>;
  let until = 0;
  return () => {
    if (performance.now() < until) return answer;
    until = performance.now() + SHARED_MS;
    answer = ask();
    return answer;
  };
}

const since = (start: number) => Math.round((performance.now() - start) * 100) / 100;
const isUp = () => 'up' as const;
const isDown = () => 'down' as const;
const late = () => new Promise<'down'>((resolve) => setTimeout(resolve, PATIENCE_MS, 'down').unref());
