import { createHash } from 'node:crypto';
import type { Json, JsonObject } from '../common/json.js';

/** Members that name users, in payloads of events and in jobs. */
const USERS = new Set([
  ...['user_id', 'user_ids', 'previous_user_id', 'added_by', 'removed_by', 'transferred_by', 'created_by'],
]);
/** …and sessions, which may be called after a user. */
const SESSIONS = new Set(['session_id', 'session_ids', 'into', 'merged_into', 'split_into']);

/** What stands instead of names that are erased: for the same name the same, and nobody can tell of what. */
export class Names {
  constructor(
    readonly user: string,
    readonly token: string,
    readonly salt: string,
  ) {}

  /** Ids of sessions with the user's name in them. */
  sessionsIn(value: Json): string[] {
    const found = new Set<string>();
    this.map(value, '', (id) => {
      if (id.includes(this.user)) found.add(id);
      return id;
    });
    return [...found];
  }

  /** @param gone ids that no session has any more */
  without<Value extends Json>(value: Value, gone: ReadonlySet<string>): Value {
    return this.map(value, '', (id) => (gone.has(id) ? this.insteadOf(id) : id)) as Value;
  }

  /** As PostgreSQL makes it too (see `messages/message-erasure.repository.ts`). */
  private insteadOf(id: string): string {
    const digest = createHash('md5')
      .update(this.salt + id)
      .digest('hex');
    return digest.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
  }

  private map(value: Json, member: string, session: (id: string) => string): Json {
    if (typeof value === 'string') {
      if (SESSIONS.has(member)) return session(value);
      return USERS.has(member) && value === this.user ? this.token : value;
    }
    if (Array.isArray(value)) return value.map((one) => this.map(one, member, session));
    if (typeof value !== 'object' || value === null) return value;
    const members = Object.entries(value).map(([name, one]) => [name, this.map(one as Json, name, session)]);
    return Object.fromEntries(members) as JsonObject;
  }
}
