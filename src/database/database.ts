import { AsyncLocalStorage } from 'node:async_hooks';
import { Injectable } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import type { Pool, PoolClient, QueryResult } from 'pg';
import type { DataSource } from 'typeorm';
import type { PostgresDriver } from 'typeorm/driver/postgres/PostgresDriver.js';
import { isConnectionLoss, translate } from './failures.js';
import type { Statement } from './statement.js';

/** The statement that ran then tells what happened. */
const ignore = () => undefined;

/** Runs statements on the pool, or on the transaction that is open around the caller. */
@Injectable()
export class Database {
  private readonly transaction = new AsyncLocalStorage<PoolClient>();

  constructor(@InjectDataSource() private readonly dataSource: DataSource) {}

  get pool(): Pool {
    return (this.dataSource.driver as PostgresDriver).master as Pool;
  }

  /**
   * One statement, one round trip.
   * @throws DomainError `database_unavailable` when PostgreSQL does not answer; else PostgreSQL's own error
   */
  async query<Row>(sql: Statement, values: unknown[] = []): Promise<Row[]> {
    const target = this.transaction.getStore() ?? this.pool;
    try {
      const result = (await target.query({ ...sql, values })) as unknown as QueryResult;
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
    let broken: unknown;
    try {
      await client.query('begin');
      const result = await this.transaction.run(client, work);
      await client.query('commit');
      return result;
    } catch (error) {
      broken = await this.rollback(client, error);
      throw translate(error);
    } finally {
      client.off('error', ignore);
      client.release(broken ? true : undefined);
    }
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
