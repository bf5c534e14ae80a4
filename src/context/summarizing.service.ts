import { setImmediate } from 'node:timers/promises';
import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import { CONFIG, type Config } from '../config/config.js';
import type { Changed } from '../derived/changed.js';
import { Derivations } from '../derived/derivations.js';
import { JobsService } from '../jobs/jobs.service.js';
import { History } from '../messages/history.js';
import { Summarizer } from '../models/summarizer.js';
import { textsOfContent } from '../search/source-text.js';
import { SessionsService } from '../sessions/sessions.service.js';
import { sentencesOf } from './sentences.js';
import { SummariesRepository } from './summaries.repository.js';
import type { StoredSummary } from './summary.entity.js';
import { extend, type Source, wholeText } from './summary.js';

/** Of one session at once: what is left is taken when more of it comes, or when it is derived anew. */
const BLOCKS = 20;

/** What has come to a session's messages. */
interface Touched {
  newest: number;
  redacted: Set<number>;
}

/** Sums sessions up as they grow, so many messages at a time, and takes out of the summary what is redacted. */
@Injectable()
export class SummarizingService implements OnModuleInit {
  constructor(
    private readonly derivations: Derivations,
    private readonly history: History,
    private readonly summaries: SummariesRepository,
    private readonly sessions: SessionsService,
    private readonly summarizer: Summarizer,
    private readonly jobs: JobsService,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  onModuleInit(): void {
    this.derivations.add((changed) => this.summarize(changed));
  }

  /** Lets all summaries be made anew, when everything is derived anew. */
  forget(): Promise<void> {
    return this.summaries.clear();
  }

  private async summarize({ messages }: Changed): Promise<void> {
    const touched = touchedBy(messages);
    const stored = await this.summaries.findAll([...touched.keys()]);
    const changed: StoredSummary[] = [];
    for (const [session_key, { newest, redacted }] of touched) {
      const summary = stored.find((one) => one.session_key === session_key) ?? noneYet(session_key);
      const lines = summary.lines.filter(({ seq }) => !redacted.has(seq));
      const extended = await this.extended({ ...summary, lines }, newest);
      const isDue = extended.to_seq > summary.to_seq || redacted.size > 0;
      if (isDue && this.isForModel(summary, newest)) await this.askModel(session_key);
      if (extended.to_seq > summary.to_seq || (redacted.size > 0 && summary.to_seq > 0))
        changed.push(extended);
    }
    // sessions are held from here to the end, which is near, and in the same order by everybody
    for (const summary of changed.sort((a, b) => a.session_key - b.session_key)) await this.store(summary);
  }

  private async extended(summary: StoredSummary, newest: number): Promise<StoredSummary> {
    const block = this.config.SUMMARIZE_AFTER_MESSAGES;
    let { to_seq, lines } = summary;
    for (let blocks = 0; newest - to_seq >= block && blocks < BLOCKS; blocks++) {
      const seqs = Array.from({ length: block }, (_, index) => to_seq + 1 + index);
      const rows = await this.history.bySeq(summary.session_key, seqs);
      if (rows.length === 0) break;
      const sources: Source[] = [];
      for (const { seq, role, content, redacted_at } of rows) {
        if (redacted_at !== null) continue;
        sources.push({ seq, role, sentences: sentencesOf(textsOfContent(content).join('\n')) });
        await setImmediate(); // others have their turn after each message
      }
      lines = extend(lines, sources);
      to_seq = rows.at(-1)!.seq;
    }
    return { ...summary, to_seq, lines };
  }

  private async store(summary: StoredSummary): Promise<void> {
    const { session_key, lines, written } = summary;
    const seqs = lines.map(({ seq }) => seq);
    if (await this.sessions.storeSummary(session_key, wholeText(written, lines), seqs, written))
      await this.summaries.save(summary);
  }

  /** Where a model is there, it sums up as soon as there is enough, or anew when what it has written is void; once for each block, however it ends. */
  private isForModel({ written, to_seq }: StoredSummary, newest: number): boolean {
    const open = Math.max(newest, to_seq) - (written?.to_seq ?? 0);
    return this.summarizer.isConfigured && open >= this.config.SUMMARIZE_AFTER_MESSAGES;
  }

  private async askModel(session: number): Promise<void> {
    await this.jobs.create({
      ...{ kind: 'summarize', userId: null, sessionIds: [], input: { session_key: session } },
      dedupKey: `summarize:${session}`,
    });
  }
}

const noneYet = (session_key: number): StoredSummary => ({
  session_key,
  to_seq: 0,
  lines: [],
  written: null,
});

function touchedBy(messages: Changed['messages']): Map<number, Touched> {
  const touched = new Map<number, Touched>();
  for (const { place_key, seq, is_redacted } of messages) {
    const session = touched.get(place_key) ?? { newest: 0, redacted: new Set() };
    session.newest = Math.max(session.newest, seq);
    if (is_redacted) session.redacted.add(seq);
    touched.set(place_key, session);
  }
  return touched;
}
