// What PostgreSQL alone does on this machine: fixed, whatever the product becomes.

/** One counter row and 60 rows of 500 bytes a session, as the product's sessions have messages. */
export const FLOOR_TABLES = (sessions, messages) => `
  create table floor_counter (id bigint primary key, n bigint not null) with (fillfactor = 70);
  create table floor_row (id bigint, n bigint, body text not null, primary key (id, n));
  create table floor_single (id uuid primary key default gen_random_uuid(), body text not null);
  insert into floor_counter select i, ${messages} from generate_series(0, ${sessions}) i;
  insert into floor_row select i, n, repeat('x', 500) from generate_series(0, ${sessions}) i, generate_series(1, ${messages}) n;
  vacuum analyze floor_counter, floor_row;`;

const append = (id, rows) => `
  with c as (update floor_counter set n = n + ${rows} where id = ${id} returning id, n)
  insert into floor_row select c.id, c.n - g, repeat('x', 500) from c, generate_series(0, ${rows - 1}) g;`;

/** @param sessions picks one of so many, at random */
export const floors = (sessions) => {
  const pick = (sql) => `\\set i random(0, ${sessions - 1})\n${sql.replace(/\s+/g, ' ')}\n`;
  return {
    create: pick(`insert into floor_single (body) values (repeat('x', 500));`),
    get: pick('select * from floor_counter where id = :i;'),
    append: pick(append(':i', 1)),
    hotAppend: pick(append(sessions, 1)),
    batch: pick(append(':i', 100)),
    list: pick('select * from floor_row where id = :i order by n desc limit 50;'),
    heartbeat: pick('update floor_counter set n = n + 1 where id = :i;'),
  };
};
