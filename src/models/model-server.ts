import type { Logger } from 'pino';
import { DomainError } from '../common/errors.js';

export interface ModelServerOptions {
  /** `embeddings` or `summarizer`: begins the codes of its errors */
  name: string;
  /** OpenAI-compatible base, such as `https://models.example/v1` */
  url: string;
  apiKey?: string | undefined;
  timeoutMs: number;
  log: Logger;
}

/** Waiting between tries grows from the one to the other. */
const [FIRST_PAUSE, LONGEST_PAUSE] = [1_000, 60_000];
/** Refusals that say something about us, not about what was sent. */
const OURS = new Set([401, 402, 403, 404, 405, 407, 408, 425, 429]);
/** …and what a server answers that wants another key. */
const NOT_KNOWN = new Set([401, 403]);
/** Whoever asks whether it is there waits for no more than this. */
const GREETING_MS = 2_000;

/**
 * A server of models that speaks OpenAI's protocol. When it does not answer, or answers what it should not, it is left in
 * peace for a while, the longer the more often that happens in a row.
 */
export class ModelServer {
  private failures = 0;
  private quietUntil = 0;

  constructor(private readonly options: ModelServerOptions) {}

  /** Milliseconds that it is to be left in peace. */
  get pauseMs(): number {
    return Math.max(0, this.quietUntil - Date.now());
  }

  /**
   * Posts JSON and reads what `read` makes of the answer; null from it: that is no answer.
   * @throws DomainError `…_unavailable` (try again later), `…_refused` (not with this input)
   */
  async post<T>(
    path: string,
    body: unknown,
    read: (answer: unknown) => T | null,
    timeoutMs = this.options.timeoutMs,
  ): Promise<T> {
    if (this.pauseMs > 0) throw this.unavailable(this.pauseMs);
    const answer = await this.exchange(path, body, timeoutMs).catch((error: unknown) => {
      throw this.failed(error);
    });
    if (answer.status >= 400 && answer.status < 500 && !OURS.has(answer.status))
      throw this.refused(answer.status);
    const value = answer.status === 200 ? read(answer.json) : null;
    if (value === null) throw this.failed(new Error(`answered ${answer.status}`), answer.retryAfterMs);
    this.failures = 0;
    return value;
  }

  /**
   * Asks whether it is there and knows our key, by a call that costs nothing; not every server has it, so most refusals will
   * do. Whether it is left in peace stays as it is.
   * @throws Error that says to operators what is the matter
   */
  async greet(): Promise<void> {
    const response = await this.send('/models', GREETING_MS).catch((error: unknown) => {
      throw new Error(unreachable(error), { cause: error });
    });
    await response.body?.cancel().catch(() => undefined);
    if (NOT_KNOWN.has(response.status)) throw new Error(`it refuses the key (${response.status})`);
    if (response.status >= 500) throw new Error(`it answers ${response.status}`);
  }

  /** With a body it is posted. */
  private send(path: string, timeoutMs: number, body?: unknown): Promise<Response> {
    const { url, apiKey } = this.options;
    return fetch(`${url.replace(/\/+$/, '')}${path}`, {
      method: body === undefined ? 'GET' : 'POST',
      headers: {
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...(apiKey !== undefined && { authorization: `Bearer ${apiKey}` }),
      },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(timeoutMs),
    });
  }

  private async exchange(path: string, body: unknown, timeoutMs: number) {
    const response = await this.send(path, timeoutMs, body);
    const seconds = Number(response.headers.get('retry-after') ?? Number.NaN);
    const text = await response.text();
    return { status: response.status, json: parsed(text), retryAfterMs: seconds * 1000 };
  }

  private failed(cause: unknown, retryAfterMs = Number.NaN): DomainError {
    const pause = Math.min(FIRST_PAUSE * 2 ** this.failures++, LONGEST_PAUSE) * (0.75 + Math.random() / 2);
    const wait = Math.min(
      Number.isFinite(retryAfterMs) ? Math.max(retryAfterMs, pause) : pause,
      LONGEST_PAUSE,
    );
    this.quietUntil = Date.now() + wait;
    this.options.log.warn(
      { err: cause, server: this.options.name, waitMs: Math.round(wait) },
      'a model server fails',
    );
    return this.unavailable(wait, cause);
  }

  private unavailable(waitMs: number, cause?: unknown): DomainError {
    const { name } = this.options;
    return new DomainError(
      'unavailable',
      `${name}_unavailable`,
      `The ${name} server does not answer; try again.`,
      {
        retryAfter: Math.max(1, Math.ceil(waitMs / 1000)),
        cause,
      },
    );
  }

  private refused(status: number): DomainError {
    const { name } = this.options;
    this.failures = 0;
    return new DomainError(
      'invalid',
      `${name}_refused`,
      `The ${name} server refuses this input (${status}).`,
    );
  }
}

function unreachable(error: unknown): string {
  if ((error as Error).name === 'TimeoutError') return `it does not answer within ${GREETING_MS / 1000} s`;
  const { code } = ((error as Error).cause ?? {}) as { code?: string };
  return `it cannot be reached${code ? ` (${code})` : ''}`;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
