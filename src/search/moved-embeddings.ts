import { Inject, Injectable } from '@nestjs/common';
import { isNoSpace } from '../vectors/errors.js';
import { DERIVED_STORE, type Found, type Space, type VectorStore } from '../vectors/vector-store.js';
import { bySpace, idOf } from './embedding-points.js';
import { EmbeddingSpaces, ownerIn, spaceNamed } from './embedding-spaces.js';
import { type Answered, EmbeddingsRepository, type Taken } from './embeddings.repository.js';

/** Embeddings of what another owner has now: they go from space to space, and no model is asked for them again. */
@Injectable()
export class MovedEmbeddings {
  constructor(
    private readonly embeddings: EmbeddingsRepository,
    private readonly spaces: EmbeddingSpaces,
    @Inject(DERIVED_STORE) private readonly store: VectorStore,
  ) {}

  /** Keeps, as if it were answered, what the space of the owner before has of these; answers those that are to be asked for. */
  async takeOver(rows: Taken[]): Promise<Taken[]> {
    const prefix = await this.spaces.ownPrefix();
    const isMoved = ({ owner, spaces }: Taken) =>
      spaces.length > 0 && spaces.at(-1)!.startsWith(prefix) && ownerIn(spaces.at(-1)!) !== owner;
    const answers: Answered[] = [];
    for (const [name, some] of bySpace(rows.filter(isMoved), ({ spaces }) => spaces.slice(-1)))
      answers.push(...(await this.found(spaceNamed(name), some)));
    if (answers.length === 0) return rows;
    await this.embeddings.answered(answers);
    const answered = new Set(answers.map(idOf));
    return rows.filter((row) => !answered.has(idOf(row)));
  }

  /** Removes what is stored for its new owner from where it was before. */
  async leave(home: Space, rows: Taken[]): Promise<void> {
    const isOthers = (name: string) => ownerIn(name) !== ownerIn(home.name);
    const left = bySpace(rows, ({ spaces }) => spaces.filter(isOthers));
    if (left.size === 0) return;
    for (const [name, some] of left)
      await this.store.delete(spaceNamed(name), { ids: some.map(idOf) }).catch(noneThere);
    await this.embeddings.left(rows, [...left.keys()]);
  }

  /** Of the same version: what has been written since is asked for. */
  private async found(from: Space, rows: Taken[]): Promise<Answered[]> {
    const what = { payload: true, vectors: true };
    const points: Found[] = await this.store.retrieve(from, rows.map(idOf), what).catch(noneThere);
    const byId = new Map(points.map((point) => [point.id, point]));
    const answers: Answered[] = [];
    for (const row of rows) {
      const point = byId.get(idOf(row));
      const vector = point?.payload?.version === row.version ? point.vectors?.[''] : undefined;
      if (vector) answers.push(await this.spaces.answered(row, vector));
    }
    return answers;
  }
}

function noneThere(error: unknown): [] {
  if (isNoSpace(error)) return [];
  throw error;
}
