import { createHash } from 'node:crypto';
import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import type { Logger } from 'pino';
import { LOG } from '../http/log.js';
import { Sweeps } from '../jobs/sweeps.js';
import { Embedder } from '../models/embedder.js';
import { InstallationId } from '../vectors/installation.js';
import { DERIVED_STORE, type Space, type VectorStore } from '../vectors/vector-store.js';
import { type Answered, EmbeddingsRepository, type Wanted } from './embeddings.repository.js';

/** When spaces of other models are looked for, and names that are looked up at once. */
const [HOURLY, NAMES] = ['27 * * * *', 500];

/** Where embeddings are: in a space for every owner, model and size, since only vectors of the same of these can be compared. */
@Injectable()
export class EmbeddingSpaces implements OnModuleInit {
  /** of the vectors that the model answers; null: it has not been asked yet */
  private size: number | null = null;

  constructor(
    private readonly embeddings: EmbeddingsRepository,
    private readonly embedder: Embedder,
    private readonly installation: InstallationId,
    private readonly sweeps: Sweeps,
    @Inject(DERIVED_STORE) private readonly store: VectorStore,
    @Inject(LOG) private readonly log: Logger,
  ) {}

  onModuleInit(): void {
    if (!this.embedder.isConfigured) return;
    this.sweeps.schedule('embeddings of other models', HOURLY, () => this.dropOthers());
  }

  /** Where the texts of an owner belong whose vectors have this size. */
  async of(owner: string, size: number): Promise<Space> {
    this.size = size;
    return spaceNamed(`${await this.ownPrefix()}${size}_${owner}`);
  }

  /** A part with its vector, and where that belongs. */
  async answered(part: Wanted, vector: number[]): Promise<Answered> {
    const hex = Buffer.from(Float32Array.from(vector).buffer).toString('hex');
    return { ...part, hex, space: (await this.of(part.owner, vector.length)).name };
  }

  /** What the model of this process uses is left alone, so that as long as the model stays there is nothing to look up. */
  private async dropOthers(): Promise<boolean> {
    const own = `${await this.ownPrefix()}${this.size === null ? '' : `${this.size}_`}`;
    let names: string[] = [];
    for await (const name of this.store.list(await this.prefix())) {
      if (name.startsWith(own) || names.push(name) < NAMES) continue;
      await this.dropUnheld(names);
      names = [];
    }
    await this.dropUnheld(names);
    return false;
  }

  /**
   * Drops those in which no text belongs any more. Another process, not yet restarted or configured otherwise, may put one there
   * at the same moment, and what it has stored may go with the space. It writes the space's name into the row of the text before
   * it touches the space; so the rows are read again after the drop, and whatever of them belongs there is asked for anew. What it
   * stores later finds no space, and makes it. (A process killed between the two leaves such a text out of the old model's reach until
   * `npm run reindex`.)
   */
  private async dropUnheld(names: string[]): Promise<void> {
    const unheld = names.length > 0 ? await this.embeddings.unheld(names) : [];
    if (unheld.length === 0) return;
    this.log.info({ spaces: unheld.length }, 'dropping spaces of embeddings in which no text belongs');
    try {
      for (const name of unheld) await this.store.drop(name);
    } finally {
      await this.embeddings.askAgain(unheld);
    }
  }

  /** Drops those of an owner, of whatever model, in which no text belongs. */
  async dropOf(owner: string): Promise<void> {
    const names: string[] = [];
    for await (const name of this.store.list(await this.prefix()))
      if (name.endsWith(`_${owner}`)) names.push(name);
    await this.dropUnheld(names);
  }

  /** What every name begins with. */
  private async prefix(): Promise<string> {
    return `${await this.installation.get()}e_`;
  }

  /** …of those of the model of this process. */
  async ownPrefix(): Promise<string> {
    const model = createHash('sha256').update(this.embedder.model).digest('hex').slice(0, 8);
    return `${await this.prefix()}${model}-`;
  }
}

/** Whose texts a space holds. */
export const ownerIn = (name: string): string => name.slice(name.lastIndexOf('_') + 1);

/** A space by its name, which tells the size of its vectors. */
export const spaceNamed = (name: string): Space => ({
  name,
  shape: { '': { size: Number(/-(\d+)_/.exec(name)?.[1]), distance: 'cosine' } },
});
