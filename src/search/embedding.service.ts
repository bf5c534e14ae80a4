import { setImmediate } from 'node:timers/promises';
import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import type { Logger } from 'pino';
import { DomainError, isUnavailable } from '../common/errors.js';
import { CONFIG, type Config } from '../config/config.js';
import { LOG } from '../http/log.js';
import { Sweeps } from '../jobs/sweeps.js';
import { Facts } from '../memory/facts.js';
import { History } from '../messages/history.js';
import { Embedder } from '../models/embedder.js';
import { isNoSpace } from '../vectors/errors.js';
import { DERIVED_STORE, type Point, type Space, type VectorStore } from '../vectors/vector-store.js';
import { bySpace, idOf, pointOf } from './embedding-points.js';
import { EmbeddingSpaces, spaceNamed } from './embedding-spaces.js';
import { EmbeddingsRepository, type Taken, type Wanted } from './embeddings.repository.js';
import { MovedEmbeddings } from './moved-embeddings.js';
import { textOfEntry, textOfMessage } from './source-text.js';
import { partsOf } from './words.js';

/** When what is of nothing is looked for. */
const HOURLY = '17 * * * *';
/** Rows at a time that are stored or removed, and seconds they are taken for. */
const [ROWS, SECONDS] = [200, 120];

/**
 * Embeds texts in the background. Each answer is kept as soon as it is there, then stored, so that nothing is asked for
 * twice; what was changed, redacted or deleted meanwhile is not stored, or removed again.
 */
@Injectable()
export class EmbeddingService implements OnModuleInit {
  private readonly known = new Set<string>();

  constructor(
    private readonly embeddings: EmbeddingsRepository,
    private readonly embedder: Embedder,
    private readonly history: History,
    private readonly facts: Facts,
    private readonly sweeps: Sweeps,
    private readonly spaces: EmbeddingSpaces,
    private readonly moved: MovedEmbeddings,
    @Inject(DERIVED_STORE) private readonly store: VectorStore,
    @Inject(CONFIG) private readonly config: Config,
    @Inject(LOG) private readonly log: Logger,
  ) {}

  onModuleInit(): void {
    // what is embedded is removed with its text even where nothing is embedded any more
    this.sweeps.add(
      'embeddings to be removed',
      async () => (await this.removeSome()) === ROWS,
      this.config.INDEX_SECONDS,
    );
    this.sweeps.schedule('embeddings of nothing', HOURLY, () => this.findOrphans());
    if (!this.embedder.isConfigured) return;
    this.sweeps.add(
      'embeddings of restored sessions',
      async () => (await this.embeddings.wake(ROWS)) === ROWS,
    );
    this.sweeps.add('embeddings', () => this.askForSome(), this.config.INDEX_SECONDS);
    this.sweeps.add('embeddings to be stored', () => this.storeSome(), this.config.INDEX_SECONDS);
  }

  private async askForSome(): Promise<boolean> {
    if (this.embedder.pauseMs > 0) return false;
    const seconds = this.config.EMBEDDINGS_TIMEOUT_SECONDS + SECONDS;
    const taken = await this.embeddings.take('due', this.embedder.batch, seconds);
    // what is deleted is not shown to anybody, and so to no model either
    await this.embeddings.wait(taken.filter(({ is_deleted }) => is_deleted));
    const rows = taken.filter(({ is_deleted }) => !is_deleted);
    try {
      const texts = await this.textsOf(await this.moved.takeOver(rows));
      await this.ask(texts);
      if (texts.length > 0) await this.embeddings.release(rows); // what did not fit into one look
    } catch (error) {
      await this.embeddings.release(rows);
      if (!isUnavailable(error)) throw error;
      return false;
    }
    return taken.length > 0;
  }

  /** Where one of them is refused the others are asked for without it. */
  private async ask(texts: [Wanted, string][]): Promise<void> {
    if (texts.length === 0) return;
    try {
      const vectors = await this.embedder.embed(texts.map(([, text]) => text));
      await this.keep(
        texts.map(([row]) => row),
        vectors,
      );
    } catch (error) {
      if (!(error instanceof DomainError) || error.kind !== 'invalid') throw error;
      if (texts.length === 1) return this.refuseUnlessDown(texts[0]![0], error);
      const half = Math.ceil(texts.length / 2);
      await this.ask(texts.slice(0, half));
      await this.ask(texts.slice(half));
    }
  }

  private async keep(rows: Wanted[], vectors: number[][]): Promise<void> {
    const answers = rows.map((row, index) => this.spaces.answered(row, vectors[index]!));
    await this.embeddings.answered(await Promise.all(answers));
  }

