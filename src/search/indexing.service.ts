import { setImmediate } from 'node:timers/promises';
import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import type { Logger } from 'pino';
import { StartupError } from '../common/startup-error.js';
import { CONFIG, type Config } from '../config/config.js';
import type { Changed, SourceEntry, SourceMessage } from '../derived/changed.js';
import { Derivations } from '../derived/derivations.js';
import { LOG } from '../http/log.js';
import { Embedder } from '../models/embedder.js';
import { EmbeddingsRepository } from './embeddings.repository.js';
import { textOfEntry, textOfMessage } from './source-text.js';
import { type TextRow, TextsRepository } from './texts.repository.js';
import { partsOf } from './words.js';

/** Characters of texts that are written at once. */
const BATCH = 256 * 1024;

/** Reads messages and memory for search, as soon as they have changed. */
@Injectable()
export class IndexingService implements OnModuleInit {
  constructor(
    private readonly derivations: Derivations,
    private readonly texts: TextsRepository,
    private readonly embeddings: EmbeddingsRepository,
    private readonly embedder: Embedder,
    @Inject(CONFIG) private readonly config: Config,
    @Inject(LOG) private readonly log: Logger,
  ) {}

  /** @throws StartupError when PostgreSQL does not know the language */
  async onModuleInit(): Promise<void> {
    const wanted = this.config.SEARCH_LANGUAGE;
    if (!(await this.texts.knowsLanguage(wanted)))
      throw new StartupError(
        `SEARCH_LANGUAGE=${wanted} is not accepted: give a text search configuration of PostgreSQL, such as simple or english`,
      );
    const language = await this.texts.language(wanted);
    if (language !== wanted)
      this.log.warn(`SEARCH_LANGUAGE=${wanted}, but texts are read as ${language}: run npm run reindex`);
    this.derivations.add((changed) => this.index(changed));
  }

  /** Reads everything anew, in the language of the configuration; within a transaction; meanwhile the old is found, as far as it was read in that language. */
  async reindex(): Promise<void> {
    await this.derivations.hold();
    await this.texts.setLanguage(this.config.SEARCH_LANGUAGE);
    await this.embeddings.forget();
    await this.derivations.deriveAll();
  }

  private async index({ messages, entries }: Changed): Promise<void> {
    if (messages.length > 0)
      await this.texts.deleteMessages(messages.map(({ place_key, seq: item }) => ({ place_key, item })));
    const said = await this.write(
      messages.filter(({ is_redacted }) => !is_redacted),
      (message) => ({ ...place(message), item: message.seq, text: textOfMessage(message) }),
      (rows) => this.texts.insertMessages(rows),
    );
    if (entries.length > 0) await this.texts.deleteEntries(entries.map(({ key }) => key));
    const kept = await this.write(
      entries,
      (entry) => ({ ...place(entry), item: entry.key, version: entry.version, text: textOfEntry(entry) }),
      (rows) => this.texts.insertEntries(rows),
    );
    // without an embedder what was embedded of these is to go, and nothing else
    const parts = this.embedder.isConfigured ? { said, kept } : { said: [], kept: [] };
    const message = ({ place_key, seq: item }: SourceMessage) => ({
      kind: 'message' as const,
      place_key,
      item,
    });
    const entry = ({ place_key, key: item }: SourceEntry) => ({ kind: 'entry' as const, place_key, item });
    await this.embeddings.note(
      [...messages.map(message), ...entries.map(entry)],
      [
        ...parts.said.map((part) => ({ kind: 'message' as const, ...part })),
        ...parts.kept.map((part) => ({ kind: 'entry' as const, ...part })),
      ],
    );
  }

  /** Answers what parts there are. Reading a long text takes a while: after each part others have their turn. */
  private async write<Source>(
    sources: Source[],
    rowOf: (source: Source) => Omit<TextRow, 'part'>,
    insert: (rows: TextRow[]) => Promise<void>,
  ): Promise<TextPart[]> {
    const parts: TextPart[] = [];
    let rows: TextRow[] = [];
    let size = 0;
    for (const source of sources) {
      const row = rowOf(source);
      let part = 0;
      for (const { words } of partsOf(row.text)) {
        const text = words.map(({ word }) => word).join(' ');
        const { text: _, ...rest } = row;
        parts.push({ version: 1, ...rest, part });
        rows.push({ ...row, part: part++, text });
        size += text.length;
        if (size > BATCH) {
          await insert(rows);
          rows = [];
          size = 0;
        }
        if (words.length > 100) await setImmediate();
      }
    }
    if (rows.length > 0) await insert(rows);
    return parts;
  }
}

type TextPart = Required<Omit<TextRow, 'text'>>;

const place = ({ place_key, owner }: { place_key: number; owner: string }) => ({ place_key, owner });
