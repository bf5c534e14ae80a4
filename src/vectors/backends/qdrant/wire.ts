import { tooLarge } from '../../errors.js';
import { decode, encode } from './exact-json.js';
import { RefusedError } from './failures.js';

export interface Address {
  url: string;
  apiKey?: string;
  /** what an answer may take */
  timeoutMs: number;
}

/**
 * The calls that carry ids of points. Qdrant's client rounds integers beyond 2^53 on Node 20, in requests and in
 * answers, and has no place where that could be mended; so these few calls go without it.
 */
export class Wire {
  constructor(private readonly address: Address) {}

  /**
   * @param mostBytes of an answer; a larger one is not read to its end
   * @throws DomainError `vectors_too_large`
   */
  async send<T>(
    method: 'PUT' | 'POST',
    path: string,
    body: unknown,
    mostBytes = Number.POSITIVE_INFINITY,
  ): Promise<T> {
    const { url, apiKey, timeoutMs } = this.address;
    const answer = await fetch(url + path, {
      method,
      headers: { 'content-type': 'application/json', ...(apiKey && { 'api-key': apiKey }) },
      body: typeof body === 'string' ? body : encode(body),
      signal: AbortSignal.timeout(timeoutMs),
    });
    return resultOf(answer, await textOf(answer, mostBytes)) as T;
  }
}

async function textOf({ body }: Response, mostBytes: number): Promise<string> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of body ?? []) {
    bytes += part.length;
    if (bytes > mostBytes) throw tooLarge('The answer of the vector store is too large.');
    parts.push(part);
  }
  return Buffer.concat(parts).toString();
}

/** An answer whose body is not Qdrant's is no answer: maybe something between us failed. */
function resultOf(answer: Response, text: string): unknown {
  const data = parsed(text);
  if (answer.status === 200 && data?.result !== undefined && data.result !== null) return data.result;
  throw new RefusedError(answer.status, data, answer.headers.get('retry-after'));
}

function parsed(text: string): { result?: unknown } | null {
  try {
    const data = decode(text);
    return typeof data === 'object' ? data : null;
  } catch {
    return null;
  }
}
