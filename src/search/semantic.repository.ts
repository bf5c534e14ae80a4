import { Injectable } from '@nestjs/common';
import { Database } from '../database/database.js';
import { type Statement, statement } from '../database/statement.js';
import { ownerNumber } from '../derived/owner.sql.js';
import type { Hit, SearchRequest } from './search.repository.js';
import { MEMORY, MESSAGES } from './search.sql.js';

/** Whose texts are looked at; in these places only, or wherever he owns. */
export interface Owned {
  owner: string;
  places: number[] | null;
}

/** A part of a text that is near in meaning, as the vector store remembers it. */
export interface Near {
  place_key: number;
  item: number;
  part: number;
  version: number;
  score: number;
}

/** What of what the vector store finds may be found: the rows decide. */
@Injectable()
export class SemanticRepository {
  constructor(private readonly database: Database) {}

  /** Owners whose texts a search may reach; at most a few dozen. */
  ownersOf({ places, user }: SearchRequest): Promise<Owned[]> {
    if (places !== null) return this.database.query(OWNERS_OF_PLACES, [places]);
    return this.database.query(OWNERS_FOR_USER, [user]);
  }

  /** Those that are still there as they were read, and may be seen, best first. */
  visible({ of, user, limit, filters }: SearchRequest, near: Near[]): Promise<Hit[]> {
    return this.database.query<Hit>(VISIBLE[of], [JSON.stringify(near), user, limit, ...filters]);
  }
}

/** Sharers that are asked beside oneself. */
const SHARERS = 50;

const OWNERS_OF_PLACES = statement(
  'semantic.ownersOfPlaces',
  `select ${ownerNumber('coalesce(s.user_id, u.id)')}::text as owner, array_agg(p.key::float8) as places
   from unnest($1::bigint[]) as p(key) left join sessions s on s.key = p.key left join users u on u.key = p.key
   group by 1`,
);

const OWNERS_FOR_USER = statement(
  'semantic.ownersForUser',
  `select ${ownerNumber('$1::text')}::text as owner, null::float8[] as places
   union all
   (select ${ownerNumber('s.user_id')}::text, array_agg(s.key::float8) from members m join sessions s on s.key = m.session_key
    where m.user_id = $1 group by 1 order by max(s.last_activity_at) desc limit ${SHARERS})`,
);

/** $1 what is near, $2 user, $3 limit, and the filters of its kind */
const visible = (name: string, source: Statement['text']) =>
  statement(
    `semantic.visible.${name}`,
    `with near as (
       select * from json_to_recordset($1::json)
         as n(place_key bigint, item bigint, part int, version bigint, score float8)
     ), found as (
       select f.place_key, f.item, f.part, source.*, f.score from near f cross join lateral (${source} offset 0) source
     ), hit as (
       select distinct on (place_key, item) * from found order by place_key, item, score desc, part
     )
     select place_key, item, part, session_id, version, score, '{}'::int[] as positions
     from hit order by score desc, newest desc, place_key, item desc limit $3::int`,
  );

const VISIBLE = {
  messages: visible('messages', MESSAGES.source({ user: '$2', filters: ['$4', '$5', '$6'] })),
  memory: visible('memory', MEMORY.source({ user: '$2', filters: ['$4'] })),
};
