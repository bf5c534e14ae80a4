import type { JsonObject } from '../../../common/json.js';
import { storeUnavailable } from '../../errors.js';
import type { Filter } from '../../filter.js';
import type { QueryRequest, ScanRequest } from '../../vector-store.js';
import { Thread, TookTooLong } from './thread.js';

const THREAD_HEAP_MB = 1024;

export interface Match {
  ids: string[];
  revision: number;
}

/** Ids are in stored form. */
export interface PointRead {
  id: string;
  payload?: JsonObject;
  vectors?: Record<string, Float32Array>;
}

interface Tasks {
  query: { request: QueryRequest; answer: (PointRead & { score: number })[] };
  scan: { request: ScanRequest & { after: string }; answer: PointRead[] };
  match: { request: { filter: Filter }; answer: Match };
  count: { request: { filter: Filter }; answer: number };
}

/** Searches in a thread of its own, which reads from PostgreSQL itself, over one connection, and keeps what it has read. */
export class SearchThread {
  private readonly thread: Thread;

  constructor(workerData: { url: string; maxBytes: number }) {
    this.thread = new Thread(new URL('./search.mjs', import.meta.url), {
      workerData,
      resourceLimits: { maxOldGenerationSizeMb: THREAD_HEAP_MB },
    });
  }

  /**
   * Sees everything that was acknowledged before; null: there is no such space.
   * @throws DomainError `vectors_unavailable` when PostgreSQL does not answer, or not in time
   */
  async run<T extends keyof Tasks>(
    task: T,
    name: string,
    request: Tasks[T]['request'],
  ): Promise<Tasks[T]['answer'] | null> {
    const attempt = () => this.thread.call({ task, name, request });
    // a lost connection or a lost thread costs one more try: nothing but reading is done there
    const again = (error: unknown) => (error instanceof TookTooLong ? Promise.reject(error) : attempt());
    const answer = attempt().catch(again);
    return answer.catch((error) => Promise.reject(storeUnavailable(error))) as Promise<
      Tasks[T]['answer'] | null
    >;
  }

  close(): Promise<void> {
    return this.thread.close();
  }
}
