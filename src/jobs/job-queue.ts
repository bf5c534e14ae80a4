import { Inject, Injectable } from '@nestjs/common';
import type { Logger } from 'pino';
import { Outage } from '../common/outage.js';
import { CONFIG, type Config } from '../config/config.js';
import { Database } from '../database/database.js';
import { LOG } from '../http/log.js';
import type { Connection, Listener } from './queue.contract.js';
import { connectPostgres } from './queue.postgres.js';
import { connectRedis } from './queue.redis.js';

const RETRY_MS = 10_000;
/** A queue that is away must not keep a process from ending. */
const CLOSING_MS = 2_000;
/** A queue that hangs must not keep anybody waiting. */
const TELLING_MS = 1_000;

/**
 * Tells workers of jobs, in whatever process they are: BullMQ on Redis when there is one, else on our PostgreSQL. It
 * holds no truth: what it loses or tells twice costs time only, and without it the rows are found all the same.
 */
@Injectable()
export class JobQueue {
  private connection: Connection | null = null;
  private opening: Promise<void> | null = null;
  private timer?: NodeJS.Timeout;
  private isClosed = false;
  private readonly outage: Outage;

  constructor(
    private readonly database: Database,
    @Inject(CONFIG) private readonly config: Config,
    @Inject(LOG) private readonly log: Logger,
  ) {
    this.outage = new Outage(log, 'the queue of jobs', 'jobs start later');
  }

  /** Connects in the background, again and again until it succeeds; with a listener, jobs are taken too. */
  open(listener: Listener | null): void {
    this.opening = this.connect(listener)
      .then((connection) => {
        this.connection = connection;
      })
      .catch((err: unknown) => {
        this.outage.begin(err);
        if (!this.isClosed) this.timer = setTimeout(() => this.open(listener), RETRY_MS).unref();
      });
  }

  /** Never throws and never waits long: whoever made the job need not know. */
  async tell(jobId: string): Promise<void> {
    try {
      await Promise.race([
        this.connection?.add(jobId),
        new Promise((resolve) => setTimeout(resolve, TELLING_MS).unref()),
      ]);
    } catch (err) {
      this.log.debug({ err, job_id: jobId }, 'the queue was not told of a job');
    }
  }

  /** null: there is no Redis to ask */
  ping(): Promise<unknown> | null {
    if (this.config.REDIS_URL === undefined) return null;
    return this.connection?.ping() ?? Promise.reject(new Error('not connected'));
  }

  async close(): Promise<void> {
    this.isClosed = true;
    clearTimeout(this.timer);
    await this.opening;
    const closed = this.connection?.close().catch(() => undefined);
    this.connection = null;
    await Promise.race([closed, new Promise((resolve) => setTimeout(resolve, CLOSING_MS).unref())]);
  }

  private connect(listener: Listener | null): Promise<Connection> {
    const { REDIS_URL } = this.config;
    if (REDIS_URL === undefined) return connectPostgres(this.database, listener, this.outage);
    return connectRedis(REDIS_URL, listener, this.outage);
  }
}
