// Times in payloads, in all forms that Qdrant reads; one without a zone is UTC.

const TIME =
  /^(\d{1,4})-(\d{1,2})-(\d{1,2})(?:[T ](\d{1,2}):(\d{1,2})(?::(\d{1,2})(?:\.(\d+))?(?:\s*(Z|UTC|[+-]\d{2}:?(?:\d{2})?))?)?)?$/i;

/** Nanoseconds since 1970, or null: no time. */
export function parseTime(text) {
  const match = TIME.exec(text);
  if (!match) return null;
  const [year, month, day, hour = 0, minute = 0, second = 0] = match
    .slice(1, 7)
    .map((digits) => (digits === undefined ? undefined : Number(digits)));
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  const isDate = date.getUTCMonth() === month - 1 && date.getUTCDate() === day;
  const offset = offsetOf(match[8] ?? 'Z');
  if (!isDate || hour > 23 || minute > 59 || second > 60 || offset === null) return null;
  const seconds = date.getTime() / 1000 + hour * 3600 + minute * 60 + second - offset;
  return BigInt(seconds) * 1_000_000_000n + BigInt((match[7] ?? '').slice(0, 9).padEnd(9, '0'));
}

/** Seconds that the zone is ahead of UTC, or null: no zone. */
function offsetOf(zone) {
  if (/^(z|utc)$/i.test(zone)) return 0;
  const digits = zone.slice(1).replace(':', '').padEnd(4, '0');
  const hours = Number(digits.slice(0, 2));
  const minutes = Number(digits.slice(2));
  if (hours > 23 || minutes > 59) return null;
  return (zone.startsWith('-') ? -1 : 1) * (hours * 3600 + minutes * 60);
}
