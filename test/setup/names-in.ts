import type { TestDatabase } from './database.js';

/** Rows in which something is said that matches, each with its table. All tables are found in the catalogue, so that none is forgotten. */
export async function namesIn({ pool }: TestDatabase, pattern: string): Promise<string[]> {
  const { rows: tables } = await pool.query(
    `select table_schema as schema, table_name as name, string_agg(quote_ident(column_name) || '::text', ', ') as columns
     from information_schema.columns join information_schema.tables using (table_schema, table_name)
     where table_type = 'BASE TABLE' and table_schema not in ('pg_catalog', 'information_schema')
     group by 1, 2 order by 1, 2`,
  );
  if (tables.length < 25) throw new Error(`only ${tables.length} tables were found`);
  const found: string[] = [];
  for (const { schema, name, columns } of tables) {
    const { rows } = await pool.query(
      `select text from (select concat_ws(' | ', ${columns}) as text from "${schema}"."${name}") all_rows where text ~* $1 limit 5`,
      [pattern],
    );
    found.push(...rows.map(({ text }) => `${schema}.${name}: ${text.slice(0, 400)}`));
  }
  return found;
}
