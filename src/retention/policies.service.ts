import { Injectable } from '@nestjs/common';
import { type Allowed, checkVersion } from '../common/version.js';
import { Database } from '../database/database.js';
import { PoliciesRepository } from './policies.repository.js';
import type { OwnPolicy, Policy, PolicyRow } from './policies.schemas.js';
import type { RetentionPolicy } from './policy.entity.js';
import { DEFAULTS } from './rules.js';

/** The service's policy is kept under no name. */
const SERVICE = '';

/** For how long sessions are kept: what the service says, and what is said otherwise for a user. */
@Injectable()
export class PoliciesService {
  constructor(
    private readonly database: Database,
    private readonly policies: PoliciesRepository,
  ) {}

  /** @param user null: the service's own */
  async get(user: string | null): Promise<PolicyRow> {
    return this.shown(user, await this.policies.find(user ?? SERVICE));
  }

  /**
   * Replaces a policy whole. What a user's does not name is inherited, what the service's does not name goes back to its default.
   * @throws DomainError `version_mismatch`
   */
  put(user: string | null, policy: OwnPolicy, allowed: Allowed): Promise<PolicyRow> {
    return this.database.run(async () => {
      const { version } = await this.policies.lock(user ?? SERVICE);
      checkVersion(version, allowed);
      const own = user === null ? { ...DEFAULTS, ...policy } : policy;
      return this.shown(user, await this.policies.save(user ?? SERVICE, own));
    });
  }

  /**
   * Everything is inherited again. A user without a policy stays without one.
   * @throws DomainError `version_mismatch`
   */
  async delete(user: string, allowed: Allowed): Promise<void> {
    await this.database.run(async () => {
      const found = await this.policies.find(user);
      if (found) await this.put(user, {}, allowed);
      else checkVersion(0, allowed);
    });
  }

  private async shown(user: string | null, row: RetentionPolicy | null): Promise<PolicyRow> {
    const own = row?.policy ?? {};
    const inherited = user === null ? own : (await this.policies.find(SERVICE))!.policy;
    return {
      user_id: user,
      policy: own,
      effective: { ...DEFAULTS, ...inherited, ...own } as Policy,
      version: row?.version ?? 0,
      updated_at: row?.updated_at ?? null,
    };
  }
}
