import { roleIn } from '../access/access.sql.js';
import { type Statement, statement } from '../database/statement.js';
import { ownerNumber } from '../derived/owner.sql.js';
import { isLive } from '../memory/memory.sql.js';
import { statusOf } from '../sessions/session.sql.js';
import { CONFIGURATION } from './texts.repository.js';

/** Which texts are looked at: those in the places given, those of sessions a user may see, or all. */
export type Reach = 'places' | 'user' | 'all';

/** So many texts that match, and that may be seen, are ranked: of a word that is everywhere it matters little which. */
const RANKED = 20_000;

/** SQL for the numbers of those who own what the user may see: himself, and whoever shares a session with him. */
const owners = (user: string) => `array(
  select ${ownerNumber(`${user}::text`)}
  union
  select ${ownerNumber('s.user_id')} from members m join sessions s on s.key = m.session_key
  where m.user_id = ${user})`;

const REACHED: Record<Reach, string> = {
  places: 't.place_key = any($4::bigint[])',
  user: `t.owner = any(${owners('$3')})`,
  all: 'true',
};

const isVisible = (s: string, user: string) =>
  `${s}.purged_at is null and ${statusOf(s)} <> 'deleted' and (${roleIn(s, user)}) is not null`;

/** Every statement names all its parameters, so that each reach takes the same. */
const given = (user: string, places: string) => `given as (select ${user}::text, ${places}::bigint[])`;

/** The parameters of a search. */
interface Given {
  user: string;
  filters: string[];
}

interface Kind {
  table: string;
  /** the parameters of its filters in a search by words */
  filters: string[];
  /** what a text `f` is of, if it may be found: `session_id`, `version`, and `newest`, by which it goes before others that match as well */
  source: (given: Given) => string;
}

/** Filters: role, after, before. */
export const MESSAGES: Kind = {
  table: 'message_texts',
  filters: ['$6', '$7', '$8'],
  source: ({
    user,
    filters: [role, after, before],
  }) => `select s.id as session_id, 1 as version, m.created_at as newest
    from sessions s join messages m on m.session_key = s.key
    where s.key = f.place_key and m.seq = f.item and m.redacted_at is null and ${isVisible('s', user)}
      and (${role}::text is null or m.role = ${role})
      and (${after}::timestamptz is null or m.created_at > ${after})
      and (${before}::timestamptz is null or m.created_at < ${before})`,
};

/** Filter: type. */
export const MEMORY: Kind = {
  table: 'memory_texts',
  filters: ['$6'],
  source: ({ user, filters: [type] }) => `select s.id as session_id, e.version, e.updated_at as newest
    from memory_entries e left join users u on u.key = f.place_key left join sessions s on s.key = f.place_key
    where e.key = f.item and e.version = f.version and ${isLive('e')} and (${type}::text is null or e.memory_type = ${type})
      and case when u.key is not null then ${user}::text is null or u.id = ${user} else ${isVisible('s', user)} end`,
};

/**
 * Texts that match, best first, each part's best of a message or an entry, with the positions of the words found. A
 * query that no index can answer, such as for whatever lacks a word, finds nothing. Each text is looked up on its own
 * (`offset 0`): PostgreSQL knows too little of how many will match to choose another way.
 *
 * $1 as `websearch_to_tsquery` takes it, $2 instead of it as `tsquery` does, $3 user, $4 places, $5 limit
 */
const rank = (name: string, kind: Kind, reach: Reach): Statement =>
  statement(
    `search.${name}.${reach}`,
    `with ${given('$3', '$4')}, query as materialized (
       select coalesce($2::tsquery, websearch_to_tsquery(${CONFIGURATION}, $1)) as words
     ), lexemes as materialized (
       select array(select (regexp_matches(words::text, '''([^'']+)''', 'g'))[1]) as all from query
     ), found as materialized (
       select f.place_key, f.item, f.part, f.words, source.*, ts_rank_cd(f.words, query.words, 1) as score
       from (
         select * from ${kind.table} t
         where (select querytree(words) from query) not in ('', 'T')
           and t.words @@ (select words from query) and ${REACHED[reach]}
         offset 0
       ) f cross join query cross join lateral (${kind.source({ user: '$3', filters: kind.filters })} offset 0) source
       limit ${RANKED}
     ), hit as (
       select distinct on (place_key, item) * from found order by place_key, item, score desc, part
     ), top as (
       select * from hit order by score desc, newest desc, place_key, item desc limit $5::int
     )
     select top.place_key, top.item, top.part, top.session_id, top.version, top.score, array(
         select p from unnest(top.words) w, unnest(w.positions) p
         where w.lexeme = any((select lexemes.all from lexemes)::text[]) order by p limit 200) as positions
     from top order by score desc, newest desc, place_key, item desc`,
  );

