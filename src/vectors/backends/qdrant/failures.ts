import { DomainError } from '../../../common/errors.js';
import {
  invalidPoint,
  noSpace,
  outcomeUnknown,
  rateLimited,
  storeUnavailable,
  tooLarge,
} from '../../errors.js';

/** An answer that is no success, or is none of Qdrant's. */
export class RefusedError extends Error {
  constructor(
    readonly status: number,
    readonly data: unknown,
    readonly retryAfter?: string | null,
  ) {
    super(`Qdrant answered ${status}: ${JSON.stringify(data)?.slice(0, 200)}`);
  }
}

/** A write that Qdrant has taken but not done. */
export class NotDoneError extends Error {}

/** Failures before anything was sent. */
const NEVER_SENT = /ECONNREFUSED|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH|UND_ERR_CONNECT_TIMEOUT/;
/** Somebody gave up waiting for an answer: Qdrant itself, or a gateway before it. */
const GAVE_UP_WAITING = new Set([408, 502, 504]);

/** What a failed call means in words of the contract. */
export function explain(error: unknown, isWrite: boolean): DomainError {
  if (error instanceof DomainError) return error;
  const retryAfter = retryAfterOf(error);
  if (retryAfter !== undefined) return rateLimited(Math.max(0, Math.ceil(retryAfter)), error);
  const status = statusOf(error);
  const said = saidBy(error);
  if (status === 413) return tooLarge('The vector store does not take so much at once.');
  if (status === 404 && said !== null) return noSpace();
  if ((status === 400 || status === 422) && said !== null) return invalidPoint('', said);
  const isKnown = status !== null && !GAVE_UP_WAITING.has(status);
  return isWrite && !isKnown && !wasNeverSent(error) ? outcomeUnknown(error) : storeUnavailable(error);
}

/** Waiting for an answer took all the time there is: no use in asking again. */
export const isTimeout = (error: unknown): boolean =>
  /^(TimeoutError|AbortError|QdrantClientTimeoutError)$/.test((error as Error).name);

const statusOf = (error: unknown): number | null => {
  const { status } = error as { status?: unknown };
  return typeof status === 'number' && status >= 300 ? status : null;
};

/** Qdrant's own words; null: somebody else answered. */
function saidBy(error: unknown): string | null {
  const { data } = error as { data?: { status?: { error?: unknown } } };
  return typeof data?.status?.error === 'string' ? data.status.error : null;
}

/** Seconds, of an answer 429. */
function retryAfterOf(error: unknown): number | undefined {
  const { retry_after, retryAfter } = error as { retry_after?: number; retryAfter?: string };
  if (retry_after === undefined && statusOf(error) !== 429) return undefined;
  const seconds = retry_after ?? Number(retryAfter ?? Number.NaN);
  if (Number.isFinite(seconds)) return seconds;
  const until = Date.parse(retryAfter ?? '') - Date.now();
  return Number.isFinite(until) ? until / 1000 : 1;
}

function wasNeverSent(error: unknown): boolean {
  const { cause } = error as { cause?: { code?: string; errors?: { code?: string }[] } };
  return [cause?.code, ...(cause?.errors ?? []).map(({ code }) => code)].some((code) =>
    NEVER_SENT.test(code ?? ''),
  );
}