  /** A server that takes nothing at all says nothing about this text. */
  private async refuseUnlessDown(row: Wanted, error: unknown): Promise<void> {
    const probe = await this.embedder.embed(['hello']).then(
      () => true,
      () => false,
    );
    if (!probe)
      throw new DomainError('unavailable', 'embeddings_unavailable', 'The embedder takes nothing.', {
        cause: error,
      });
    await this.refuse([row], error);
  }

  private async refuse(rows: Wanted[], err: unknown): Promise<void> {
    this.log.warn(
      { err, of: rows.map(({ kind, place_key, item }) => ({ kind, place_key, item })) },
      'not embedded',
    );
    await this.embeddings.refused(rows);
  }

  /** What has changed or gone since it was taken is left out: it is noted anew. */
  private async textsOf(rows: Taken[]): Promise<[Wanted, string][]> {
    const messages = rows.filter(({ kind }) => kind === 'message');
    const refs = messages.map(({ place_key, item }) => ({ session: place_key, seq: item }));
    const said = await this.history.around(refs, 0);
    const kept = await this.facts.byKeys(rows.filter(({ kind }) => kind === 'entry').map(({ item }) => item));
    const texts: [Wanted, string][] = [];
    for (const row of rows) {
      const text = row.kind === 'message' ? messageText(row, said) : entryText(row, kept);
      const part = text === null ? null : await partOf(text, row.part);
      if (part !== null) texts.push([row, part]);
    }
    return texts;
  }

  private async storeSome(): Promise<boolean> {
    const rows = await this.embeddings.take('answered', ROWS, SECONDS);
    const spaces = bySpace(rows, ({ spaces }) => spaces.slice(-1));
    const outcomes = await Promise.allSettled(
      [...spaces].map(([name, some]) => this.storeIn(spaceNamed(name), some)),
    );
    const failed = outcomes.find((outcome) => outcome.status === 'rejected');
    if (failed) throw failed.reason;
    return rows.length === ROWS;
  }

  private async storeIn(space: Space, rows: Taken[]): Promise<void> {
    try {
      await this.put(space, rows.map(pointOf));
    } catch (error) {
      if (isFinal(error) && rows.length === 1) return this.refuse(rows, error);
      if (isFinal(error)) {
        await this.storeIn(space, rows.slice(0, rows.length >> 1));
        return this.storeIn(space, rows.slice(rows.length >> 1));
      }
      await this.embeddings.release(rows);
      throw error;
    }
    await this.moved.leave(space, rows);
    const unwanted = await this.embeddings.stored(rows);
    if (unwanted.length > 0) await this.store.delete(space, { ids: unwanted.map(idOf) });
  }

  /** A space that was dropped since it was made is made again. */
  private async put(space: Space, points: Point[]): Promise<void> {
    if (this.known.has(space.name)) {
      const isThere = await this.store.upsert(space, points).then(() => true, unlessGone);
      if (isThere) return;
    }
    await this.store.ensure(space, { place: 'integer' });
    this.known.add(space.name);
    await this.store.upsert(space, points);
  }

  /** Removes from the store some of what is to go, whosever it is; answers how much. */
  async removeSome(): Promise<number> {
    const rows = await this.embeddings.take('gone', ROWS, SECONDS);
    for (const [name, some] of bySpace(rows, ({ spaces }) => spaces))
      await this.store.delete(spaceNamed(name), { ids: some.map(idOf) }).catch(unlessGone);
    await this.embeddings.removed(rows);
    return rows.length;
  }

  /** Entries that are deleted go without a word. */
  private async findOrphans(): Promise<boolean> {
    return (await this.embeddings.letGoOrphans(ROWS)) === ROWS;
  }
}

const messageText = (row: Taken, said: Awaited<ReturnType<History['around']>>): string | null => {
  const found = said.find(({ session_key, seq }) => session_key === row.place_key && seq === row.item);
  return found && found.redacted_at === null ? textOfMessage(found) : null;
};

const entryText = (row: Taken, kept: Awaited<ReturnType<Facts['byKeys']>>): string | null => {
  const found = kept.find(({ key, version }) => key === row.item && version === row.version);
  return found ? textOfEntry(found) : null;
};

async function partOf(text: string, part: number): Promise<string | null> {
  let n = 0;
  for (const made of partsOf(text)) {
    if (n++ === part) return made.text;
    await setImmediate(); // a long text takes a while: others have their turn
  }
  return null;
}

const isFinal = (error: unknown) =>
  error instanceof DomainError && (error.kind === 'too-large' || error.kind === 'invalid');

/** Nothing is left to remove. */
function unlessGone(error: unknown): void {
  if (!isNoSpace(error)) throw error;
}