/** Texts that a misspelt word is looked for in: of the newest sessions, in each the newest. Of so many words so many are compared. */
const [SESSIONS, TEXTS, VOCABULARY, ASKED] = [50, 1_000, 20_000, 8];

const newest = (which: string) =>
  `(select s.key from sessions s where ${which} and s.purged_at is null order by s.last_activity_at desc limit ${SESSIONS})`;

const PLACES: Record<Reach, string> = {
  places: 'select unnest($2::bigint[]) as key',
  user: `${newest('s.user_id = $3')}
    union (select m.session_key from members m where m.user_id = $3 limit ${SESSIONS})
    union select key from users where id = $3`,
  all: `${newest('true')} union (select key from users order by key desc limit ${SESSIONS})`,
};

/**
 * Words that are nearly those asked for: they begin with them, or a few letters differ; not of what is numbered.
 *
 * $1 words, $2 places, $3 user
 */
const near = (name: string, { table }: Kind, reach: Reach): Statement =>
  statement(
    `search.near.${name}.${reach}`,
    `with ${given('$3', '$2')}, texts as materialized (
       select t.words from (${PLACES[reach]}) place cross join lateral (
         select words from ${table} t where t.place_key = place.key order by t.item desc limit ${TEXTS}) t
       limit ${TEXTS}
     ), vocabulary as materialized (
       select distinct w.lexeme from texts, unnest(texts.words) w where length(w.lexeme) <= 64 limit ${VOCABULARY}
     ), asked as (
       select word, case when length(word) < 4 or word ~ '[0-9]' then 0 when length(word) < 6 then 1 else 2 end as differing
       from (select distinct unnest($1::text[]) as word limit ${ASKED}) w where length(word) <= 64
     ), compared as (
       select a.word, a.differing, v.lexeme, case when starts_with(v.lexeme, a.word) then 0
         else levenshtein_less_equal(a.word, v.lexeme, a.differing) end as distance
       from asked a join vocabulary v on v.lexeme = a.word or length(a.word) > 1 and starts_with(v.lexeme, a.word)
         or a.differing > 0 and abs(length(v.lexeme) - length(a.word)) <= a.differing
     )
     select word, (array_agg(lexeme order by distance, length(lexeme), lexeme))[1:10] as near
     from compared where distance <= differing group by word`,
  );

const REACHES = Object.keys(REACHED) as Reach[];
const each = <T>(make: (reach: Reach) => T) =>
  Object.fromEntries(REACHES.map((reach) => [reach, make(reach)])) as Record<Reach, T>;

export const RANK = {
  messages: each((reach) => rank('messages', MESSAGES, reach)),
  memory: each((reach) => rank('memory', MEMORY, reach)),
};

export const NEAR = {
  messages: each((reach) => near('messages', MESSAGES, reach)),
  memory: each((reach) => near('memory', MEMORY, reach)),
};

/** Where to look: $1 session, $2 caller, $3 user, $4 whether in what is kept for the caller, or the session's owner, too. */
export const FIND_PLACES = statement(
  'search.findPlaces',
  `select s.key as session_key, ${statusOf('s')} as status, ${roleIn('s', '$2')} as role, u.key as user_key
   from (select 1) one
     left join sessions s on s.id = $1 and s.purged_at is null
     left join users u on u.id = coalesce($3::text, case when $4::boolean then coalesce($2::text, s.user_id) end)`,
);
