// The product's own statements as pgbench scripts: taken from the repositories as they send them, with one of many
// sessions in place of the one that was asked for.
import pg from 'pg';

/** In a value: the number of the session, and something new each time. */
export const SESSION = '«session»';
export const UNIQUE = '«unique»';

/** Runs the work on a repository whose database only listens; answers what was sent first. */
export async function sent(Repository, work) {
  let statement;
  const database = {
    query: async (sql, values) => {
      statement ??= { text: sql.text, values };
      return [];
    },
  };
  await work(new Repository(database));
  return statement;
}

/** @param sessions one of so many is picked at random */
export function script({ text, values }, sessions) {
  const filled = text.replace(/\$(\d+)/g, (_, number) => literal(values[number - 1]));
  return `\\set i random(0, ${sessions - 1})\n${filled.replace(/\s+/g, ' ')};\n`;
}

function literal(value) {
  if (value === null || value === undefined) return 'null';
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  const text = Array.isArray(value) ? `{${value.join(',')}}` : String(value);
  // pgbench takes a colon for one of its variables, in a string too
  const quoted = pg.escapeLiteral(text).trim().replace(/^E?'/, "E'").replaceAll(':', '\\x3a');
  const expression = quoted
    .replaceAll(SESSION, `' || (:i)::int || E'`)
    .replaceAll(UNIQUE, `' || gen_random_uuid() || E'`);
  return expression === quoted ? quoted : `(${expression})`;
}
