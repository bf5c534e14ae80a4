import { randomFillSync } from 'node:crypto';
import { v5, v7 } from 'uuid';

/** Ids a client may choose: 1–255 of these characters, case-sensitive. */
export const CHOSEN_ID = /^[A-Za-z0-9._:@+~-]{1,255}$/;

/** Words that are, or will be, routes directly under `/sessions/`. */
export const RESERVED_IDS: ReadonlySet<string> = new Set([
  '.',
  '..',
  'stats',
  'compare',
  'merge',
  'resume',
  'import',
  'cleanup',
  'retention-policy',
]);

const CANONICAL_UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

export const isUuid = (text: string) => CANONICAL_UUID.test(text);

/** An id of a memory entry; a key may not begin so. */
export const isMemoryId = (text: string) => text.startsWith('mem_') && isUuid(text.slice(4));

/** A canonical UUID is the same id in either case; every other id is case-sensitive. */
export const canonicalId = (id: string) => (CANONICAL_UUID.test(id) ? id.toLowerCase() : id);

/** Random bytes fetched for many ids at once: for each alone it costs more than all the rest of a small request. */
const pool = new Uint8Array(16 * 512);
let used = pool.length;
let last = { msecs: 0, seq: 0 };

/** A new server-made id: UUIDv7, so that ids sort by time of making, within a millisecond too. */
export function newId(): string {
  if (used === pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  used += 16;
  const random = pool.subarray(used - 16, used);
  last = next(last, random);
  return v7({ random, ...last });
}

/** RFC 9562, 6.2: within a millisecond, or when the clock steps back, a counter goes on; it begins anew at random. */
function next({ msecs, seq }: typeof last, random: Uint8Array): typeof last {
  const now = Date.now();
  if (now > msecs)
    return { msecs: now, seq: new DataView(random.buffer, random.byteOffset).getUint32(0) >>> 1 };
  return seq < 0xffff_ffff ? { msecs, seq: seq + 1 } : { msecs: msecs + 1, seq: 0 };
}

const NAMESPACE = '6f9f1f0a-4c0b-4a53-9c3e-0f3d0a4b7a51';

/** The same parts always make the same id (UUIDv5); parts cannot run into each other. */
export const derivedId = (...parts: (string | number)[]): string => v5(JSON.stringify(parts), NAMESPACE);

/** Names of users, agents and clients: 1–255 printable characters, no space at either end. */
export const isPrintableName = (name: string): boolean =>
  name.length >= 1 &&
  [...name].length <= 255 &&
  name.trim() === name &&
  /^[^\p{C}\p{Zl}\p{Zp}]+$/u.test(name);
