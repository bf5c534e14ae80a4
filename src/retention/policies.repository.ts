import { Injectable } from '@nestjs/common';
import { Database } from '../database/database.js';
import { statement } from '../database/statement.js';
import type { OwnPolicy } from './policies.schemas.js';
import type { RetentionPolicy } from './policy.entity.js';

/** Rows of policies. */
@Injectable()
export class PoliciesRepository {
  constructor(private readonly database: Database) {}

  async find(user: string): Promise<RetentionPolicy | null> {
    const [row] = await this.database.query<RetentionPolicy>(FIND, [user]);
    return row ?? null;
  }

  /** …held until the transaction ends; one that is not there is made, empty, with the version 0. */
  async lock(user: string): Promise<RetentionPolicy> {
    await this.database.query(ENSURE, [user]);
    const [row] = await this.database.query<RetentionPolicy>(LOCK, [user]);
    return row!;
  }

  async save(user: string, policy: OwnPolicy): Promise<RetentionPolicy> {
    const [row] = await this.database.query<RetentionPolicy>(SAVE, [user, JSON.stringify(policy)]);
    return row!;
  }

  /** Of a user who is forgotten; whether there was one. */
  async remove(user: string): Promise<boolean> {
    return (await this.database.query(REMOVE, [user])).length > 0;
  }
}

const FIND = statement('policies.find', 'select * from retention_policies where user_id = $1');

const ENSURE = statement(
  'policies.ensure',
  `insert into retention_policies (user_id, policy, version, updated_at) values ($1, '{}', 0, clock_timestamp())
   on conflict (user_id) do nothing`,
);

const LOCK = statement('policies.lock', 'select * from retention_policies where user_id = $1 for update');

const SAVE = statement(
  'policies.save',
  `update retention_policies set policy = $2::jsonb, version = version + 1, updated_at = clock_timestamp()
   where user_id = $1 returning *`,
);

const REMOVE = statement('policies.remove', 'delete from retention_policies where user_id = $1 returning 1');
