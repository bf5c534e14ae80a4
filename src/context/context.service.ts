import { Injectable } from '@nestjs/common';
import { verify } from '../access/verify.js';
import type { Caller } from '../common/caller.js';
import { forbidden } from '../common/errors.js';
import { jsonBytes } from '../common/json.js';
import { Facts } from '../memory/facts.js';
import type { MemoryRow } from '../memory/memory.view.js';
import { History } from '../messages/history.js';
import type { FoundMessage } from '../messages/message.view.js';
import type { MessageHit } from '../search/hits.js';
import { SearchService } from '../search/search.service.js';
import type { Context } from './context.js';
import type { AskContext } from './context.schemas.js';
import type { Material, Plan, Summary } from './material.js';
import { sumOf } from './size.js';
import { STRATEGIES } from './strategies.js';
import { type Header, SummariesRepository } from './summaries.repository.js';
import { wholeText } from './summary.js';
import { TokenCountsService } from './token-counts.service.js';
import { Window } from './window.js';

/** Bytes of messages and passages in one answer, whatever they count. */
const MOST_BYTES = 8 * 1024 * 1024;
const PASSAGES = 20;

/** Makes a window's worth out of a session: reads what can fit, and leaves the choice to the strategy. */
@Injectable()
export class ContextService {
  constructor(
    private readonly summaries: SummariesRepository,
    private readonly history: History,
    private readonly facts: Facts,
    private readonly search: SearchService,
    private readonly tokens: TokenCountsService,
  ) {}

  /** @throws DomainError `session_not_found`, `session_deleted`, `budget_too_small` */
  async assemble(id: string, asked: AskContext, caller: Caller): Promise<Context> {
    const session = verify(await this.summaries.find(id, caller.userId), 'read');
    const memory = await this.memoryFor(id, asked, caller);
    const passages = distinct(await this.passagesFor(id, asked, caller));
    const beside = {
      summary: await this.summaryOf(session),
      memory: await this.factsOf(memory),
      passages: await this.foundOf(passages, session.key),
    };
    const { plan, messages } = await this.choose(session, asked, beside);
    const shown = shownOf(plan, messages, passages);
    return {
      ...{ strategy: asked.strategy, plan, messages, summary: plan.summary, passages: shown },
      tokenCount: plan.tokenCount - sumOf(plan.passages).tokens + sumOf(shown.map(sizeOf)).tokens,
      memory: plan.memory.map(({ key }) => memory.find((row) => row.key === key)!),
    };
  }

  /** Reads further back until the strategy has all it can take; once more, if a message is redacted before it is read. */
  private async choose(
    { key, message_count: count }: Header,
    { strategy, max_tokens, reserve_tokens }: AskContext,
    beside: Pick<Material, 'summary' | 'memory' | 'passages'>,
  ): Promise<{ plan: Plan; messages: FoundMessage[] }> {
    const window = new Window(this.history, (...counted) => this.tokens.count(...counted), key, count);
    if (strategy === 'pinned') await window.addPinned();
    for (;;) {
      const plan = STRATEGIES[strategy]({
        ...{ count, from: window.from, rows: [...window.rows.values()] },
        ...{ budget: max_tokens - reserve_tokens, reserved: reserve_tokens, maxBytes: MOST_BYTES, ...beside },
      });
      if (plan.isOpen) {
        await window.widen();
        continue;
      }
      const messages = await this.read(key, plan.seqs);
      const gone = window.forget(messages);
      if (!gone) return { plan, messages };
    }
  }

  private async read(session: number, seqs: number[]): Promise<FoundMessage[]> {
    const messages: FoundMessage[] = [];
    while (messages.length < seqs.length) {
      const last = messages.at(-1)?.seq ?? 0;
      const page = await this.history.bySeq(
        session,
        seqs.filter((seq) => seq > last),
      );
      if (page.length === 0) break;
      messages.push(...page);
    }
    return messages;
  }

  private memoryFor(
    id: string,
    { strategy, include_memory }: AskContext,
    caller: Caller,
  ): Promise<MemoryRow[]> {
    const mayRead = caller.scopes.has('memory:read');
    if (include_memory && !mayRead) throw forbidden('The key lacks the scope memory:read.');
    const isIncluded = include_memory ?? (strategy === 'hierarchical' && mayRead);
    return isIncluded ? this.facts.mostImportant(id, caller.userId) : Promise.resolve([]);
  }

  private async passagesFor(
    id: string,
    { query, query_scope }: AskContext,
    caller: Caller,
  ): Promise<MessageHit[]> {
    if (query === undefined) return [];
    const session_id = query_scope === 'session' ? id : undefined;
    const asked = { query, session_id, mode: 'hybrid', limit: PASSAGES, neighbours: 0 } as const;
    return (await this.search.findMessages(asked, caller)).hits;
  }

  private async summaryOf({ to_seq, lines, written }: Header): Promise<Summary | null> {
    const text = wholeText(written, lines ?? []);
    if (text === '') return null;
    const [tokens] = await this.tokens.ofTexts([text]);
    return { text, from_seq: 1, to_seq: Math.max(to_seq!, written?.to_seq ?? 0), tokens: tokens! };
  }

  private async factsOf(memory: MemoryRow[]): Promise<Material['memory']> {
    const counts = await this.tokens.ofTexts(
      memory.map(({ name, content }) => `${name ?? ''}\n${content}`.trim()),
    );
    return memory.map(({ key, importance, updated_at }, index) => ({
      ...{ key, importance, updatedAt: updated_at, tokens: counts[index]! },
    }));
  }

  private async foundOf(passages: MessageHit[], session: number): Promise<Material['passages']> {
    const rows = passages.map(({ row }) => row);
    await this.tokens.complete(rows);
    return rows.map(({ session_key, seq, content, token_count }) => ({
      ...{ session: session_key, seq, isOwn: session_key === session, tokens: token_count! },
      bytes: jsonBytes(content),
    }));
  }
}

/** What a message says, whatever session it is in: forks say the same again. */
const saidBy = ({ role, content, tool_calls }: FoundMessage) => JSON.stringify([role, content, tool_calls]);

const distinct = (passages: MessageHit[]): MessageHit[] =>
  [...new Map(passages.toReversed().map((hit) => [saidBy(hit.row), hit])).values()].reverse();

/** The passages of a plan, but for those that repeat what its messages say. */
function shownOf(plan: Plan, messages: FoundMessage[], passages: MessageHit[]): MessageHit[] {
  if (plan.passages.length === 0) return [];
  const said = new Set(messages.map(saidBy));
  const taken = new Set(plan.passages.map(({ session, seq }) => `${session}/${seq}`));
  return passages.filter(({ row }) => taken.has(`${row.session_key}/${row.seq}`) && !said.has(saidBy(row)));
}

const sizeOf = ({ row }: MessageHit) => ({ tokens: row.token_count! });
