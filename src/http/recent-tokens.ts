import type { Caller } from '../common/caller.js';
import type { KeySet } from './key-set.js';

const MOST = 10_000;

type Bearer = Caller & { readonly expiresAt: Date };

/**
 * Tokens found good with the keys that are here now, by digest: a client sends the same one again and again, and a signature costs
 * more to check than many a request. New keys make all of them be checked anew.
 */
export class RecentTokens {
  private readonly bearers = new Map<string, Bearer>();
  private revision = 0;

  constructor(private readonly keys: KeySet) {}

  /** null: it must be checked */
  find(digest: string): Bearer | null {
    if (this.keys.areStale) return null;
    this.keys.keepFresh();
    if (this.revision !== this.keys.revision) this.bearers.clear();
    this.revision = this.keys.revision;
    const bearer = this.bearers.get(digest);
    if (!bearer || bearer.expiresAt.getTime() > Date.now()) return bearer ?? null;
    this.bearers.delete(digest);
    return null;
  }

  /** Checks a token, and keeps what was found unless the keys have changed meanwhile. */
  async keep(digest: string, check: () => Promise<Bearer>): Promise<Bearer> {
    const { revision } = this.keys;
    const bearer = await check();
    if (revision !== this.keys.revision) return bearer;
    this.bearers.set(digest, bearer);
    if (this.bearers.size > MOST) this.bearers.delete(this.bearers.keys().next().value!);
    return bearer;
  }
}
