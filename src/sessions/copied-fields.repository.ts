import { Injectable } from '@nestjs/common';
import { Database } from '../database/database.js';
import { statement } from '../database/statement.js';
import { insertEventList, type NewEvent, numberEvents } from '../events/events.sql.js';

/** A session, and the ids of those that it is directly from. */
interface Link {
  key: number;
  id: string;
  user_id: string | null;
  /** gone, or under legal hold: nothing of it is taken away from others */
  is_kept: boolean;
  sources: string[];
}

type IsSource = (link: Link) => boolean;

/** Sessions whose fields are compared at once. */
const COMPARED = 100;

/** What sessions of others have taken over of a user's own: found by where they are from, as long as his are there. */
@Injectable()
export class CopiedFieldsRepository {
  constructor(private readonly database: Database) {}

  /** Those of others among the next `limit` sessions behind a key, and up to another, that are from one of his; `last`: of all of them, null at the end. */
  async find(user: string, after: number, upTo: number, limit: number) {
    const [page] = await this.database.query<{ last: number | null; made: Link[] }>(FIND, [
      after,
      limit,
      upTo,
    ]);
    const others = page!.made.filter(({ user_id }) => user_id !== user);
    return { last: page!.last, found: await this.among(others, isHis(user)) };
  }

  /**
   * Of a session that is held: takes away what is still as it is in his, whose they are from; answers the names of these fields.
   * @param gone sessions of his that nobody sees any more
   */
  async clear(key: number, user: string, gone: number[]): Promise<string[]> {
    const [session] = await this.database.query<Link>(LINK_OF, [key]);
    const links = session ? await this.ancestors(session.sources) : [];
    const sources = [...links.filter(isHis(user)).map((link) => link.key), ...gone];
    const cleared = new Set<string>();
    for (let at = 0; at < sources.length; at += COMPARED) {
      const some = sources.slice(at, at + COMPARED);
      const [row] = await this.database.query<{ cleared: string[] }>(CLEAR, [key, some]);
      for (const name of row?.cleared ?? []) cleared.add(name);
    }
    return [...cleared];
  }

  /** …which is an edit of it. */
  async tell(key: number, events: NewEvent[]): Promise<void> {
    await this.database.query(TELL_EDIT, [key, JSON.stringify(events)]);
  }

  /** Those behind a key that are from one of these sessions. */
  async findNew(keys: number[], after: number): Promise<number[]> {
    const made = await this.database.query<Link>(FIND_NEW, [keys, after]);
    return this.among(made, ({ key }) => keys.includes(key));
  }

  /** Keys of those that are from a source, at whatever remove. */
  private async among(made: Link[], isSource: IsSource): Promise<number[]> {
    const links = await this.ancestors(made.flatMap(({ sources }) => sources));
    const from = descendants(links, isSource);
    return made.filter(({ sources }) => sources.some((id) => from.has(id))).map(({ key }) => key);
  }

  /** These, and all that they are from, each once: one statement for each remove, so that long chains cost no more than they have links. */
  private async ancestors(ids: string[]): Promise<Link[]> {
    const found: Link[] = [];
    const asked = new Set<string>();
    for (let next = ids; next.length > 0; ) {
      const wanted = [...new Set(next)].filter((id) => !asked.has(id));
      if (wanted.length === 0) break;
      for (const id of wanted) asked.add(id);
      const links = await this.database.query<Link>(LINKS, [wanted]);
      found.push(...links);
      next = links.flatMap(({ sources }) => sources);
    }
    return found;
  }
}

const isHis =
  (user: string): IsSource =>
  ({ user_id, is_kept }) =>
    user_id === user && !is_kept;

/** Ids of the sources, and of all that are from them. */
function descendants(links: Link[], isSource: IsSource): Set<string> {
  const made = new Map<string, string[]>(links.flatMap(({ sources }) => sources.map((id) => [id, []])));
  for (const { id, sources } of links) for (const source of sources) made.get(source)!.push(id);
  const found = new Set(links.filter(isSource).map(({ id }) => id));
  // what is added is visited too
  for (const id of found) for (const one of made.get(id) ?? []) found.add(one);
  return found;
}

/** SQL for a session `s` with the lineage of its details `d`. */
const LINK = `
  s.key, s.id, s.user_id, (s.legal_hold or s.purged_at is not null) as is_kept,
  array(
    select id from (
      select d.lineage ->> 'session_id' as id union all
      select json_array_elements_text(case json_typeof(d.lineage -> 'session_ids') when 'array' then d.lineage -> 'session_ids' else '[]' end)) ids
    where id is not null) as sources`;

const LINK_OF = statement(
  'copiedFields.linkOf',
  `select ${LINK} from sessions s join session_details d on d.key = s.key where s.key = $1 and d.lineage is not null`,
);

/** Looked up one by one, however many PostgreSQL thinks there are. */
const LINKS = statement(
  'copiedFields.links',
  `select link.* from unnest($1::text[]) wanted(id) cross join lateral (
     select ${LINK} from sessions s join session_details d on d.key = s.key where s.id = wanted.id offset 0) link`,
);

const FIND = statement(
  'copiedFields.find',
  `with page as materialized (
     select key, lineage from session_details where key > $1::bigint and key <= $3::bigint order by key limit $2::int
   )
   select (select max(key) from page) as last,
     (select coalesce(json_agg(made order by made.key), '[]') from (
       select ${LINK} from page d join sessions s on s.key = d.key where d.lineage is not null) made) as made`,
);

const FIND_NEW = statement(
  'copiedFields.findNew',
  `select ${LINK} from session_details d join sessions s on s.key = d.key
   where d.key > $2::bigint and d.lineage is not null and d.key <> all($1::bigint[]) order by d.key`,
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
  `with source as materialized (
     select * from session_details where key = any($2::bigint[])
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
