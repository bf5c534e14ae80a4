import { Injectable } from '@nestjs/common';
import { Database } from '../database/database.js';
import { statement } from '../database/statement.js';
import { insertEventList, type NewEvent, numberEvents } from '../events/events.sql.js';

/** What sessions of others have taken over of a user's own: found by where they are from, as long as his are there. */
@Injectable()
export class CopiedFieldsRepository {
  constructor(private readonly database: Database) {}

  /** Those of others among the next `limit` sessions behind a key, and up to another, that are from one of his; `last`: of all of them, null at the end. */
  async find(user: string, after: number, upTo: number, limit: number) {
    const [page] = await this.database.query<{ last: number | null; found: number[] }>(FIND, [
      ...[user, after, limit, upTo],
    ]);
    return page!;
  }

  /**
   * Of a session that is held: takes away what is still as it is in his, whose they are from; answers the names of these fields.
   * @param sources null: those that its lineage names
   */
  async clear(key: number, user: string, sources: number[] | null): Promise<string[]> {
    const [row] = await this.database.query<{ cleared: string[] }>(CLEAR, [key, user, sources]);
    return row?.cleared ?? [];
  }

  /** …which is an edit of it. */
  async tell(key: number, events: NewEvent[]): Promise<void> {
    await this.database.query(TELL_EDIT, [key, JSON.stringify(events)]);
  }

  /** Those behind a key that are from one of these sessions. */
  async findNew(keys: number[], after: number): Promise<number[]> {
    const rows = await this.database.query<{ key: number }>(FIND_NEW, [keys, after]);
    return rows.map(({ key }) => key);
  }
}

/** SQL for the ids of the sessions that one is directly from. */
const idsIn = (lineage: string) => `
  (select ${lineage} ->> 'session_id' as id union all
   select json_array_elements_text(case json_typeof(${lineage} -> 'session_ids') when 'array' then ${lineage} -> 'session_ids' else '[]' end))`;

/** SQL (for `with recursive`) for the ids of all sessions that a session is from, at whatever remove. */
const ancestors = (from: string) => `
  ancestor(key, id) as (
    select start.key, ids.id from ${from} start, lateral ${idsIn('start.lineage')} ids where ids.id is not null
    union
    select a.key, ids.id from ancestor a join sessions s on s.id = a.id join session_details d on d.key = s.key,
      lateral ${idsIn('d.lineage')} ids where ids.id is not null
  )`;

/** SQL for: his, and not to stay. */
const IS_SOURCE = (s: string, user: string) =>
  `${s}.user_id = ${user} and not ${s}.legal_hold and ${s}.purged_at is null`;

const FIND = statement(
  'copiedFields.find',
  `with recursive page as materialized (
     select key, lineage from session_details where key > $2::bigint and key <= $4::bigint order by key limit $3::int
   ), ${ancestors('page')}
   select (select max(key) from page) as last,
     array(select distinct a.key from ancestor a
       join sessions source on source.id = a.id and ${IS_SOURCE('source', '$1')}
       join sessions s on s.key = a.key and s.user_id is distinct from $1 order by 1)::float8[] as found`,
);

const FIND_NEW = statement(
  'copiedFields.findNew',
  `with recursive page as materialized (
     select key, lineage from session_details where key > $2::bigint and lineage is not null
   ), ${ancestors('page')}
   select distinct a.key from ancestor a join sessions source on source.id = a.id and source.key = any($1::bigint[])
   where a.key <> all($1::bigint[]) order by 1`,
);

const DOCUMENTS = ['context', 'conversation_data', 'runtime_metadata'];

/** SQL for a field without what one of the sources has there too. */
const unless = (field: string, empty: string) =>
  `case when exists (select from source where source.${field}::text = d.${field}::text) then ${empty} else d.${field} end as ${field}`;

/** Of a configuration the shape of vectors stays: it is what the session's collection is made by. */
const SHAPE_ONLY = `case when d.configuration -> 'vectors' is null then '{}' else json_build_object('vectors', d.configuration -> 'vectors') end`;

const FIELDS = ['title', 'description', 'tags', 'metadata', 'configuration', ...DOCUMENTS];

const CLEAR = statement(
  'copiedFields.clear',
  `with recursive start as (select key, lineage from session_details where key = $1),
   ${ancestors('start')},
   source as materialized (
     select sd.* from ancestor a join sessions s on s.id = a.id and ${IS_SOURCE('s', '$2')}
       join session_details sd on sd.key = s.key
     union all
     select sd.* from session_details sd where sd.key = any($3::bigint[])
   ), cleared as materialized (
     select ${unless('title', `''`)}, ${unless('description', 'null')}, ${unless('metadata', `'{}'::jsonb`)},
       ${unless('configuration', SHAPE_ONLY)},
       ${DOCUMENTS.map((field) => unless(field, `'{}'::json`)).join(', ')},
       array(select tag from unnest(d.tags) with ordinality u(tag, n)
         where not exists (select from source where tag = any(source.tags)) order by n) as tags,
       ${FIELDS.map((field) => `d.${field}::text as old_${field}`).join(', ')}
     from session_details d where d.key = $1
   ), d as (
     update session_details d set ${FIELDS.map((field) => `${field} = cleared.${field}`).join(', ')} from cleared where d.key = $1
   ), s as (
     update sessions s set title_seq = null from cleared where s.key = $1 and cleared.title = '' and cleared.old_title <> ''
   )
   select array_remove(array[${FIELDS.map((field) => `case when ${field}::text is distinct from old_${field} then '${field}' end`).join(', ')}], null)
     as cleared from cleared`,
);

const TELL_EDIT = statement(
  'copiedFields.tell',
  `with s as (
     update sessions s set version = s.version + 1, ${numberEvents('s', 'jsonb_array_length($2::jsonb)')}
     where s.key = $1 returning s.*
   ), d as (
     update session_details set updated_at = clock_timestamp() where key = $1
   ) ${insertEventList('s', '$2')}`,
);
