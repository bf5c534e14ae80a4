import type { Row } from '../http/histories.js';
import { expectOk } from '../http/support.js';
import type { Api } from '../setup/api.js';
import { startApp, type TestApp } from '../setup/app.js';
import { eventually } from '../setup/eventually.js';
import { type RedisServer, startRedis } from '../setup/redis.js';
import { type Service, startService } from '../setup/service.js';
import { Gate, type Place } from './gate.js';

export type Queue = 'PostgreSQL' | 'Redis';

/** What becomes of what a worker was at when it was killed: its connection breaks before, or the database does it all the same. */
export type Fate = 'is lost' | 'is written all the same';

/** An API without workers, and beside it a worker that is killed where the gate stops it. */
export class Stage {
  private constructor(
    readonly app: TestApp,
    readonly gate: Gate,
    private readonly environment: NodeJS.ProcessEnv,
    private readonly redis: RedisServer | undefined,
    private worker: Service,
  ) {}

  /** @param more of the environment of both */
  static async open(queue: Queue, more: NodeJS.ProcessEnv = {}): Promise<Stage> {
    const redis = queue === 'Redis' ? await startRedis() : undefined;
    const environment = { ...more, ...(redis && { REDIS_URL: redis.url }) };
    const app = await startApp({ ROLE: 'api', ...environment });
    const gate = await Gate.open(app.database);
    return new Stage(app, gate, environment, redis, await startWorker(app, environment));
  }

  /** Asks for a job, and kills the worker when it stands at the place; answers the job's id. */
  async killAt(place: Place, ask: () => Promise<string>, fate: Fate = 'is lost'): Promise<string> {
    await this.gate.shut(place);
    const id = await ask();
    const pids = await this.gate.reached();
    this.worker.kill('SIGKILL');
    await this.worker.exited;
    if (fate === 'is lost') await this.gate.cut(pids);
    await this.gate.lift(place);
    return id;
  }

  async startWorker(): Promise<void> {
    this.worker = await startWorker(this.app, this.environment);
  }

  /** The job when it is over. */
  over = (by: Api, id: string, beforeEachLook = async () => {}): Promise<Row> =>
    eventually(
      async () => {
        await beforeEachLook();
        return expectOk(await by.get(`/jobs/${id}`));
      },
      ({ state }) => state !== 'queued' && state !== 'running',
    );

  /** The job when it is over, whose first worker is dead: its lease ends now, and again if something it sent renews that. */
  overAfterKill = (by: Api, id: string): Promise<Row> =>
    this.over(by, id, async () => {
      await this.app.database.pool.query(
        `update jobs set due_at = now() where state = 'running' and attempts = 1 and job_id = $1`,
        [id],
      );
    });

  async close(): Promise<void> {
    this.worker.kill('SIGTERM');
    await this.worker.exited;
    await this.gate.close();
    await this.app.close();
    await this.redis?.close();
  }
}

const startWorker = (app: TestApp, environment: NodeJS.ProcessEnv) =>
  startService({ DATABASE_URL: app.database.url, ROLE: 'worker', ...environment }, 120_000);
