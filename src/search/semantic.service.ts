import { Inject, Injectable } from '@nestjs/common';
import { invalid } from '../common/errors.js';
import { Embedder, notConfigured } from '../models/embedder.js';
import { isNoSpace } from '../vectors/errors.js';
import type { Condition } from '../vectors/filter.js';
import { DERIVED_STORE, type VectorStore } from '../vectors/vector-store.js';
import { EmbeddingSpaces } from './embedding-spaces.js';
import type { Hit, SearchRequest } from './search.repository.js';
import { type Near, type Owned, SemanticRepository } from './semantic.repository.js';

/** Asked for beyond what is wanted, more and more: several parts may be of one message, and many may not be seen or wanted. */
const [AMPLE, MOST] = [4, 10_000];

/** Finds by meaning. */
@Injectable()
export class SemanticService {
  constructor(
    private readonly embedder: Embedder,
    private readonly spaces: EmbeddingSpaces,
    private readonly repository: SemanticRepository,
    @Inject(DERIVED_STORE) private readonly store: VectorStore,
  ) {}

  /** Whether it may be tried: a service that names neither a user nor a session would ask for everything there is. */
  reaches({ places, user }: SearchRequest): boolean {
    return this.embedder.isConfigured && (places !== null || user !== null);
  }

  /** @throws DomainError `embeddings_not_configured`, `embeddings_unavailable`, what the vector store says */
  async find(query: string, request: SearchRequest): Promise<Hit[]> {
    if (!this.embedder.isConfigured) throw notConfigured();
    if (!this.reaches(request)) throw everything();
    const vector = await this.embedder.embedQuestion(query);
    const owners = await this.repository.ownersOf(request);
    for (let asked = request.limit * AMPLE; ; asked *= AMPLE) {
      const near = await Promise.all(owners.map((owned) => this.near(vector, owned, request, asked)));
      const hits = await this.repository.visible(request, near.flat());
      const isMore = asked < MOST && near.some((found) => found.length === asked);
      if (hits.length >= request.limit || !isMore) return hits;
    }
  }

  private async near(
    vector: number[],
    { owner, places }: Owned,
    { of }: SearchRequest,
    limit: number,
  ): Promise<Near[]> {
    const space = await this.spaces.of(owner, vector.length);
    const must: Condition[] = [{ key: 'kind', match: { value: of === 'messages' ? 'message' : 'entry' } }];
    if (places !== null) must.push({ key: 'place', match: { any: places } });
    const asked = { vector, using: '', filter: { must }, limit };
    const hits = await this.store.query(space, { ...asked, payload: true, vectors: false }).catch(noneYet);
    return hits.map(({ payload, score }) => {
      const { place, item, part, version } = payload as Record<string, number>;
      return { place_key: place!, item: item!, part: part!, version: version!, score };
    });
  }
}

const everything = () =>
  invalid([
    { pointer: '/mode', detail: 'by meaning a service searches for a user, or in a session that it names' },
  ]);

/** Nothing of this owner is embedded yet. */
function noneYet(error: unknown): [] {
  if (isNoSpace(error)) return [];
  throw error;
}
