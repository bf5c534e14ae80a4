import { Inject, Injectable } from '@nestjs/common';
import { CONFIG, type Config } from '../config/config.js';
import { Database } from '../database/database.js';
import { statement } from '../database/statement.js';
import { JobQueue } from '../jobs/job-queue.js';
import { VectorStores } from '../vectors/vector-stores.js';
import { VERSION } from './version.js';

const PING = statement('health.ping', 'select 1');
const PATIENCE_MS = 2_000;

/** Asks every dependency whether it answers, and how fast. */
@Injectable()
export class HealthService {
  constructor(
    private readonly database: Database,
    private readonly queue: JobQueue,
    private readonly stores: VectorStores,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  async check() {
    const asked = this.queue.ping();
    const store = this.stores.current;
    const [postgres, redis, qdrant] = await Promise.all([
      measure(() => this.database.query(PING)),
      asked && measure(() => asked),
      store.backend === 'qdrant' && measure(() => store.health()),
    ]);
    const dependencies = { postgres, ...(redis && { redis }), ...(qdrant && { qdrant }) };
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

async function measure(ask: () => Promise<unknown>): Promise<{ status: 'up' | 'down'; latency_ms: number }> {
  const start = performance.now();
  const status = await Promise.race([ask().then(isUp, isDown), late()]);
  return { status, latency_ms: Math.round((performance.now() - start) * 100) / 100 };
}

const isUp = () => 'up' as const;
const isDown = () => 'down' as const;
const late = () => new Promise<'down'>((resolve) => setTimeout(resolve, PATIENCE_MS, 'down').unref());
