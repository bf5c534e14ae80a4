import { setImmediate } from 'node:timers/promises';
import { Injectable } from '@nestjs/common';
import { verify } from '../access/verify.js';
import { type Caller, isService } from '../common/caller.js';
import { DomainError, forbidden } from '../common/errors.js';
import { Facts } from '../memory/facts.js';
import type { MemoryRow } from '../memory/memory.view.js';
import { History } from '../messages/history.js';
import type { FoundMessage } from '../messages/message.view.js';
import { fuse } from './fusion.js';
import { highlight } from './highlight.js';
import type { MemoryHit, MessageHit } from './hits.js';
import { nearly, parseQuery } from './query.js';
import { type Hit, SearchRepository, type SearchRequest } from './search.repository.js';
import type { SearchMemory, SearchMessages } from './search.schemas.js';
import { SemanticService } from './semantic.service.js';
import { textOfEntry, textOfMessage } from './source-text.js';
import { partsOf } from './words.js';

type Asked = Pick<SearchMessages, 'query' | 'mode'>;

/** What was found, and how. */
export interface Ran<Found> {
  hits: Found[];
  mode: SearchMessages['mode'];
}

/** Finding what was said, and what is kept. What is deleted or redacted is not found from that moment on. */
@Injectable()
export class SearchService {
  constructor(
    private readonly search: SearchRepository,
    private readonly semantic: SemanticService,
    private readonly history: History,
    private readonly facts: Facts,
  ) {}

  /** @throws DomainError `session_not_found`, `session_deleted`, `embeddings_not_configured`, `embeddings_unavailable` */
  async findMessages(asked: SearchMessages, caller: Caller): Promise<Ran<MessageHit>> {
    const { role = null, created_after = null, created_before = null, neighbours, limit } = asked;
    const { hits, mode } = await this.hits(asked, {
      ...{ of: 'messages', user: caller.userId, limit, filters: [role, created_after, created_before] },
      places:
        asked.session_id === undefined ? null : await this.places(asked.session_id, null, false, caller),
    });
    const refs = hits.map(({ place_key, item }) => ({ session: place_key, seq: item }));
    const found = await this.history.around(refs, neighbours);
    return { hits: await inTurn(hits, (hit) => messageHit(hit, found, neighbours)), mode };
  }

  /** @throws DomainError `forbidden`, `session_not_found`, `session_deleted`, `embeddings_not_configured`, `embeddings_unavailable` */
  async findMemory(asked: SearchMemory, caller: Caller): Promise<Ran<MemoryHit>> {
    const { memory_type = null, min_score = 0, limit } = asked;
    const found = await this.hits(asked, {
      ...{ of: 'memory', user: caller.userId, limit, filters: [memory_type] },
      places: await this.memoryPlaces(asked, caller),
    });
    const hits = found.hits.filter(({ score }) => score >= min_score);
    const rows = await this.facts.byKeys(hits.map(({ item }) => item));
    return { hits: await inTurn(hits, (hit) => memoryHit(hit, rows)), mode: found.mode };
  }

  /** By words, by meaning, or by both; where the latter is not to be had, by words alone. */
  private async hits({ query, mode }: Asked, request: SearchRequest): Promise<Ran<Hit>> {
    if (mode === 'semantic') return { hits: await this.semantic.find(query, request), mode };
    const byWords = this.byWords(query, request);
    if (mode === 'lexical' || isExact(query) || !this.semantic.reaches(request))
      return { hits: await byWords, mode: 'lexical' };
    const byMeaning = this.semantic.find(query, request).catch(unlessDown);
    const [words, meaning] = await Promise.all([byWords, byMeaning]);
    if (meaning === null) return { hits: words, mode: 'lexical' };
    return { hits: fuse(words, meaning, request.limit), mode };
  }

  /** Where nothing has the words as they are asked for, those with words nearly like them. */
  private async byWords(asked: string, request: SearchRequest): Promise<Hit[]> {
    const query = parseQuery(asked);
    if (query.wanted.length === 0 || request.places?.length === 0) return [];
    const hits = await this.search.rank(request, query.text, null);
    if (hits.length > 0) return hits;
    const corrected = nearly(query, await this.search.near(request, query.wanted.flat()));
    return corrected === null ? [] : this.search.rank(request, query.text, corrected);
  }

  /** Where the memory is that is asked for; null: nothing is named. */
  private async memoryPlaces(asked: SearchMemory, caller: Caller): Promise<number[] | null> {
    const { session_id = null, user_id = null, include_user } = asked;
    if (user_id !== null && !isService(caller) && user_id !== caller.userId)
      throw forbidden('A user searches his own memory only.');
    if (session_id === null && user_id === null) return null;
    return this.places(session_id, user_id, include_user, caller);
  }

  /** Keys of a session, which the caller may read, and of a user, as far as they are named. */
  private async places(
    session_id: string | null,
    user_id: string | null,
    includeUser: boolean,
    caller: Caller,
  ): Promise<number[]> {
    const place = await this.search.findPlaces(session_id, caller.userId, user_id, includeUser);
    if (session_id !== null) verify(place.session_key === null ? null : place, 'read');
    return [place.session_key, place.user_key].filter((key) => key !== null);
  }
}

/** Who says what must not be there, or stand together, does not mean what is like it. */
function isExact(asked: string): boolean {
  const { unwanted, wanted } = parseQuery(asked);
  return unwanted.length > 0 || (asked.includes('"') && wanted.length > 0);
}

/** What is down, or refuses such a question, takes no part. */
function unlessDown(error: unknown): null {
  if (error instanceof DomainError && (error.kind === 'unavailable' || error.kind === 'invalid')) return null;
  throw error;
}

/** What has gone since it was found, or is too much for one answer, is left out. To mark a long text takes a while: others have their turn between. */
async function inTurn<Found>(hits: Hit[], make: (hit: Hit) => Promise<Found | null>): Promise<Found[]> {
  const found: Found[] = [];
  for (const hit of hits) {
    const made = await make(hit);
    if (made !== null) found.push(made);
  }
  return found;
}

async function messageHit(hit: Hit, found: FoundMessage[], neighbours: number): Promise<MessageHit | null> {
  const { place_key, item, score } = hit;
  const around = found
    .filter(({ session_key, seq }) => session_key === place_key && Math.abs(seq - item) <= neighbours)
    .sort((a, b) => a.seq - b.seq);
  const row = around.find(({ seq }) => seq === item);
  if (!row || row.redacted_at !== null) return null;
  return {
    ...{ row, sessionId: hit.session_id!, score, highlight: await highlighted(textOfMessage(row), hit) },
    before: around.filter(({ seq }) => seq < item),
    after: around.filter(({ seq }) => seq > item),
  };
}

async function memoryHit(hit: Hit, rows: MemoryRow[]): Promise<MemoryHit | null> {
  const row = rows.find(({ key, version }) => key === hit.item && version === hit.version);
  if (!row) return null;
  return { row, score: hit.score, highlight: await highlighted(textOfEntry(row), hit) };
}

async function highlighted(text: string, { part, positions }: Hit): Promise<string> {
  let n = 0;
  for (const made of partsOf(text)) {
    if (n++ === part) return highlight(made, positions);
    await setImmediate();
  }
  return '';
}
