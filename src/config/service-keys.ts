import type { RefinementCtx } from 'zod';
import { SCOPES, type Scope } from '../common/caller.js';

export interface ServiceKey {
  name: string;
  key: string;
  scopes: ReadonlySet<Scope>;
}

const ENTRY = /^([A-Za-z0-9._-]{1,64})(?:\[([^\]]*)\])?:(\S{16,})$/;

/** Reads `name:key,name2[scope scope]:key2`; keys have at least 16 characters and no comma. */
export function parseServiceKeys(text: string, ctx: RefinementCtx): ServiceKey[] {
  const keys: ServiceKey[] = [];
  for (const [index, entry] of text.split(',').entries()) {
    const match = ENTRY.exec(entry.trim());
    const fault = match
      ? scopeFault(match[2])
      : 'give name:key or name[scope scope]:key, keys of at least 16 characters';
    if (!match || fault) {
      ctx.addIssue({ code: 'custom', message: `entry ${index + 1}: ${fault}`, input: '(secret)' });
      continue;
    }
    keys.push({ name: match[1]!, key: match[3]!, scopes: new Set(scopesOf(match[2])) });
  }
  if (new Set(keys.map((k) => k.key)).size < keys.length) {
    ctx.addIssue({
      code: 'custom',
      message: 'two entries have the same key: give each its own',
      input: '(secret)',
    });
  }
  return keys;
}

const words = (text: string) => text.split(/\s+/).filter(Boolean);

function scopeFault(text: string | undefined): string | null {
  if (text === undefined) return null;
  const unknown = words(text).find((word) => !(SCOPES as readonly string[]).includes(word));
  if (unknown) return `unknown scope ${unknown}: use ${SCOPES.join(', ')}`;
  return words(text).length ? null : `empty scopes: leave the brackets out, or use ${SCOPES.join(', ')}`;
}

const scopesOf = (text: string | undefined) => (text === undefined ? SCOPES : (words(text) as Scope[]));
