import { AsyncLocalStorage } from 'node:async_hooks';
import { Inject, Injectable } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import pg, { type Pool, type PoolClient, type QueryResult } from 'pg';
import type { Logger } from 'pino';
import type { DataSource } from 'typeorm';
import type { PostgresDataSourceOptions } from 'typeorm/driver/postgres/PostgresDataSourceOptions.js';
import type { PostgresDriver } from 'typeorm/driver/postgres/PostgresDriver.js';
import { LOG } from '../http/log.js';
import { withOption } from './address.js';
import { isConnectionLoss, translate } from './failures.js';
import type { Statement } from './statement.js';

/** The statement that ran then tells what happened. */
const ignore = () => undefined;

type AfterCommit = () => void | Promise<void>;

/** A connection of a pool, held by one. */
export type Connection = PoolClient;

interface Transaction {
  client: PoolClient;
  afterCommit: AfterCommit[];
}

/** Who is told when a statement with this in its text has been committed. */
interface Listener {
  mark: string;
  tell: () => void;
}

/** Runs statements on the pool, or on the transaction that is open around the caller. */
@Injectable()
export class Database {
  private readonly transaction = new AsyncLocalStorage<Transaction>();
  private readonly listeners: Listener[] = [];
  private readonly heardOf = new WeakMap<Statement, Listener[]>();

  constructor(
    @InjectDataSource() private readonly dataSource: DataSource,
    @Inject(LOG) private readonly log: Logger,
  ) {}

  get pool(): Pool {
    return (this.dataSource.driver as PostgresDriver).master as Pool;
  }

  /** Where the pool connects to, for a thread that makes a connection of its own. */
  get url(): string {
    return (this.dataSource.options as PostgresDataSourceOptions).url!;
  }

  /**
   * One statement, one round trip.
   * @throws DomainError `database_unavailable` when PostgreSQL does not answer; else PostgreSQL's own error
   */
  async query<Row>(sql: Statement, values: unknown[] = []): Promise<Row[]> {
    const target = this.transaction.getStore()?.client ?? this.pool;
    try {
      const result = (await target.query({ ...sql, values })) as unknown as QueryResult;
      for (const { tell } of this.listenersOf(sql)) this.once(tell);
      return result.rows as Row[];
    } catch (error) {
      throw translate(error);
    }
  }

  /** Runs the work in a transaction: joins the open one, or opens one and commits it when the work is done. */
  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.transaction.getStore()) return work();
    const client = await this.connect();
    // the pool listens only to idle connections: one that is lost in a transaction would end the process
    client.on('error', ignore);
    const afterCommit: AfterCommit[] = [];
    let broken: unknown;
    let result: T;
    try {
      await client.query('begin');
      result = await this.transaction.run({ client, afterCommit }, work);
      // where the work passed over a failed statement, PostgreSQL rolls back and says so here only
      if ((await client.query('commit')).command !== 'COMMIT')
        throw new Error('the transaction was rolled back');
    } catch (error) {
      broken = await this.rollback(client, error);
      throw translate(error);
    } finally {
      client.off('error', ignore);
      client.release(broken ? true : undefined);
    }
    for (const tell of afterCommit) this.soon(tell);
    return result;
  }

  /**
   * Tells others of what is being written, once it is: after the commit of the open transaction, at once without one,
   * never after a rollback. Nobody waits for it, and what it throws is logged: what must happen, a sweep finds.
   */
  afterCommit(tell: AfterCommit): void {
    const open = this.transaction.getStore();
    if (open) open.afterCommit.push(tell);
    else this.soon(tell);
  }

  /** Calls this after every commit of statements that have the mark in their text: once a transaction, without waiting. It must not throw. */
  listen(mark: string, tell: () => void): void {
    this.listeners.push({ mark, tell });
  }

  /** A small pool of its own on the same database, for a library that keeps its tables in this schema. The caller ends it. */
  separatePool(schema: string, size: number): Pool {
    const pool = new pg.Pool({
      connectionString: withOption(this.url, `-c search_path=${schema}`),
      max: size,
      query_timeout: 30_000,
      application_name: `session-service ${schema}`,
      connectionTimeoutMillis: 5_000,
      keepAlive: true,
    });
    // the pool listens only to idle connections: one that is lost while it is used would end the process
    return pool.on('error', ignore).on('connect', (client) => client.on('error', ignore));
  }

  private listenersOf(sql: Statement): Listener[] {
    let found = this.heardOf.get(sql);
    if (!found) {
      found = this.listeners.filter(({ mark }) => sql.text.includes(mark));
      this.heardOf.set(sql, found);
    }
    return found;
  }

  private once(tell: () => void): void {
    const open = this.transaction.getStore();
    if (!open) tell();
    else if (!open.afterCommit.includes(tell)) open.afterCommit.push(tell);
  }

  private soon(tell: AfterCommit): void {
    new Promise<void>((resolve) => resolve(tell())).catch((err: unknown) =>
      this.log.warn({ err }, 'what follows a commit failed'),
    );
  }

  private async connect(): Promise<PoolClient> {
    try {
      return await this.pool.connect();
    } catch (error) {
      throw translate(error);
    }
  }

  /** Answers whether the connection is of no more use. */
  private async rollback(client: PoolClient, cause: unknown): Promise<boolean> {
    if (isConnectionLoss(cause)) return true;
    return client.query('rollback').then(
      () => false,
      () => true,
    );
  }
}
