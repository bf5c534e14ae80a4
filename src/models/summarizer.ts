import { Inject, Injectable } from '@nestjs/common';
import type { Logger } from 'pino';
import { CONFIG, type Config } from '../config/config.js';
import { LOG } from '../http/log.js';
import { ModelServer } from './model-server.js';

const TIMEOUT_MS = 120_000;

/** Answers a question to a chat model, by the server that `SUMMARIZER_URL` names. */
@Injectable()
export class Summarizer {
  private readonly server: ModelServer | null;
  readonly model: string;

  constructor(@Inject(CONFIG) config: Config, @Inject(LOG) log: Logger) {
    this.model = config.SUMMARIZER_MODEL ?? '';
    this.server =
      config.SUMMARIZER_URL === undefined
        ? null
        : new ModelServer({
            name: 'summarizer',
            url: config.SUMMARIZER_URL,
            apiKey: config.SUMMARIZER_API_KEY,
            timeoutMs: TIMEOUT_MS,
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

  /** @throws DomainError `summarizer_unavailable`, `summarizer_refused` */
  ask(instruction: string, text: string): Promise<string> {
    const messages = [
      { role: 'system', content: instruction },
      { role: 'user', content: text },
    ];
    return this.server!.post('/chat/completions', { model: this.model, messages, temperature: 0 }, textIn);
  }
}

interface Completion {
  choices: { message: { content: string } }[];
}

/** Null for an answer without text. */
function textIn(answer: unknown): string | null {
  const content = (answer as Partial<Completion> | null)?.choices?.[0]?.message?.content;
  if (typeof content !== 'string') return null;
  return content.replaceAll('\0', '').toWellFormed().trim() || null;
}
