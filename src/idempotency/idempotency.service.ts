import { createHash } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { type Caller, callerName } from '../common/caller.js';
import { DomainError } from '../common/errors.js';
import { derivedId } from '../common/ids.js';
import { Database } from '../database/database.js';
import { statement } from '../database/statement.js';

/** A request that may come again. */
export interface Repeatable {
  /** the `Idempotency-Key`; null: the work is simply done */
  key: string | null;
  caller: Caller;
  /** method and path, with the session's own key instead of an id that may pass on to another */
  route: string;
  body: unknown;
}

/** What the work had for effect: a status, the keys of the rows it made or changed, and what to answer. */
export interface Effect<T> {
  status: number;
  ids: number[];
  value: T;
}

export type Answer<T> = { status: number; value: T; replayed: boolean };

interface KeyRow {
  digest: string;
  status: number;
  ids: number[];
}

/** Makes a request have its effect once. The record is written in the transaction of the effect. */
@Injectable()
export class IdempotencyService {
  constructor(private readonly database: Database) {}

  /**
   * Does the work, or answers from the rows as they now are if the same key did it before. A twin that still runs
   * is waited for: the unique index on the key makes the second insert wait for the first transaction.
   * @throws DomainError `key_reused` when the key came with another body
   */
  once<T>(
    request: Repeatable,
    work: () => Promise<Effect<T>>,
    render: (ids: number[]) => Promise<T>,
  ): Promise<Answer<T>> {
    return this.database.run(async () => {
      if (request.key === null) return { ...(await work()), replayed: false };
      const id = idOf(request, request.key);
      const digest = digestOf(request.body);
      const claimed = await this.database.query(CLAIM, [id, digest]);
      if (claimed.length === 0) return this.replay(id, digest, render);
      const effect = await work();
      await this.database.query(COMPLETE, [id, effect.status, effect.ids]);
      return { ...effect, replayed: false };
    });
  }

  /**
   * The answer to a request whose key has had its effect already, else null: for work that cannot be done in a
   * transaction. Its effect, which must do no harm when it is had twice, is then recorded by `once`.
   * @throws DomainError `key_reused`
   */
  async replayed<T>(request: Repeatable, render: (ids: number[]) => Promise<T>): Promise<Answer<T> | null> {
    if (request.key === null) return null;
    const id = idOf(request, request.key);
    const known = await this.database.query<KeyRow>(FIND, [id]);
    return known.length === 0 ? null : this.replay(id, digestOf(request.body), render);
  }

  /** Forgets keys older than two days, at most `limit`; answers how many. */
  async purge(limit: number): Promise<number> {
    return (await this.database.query(PURGE, [limit])).length;
  }

  private async replay<T>(
    id: string,
    digest: string,
    render: (ids: number[]) => Promise<T>,
  ): Promise<Answer<T>> {
    const [record] = await this.database.query<KeyRow>(FIND, [id]);
    if (record?.digest !== digest) throw keyReused();
    return { status: record.status, value: await render(record.ids), replayed: true };
  }
}

const idOf = ({ caller, route }: Repeatable, key: string) => derivedId(callerName(caller), route, key);

export const keyReused = () =>
  new DomainError('invalid', 'key_reused', 'The Idempotency-Key was used with another body.', {
    errors: [{ pointer: 'Idempotency-Key', detail: 'was used with another body' }],
  });

/** 128 bits, in hex: as good as a UUID to tell one body from another. */
export const digestOf = (body: unknown): string =>
  createHash('sha256')
    .update(JSON.stringify(sorted(body)) ?? '')
    .digest('hex')
    .slice(0, 32);

/** The order of members does not make another body. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  return Object.entries(value)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, member]) => [key, sorted(member)]);
}

const CLAIM = statement(
  'idempotency.claim',
  `insert into idempotency_keys (id, digest, created_at) values ($1, $2, now())
   on conflict (id) do nothing returning 1`,
);

const COMPLETE = statement(
  'idempotency.complete',
  'update idempotency_keys set status = $2, ids = $3 where id = $1',
);

const FIND = statement(
  'idempotency.find',
  'select digest, status, ids::text[]::float8[] as ids from idempotency_keys where id = $1',
);

const PURGE = statement(
  'idempotency.purge',
  `delete from idempotency_keys where id in
     (select id from idempotency_keys where created_at < now() - interval '48 hours' limit $1)
   returning 1`,
);
