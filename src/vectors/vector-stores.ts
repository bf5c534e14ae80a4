import { elsewhere } from './errors.js';
import type { VectorStore } from './vector-store.js';

/** Where a space is kept, as its row remembers it. */
export interface Kept {
  backend: string;
  direct_writes: boolean;
}

/** The stores of collections that this process can reach. What is kept in one stays there, whatever the configuration says later. */
export class VectorStores {
  constructor(
    /** where new collections are made */
    readonly current: VectorStore,
    readonly all: readonly VectorStore[],
  ) {}

  /** @throws DomainError `collection_elsewhere` when the configuration does not name the server that keeps it */
  of({ backend, direct_writes }: Kept): VectorStore {
    const keeps = (store: VectorStore) => store.backend === backend && store.directWrites === direct_writes;
    return this.all.find(keeps) ?? elsewhere(backend);
  }
}
