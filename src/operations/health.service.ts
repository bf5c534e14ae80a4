import { Inject, Injectable } from '@nestjs/common';
import { CONFIG, type Config } from '../config/config.js';
import { Database } from '../database/database.js';
import { statement } from '../database/statement.js';
import { VERSION } from './version.js';

const PING = statement('health.ping', 'select 1');
const PATIENCE_MS = 2_000;

/** Asks every dependency whether it answers, and how fast. */
@Injectable()
export class HealthService {
  constructor(
    private readonly database: Database,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  async check() {
    const postgres = await measure(() => this.database.query(PING));
    return {
      status: postgres.status === 'up' ? 'ok' : 'degraded',
      service: this.config.SERVICE_NAME,
      environment: this.config.ENVIRONMENT,
      version: VERSION,
      uptime_seconds: Math.round(process.uptime() * 10) / 10,
      dependencies: { postgres },
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
