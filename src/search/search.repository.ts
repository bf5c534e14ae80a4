import { Injectable } from '@nestjs/common';
import type { Seen } from '../access/verify.js';
import { Database } from '../database/database.js';
import { FIND_PLACES, NEAR, RANK, type Reach } from './search.sql.js';

/** What is searched, and for whom. */
export interface SearchRequest {
  of: 'messages' | 'memory';
  /** null: a service, which sees everything */
  user: string | null;
  /** keys of sessions and users; null: wherever the user may see */
  places: number[] | null;
  /** of messages: role, after, before; of memory: type */
  filters: unknown[];
  limit: number;
}

/** A message or an entry in which something was found. */
export interface Hit {
  place_key: number;
  /** seq of the message, or key of the entry */
  item: number;
  part: number;
  session_id: string | null;
  /** of the entry, as it was read */
  version: number;
  score: number;
  /** of the words that were found, from 1 */
  positions: number[];
}

/** Where a search that names a session looks; what the caller is to it. */
export interface Place extends Seen {
  session_key: number | null;
  user_key: number | null;
}

/** Finds by words, and words by those nearly like them. */
@Injectable()
export class SearchRepository {
  constructor(private readonly database: Database) {}

  /** @param words as `websearch_to_tsquery` takes them; @param query instead of them, as `tsquery` does */
  rank(request: SearchRequest, words: string, query: string | null): Promise<Hit[]> {
    const { of, user, places, limit, filters } = request;
    return this.database.query<Hit>(RANK[of][reachOf(request)], [
      words,
      query,
      user,
      places,
      limit,
      ...filters,
    ]);
  }

  /** Each word with those nearly like it in the texts that are searched. */
  async near(request: SearchRequest, words: string[]): Promise<Map<string, string[]>> {
    const { of, user, places } = request;
    const values = [words, places, user];
    const rows = await this.database.query<{ word: string; near: string[] }>(
      NEAR[of][reachOf(request)],
      values,
    );
    return new Map(rows.map(({ word, near }) => [word, near]));
  }

  /** A session and a user by name, as far as they are asked for. */
  async findPlaces(session: string | null, caller: string | null, user: string | null, includeUser: boolean) {
    const [place] = await this.database.query<Place>(FIND_PLACES, [session, caller, user, includeUser]);
    return place!;
  }
}

const reachOf = ({ places, user }: SearchRequest): Reach =>
  places !== null ? 'places' : user === null ? 'all' : 'user';
