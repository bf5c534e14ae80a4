import { Inject, Injectable } from '@nestjs/common';
import type { Logger } from 'pino';
import { DomainError } from '../common/errors.js';
import { CONFIG, type Config } from '../config/config.js';
import { LOG } from '../http/log.js';
import { ModelServer } from './model-server.js';

/** Whoever waits for an answer waits for no more than this. */
const QUESTION_MS = 5_000;

/** Turns texts into vectors, by the server that `EMBEDDINGS_URL` names. */
@Injectable()
export class Embedder {
  private readonly server: ModelServer | null;
  /** texts in one request */
  readonly batch: number;
  readonly model: string;

  constructor(@Inject(CONFIG) config: Config, @Inject(LOG) log: Logger) {
    this.batch = config.EMBEDDINGS_BATCH;
    this.model = config.EMBEDDINGS_MODEL ?? '';
    this.server =
      config.EMBEDDINGS_URL === undefined
        ? null
        : new ModelServer({
            name: 'embeddings',
            url: config.EMBEDDINGS_URL,
            apiKey: config.EMBEDDINGS_API_KEY,
            timeoutMs: config.EMBEDDINGS_TIMEOUT_SECONDS * 1000,
            log,
          });
  }

  get isConfigured(): boolean {
    return this.server !== null;
  }

  /** Whether its server is there: told to operators. @throws Error that says what is the matter */
  async greet(): Promise<void> {
    await this.server?.greet();
  }

  /** Milliseconds until it makes sense to ask again. */
  get pauseMs(): number {
    return this.server?.pauseMs ?? 0;
  }

  /**
   * A vector for each text, in their order, all of one size.
   * @throws DomainError `embeddings_not_configured`, `embeddings_unavailable`, `embeddings_refused`
   */
  embed(texts: string[], timeoutMs?: number): Promise<number[][]> {
    if (this.server === null) throw notConfigured();
    const body = { model: this.model, input: texts, encoding_format: 'float' };
    return this.server.post('/embeddings', body, (answer) => vectorsIn(answer, texts.length), timeoutMs);
  }

  /** Of what somebody asks, who waits for it. */
  async embedQuestion(text: string): Promise<number[]> {
    return (await this.embed([text], QUESTION_MS))[0]!;
  }
}

interface Embeddings {
  data: { index: number; embedding: number[] }[];
}

/** Null where there is not a vector for each, or not of one size. */
function vectorsIn(answer: unknown, count: number): number[][] | null {
  const { data } = (answer ?? {}) as Partial<Embeddings>;
  if (!Array.isArray(data) || data.length !== count) return null;
  const vectors: number[][] = Array(count).fill([]);
  for (const [position, item] of data.entries()) vectors[item?.index ?? position] = item?.embedding;
  const size = vectors[0]?.length ?? 0;
  return size > 0 && vectors.every((vector) => isVector(vector, size)) ? vectors : null;
}

const isVector = (given: unknown, size: number): given is number[] =>
  Array.isArray(given) && given.length === size && given.every(Number.isFinite) && given.some((n) => n !== 0);

export const notConfigured = () =>
  new DomainError(
    'not-configured',
    'embeddings_not_configured',
    'There is no EMBEDDINGS_URL: search is lexical here.',
  );
