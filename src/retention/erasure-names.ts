import { createHash } from 'node:crypto';
import type { Json, JsonObject } from '../common/json.js';

/** Members that name users, in payloads of events and in jobs; `after` is how far a cleanup has come. */
const USERS = new Set([
  ...['user_id', 'user_ids', 'previous_user_id', 'added_by', 'removed_by', 'transferred_by', 'created_by'],
  'after',
]);
/** …sessions, and messages, which may be called after a user. */
const SESSIONS = new Set(['session_id', 'session_ids', 'into', 'merged_into', 'split_into']);
const MESSAGES = new Set(['message_id']);

/** Names with fewer characters stand in many a word. */
const SHORT = 4;
const PUNCTUATION = /[!-/:-@[-`{-~]/g;
const UUID = '[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}';

/** What stands instead of names that are erased: for the same name the same, and nobody can tell of what. */
export class Names {
  /** Of ids that tell of him, as PostgreSQL reads it too. One that the server made tells of nobody. */
  readonly pattern: string;
  private readonly inId: RegExp;
  private readonly inText: RegExp;

  constructor(
    readonly user: string,
    readonly token: string,
    readonly salt: string,
  ) {
    const name = escaped(user);
    this.pattern = `^${name}$|^(?!${UUID}$).*${aloneIn(user, name)}`;
    this.inId = new RegExp(this.pattern);
    this.inText = new RegExp(aloneIn(user, name));
  }

  /** Whether a text that others may read tells of him. */
  areIn(text: string): boolean {
    return this.inText.test(text);
  }

  /** Ids of sessions with the user's name in them. */
  sessionsIn(value: Json): string[] {
    return this.idsIn(value, SESSIONS);
  }

  /** …of messages. */
  messagesIn(value: Json): string[] {
    return this.idsIn(value, MESSAGES);
  }

  /** @param gone ids that no session, or no message, has any more */
  without<Value extends Json>(value: Value, gone: readonly string[]): Value {
    const instead = (text: string, member: string) => {
      if (gone.includes(text) && (SESSIONS.has(member) || MESSAGES.has(member))) return this.insteadOf(text);
      return USERS.has(member) && text === this.user ? this.token : text;
    };
    return mapped(value, '', instead) as Value;
  }

  private idsIn(value: Json, members: ReadonlySet<string>): string[] {
    const found = new Set<string>();
    mapped(value, '', (text, member) => {
      if (members.has(member) && this.inId.test(text)) found.add(text);
      return text;
    });
    return [...found];
  }

  /** As PostgreSQL makes it too (see `messages/message-erasure.repository.ts`). */
  private insteadOf(id: string): string {
    const digest = createHash('md5')
      .update(this.salt + id)
      .digest('hex');
    return digest.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
  }
}

const escaped = (name: string) => name.replace(PUNCTUATION, '\\$&');

/** The name where it is no part of another: `user-12` does not tell of `user-1`, nor `signal` of `al`. */
function aloneIn(user: string, name: string): string {
  if ([...user].length < SHORT) return `(?<![A-Za-z0-9])${name}(?![A-Za-z0-9])`;
  return `${/^[0-9]/.test(user) ? '(?<![0-9])' : ''}${name}${/[0-9]$/.test(user) ? '(?![0-9])' : ''}`;
}

/** With each text in it, by the member it stands under, replaced. */
function mapped(value: Json, member: string, instead: (text: string, member: string) => string): Json {
  if (typeof value === 'string') return instead(value, member);
  if (Array.isArray(value)) return value.map((one) => mapped(one, member, instead));
  if (typeof value !== 'object' || value === null) return value;
  const members = Object.entries(value).map(([name, one]) => [name, mapped(one, name, instead)]);
  return Object.fromEntries(members) as JsonObject;
}
