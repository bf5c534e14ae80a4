import { DomainError, invalid } from '../common/errors.js';
import type { Shape } from './vector-store.js';

/** Seconds after which trying again makes sense when the store does not say. */
const RETRY_AFTER = 1;
/** …and when somebody has to change the configuration first. */
const RECONFIGURED_AFTER = 60;

/** The space is not there, or no more. */
export const noSpace = () =>
  new DomainError('not-found', 'no_collection', 'The collection is not there (any more).');

/** Whether that is what an error says. */
export const isNoSpace = (error: unknown): boolean =>
  error instanceof DomainError && error.code === 'no_collection';

/** The space has another shape than was asked for. */
export const shapeMismatch = (shape: Shape, asked: Shape) =>
  new DomainError(
    'conflict',
    'shape_mismatch',
    `The collection has the vectors ${JSON.stringify(shape)}, asked for were ${JSON.stringify(asked)}.`,
    { extra: { shape, asked } },
  );

/** A point or a query vector that the space cannot hold. */
export const invalidPoint = (pointer: string, detail: string) =>
  invalid([{ pointer, detail }], 'invalid_point');

/** More than the store takes, at once or altogether. */
export const tooLarge = (detail: string) => new DomainError('too-large', 'vectors_too_large', detail);

/** Whether that is what an error says. */
export const isTooLarge = (error: unknown): boolean =>
  error instanceof DomainError && error.code === 'vectors_too_large';

/** Kept by a server that the configuration does not name (any more); until it does, nobody can say more. */
export function elsewhere(backend: string): never {
  throw new DomainError(
    'unavailable',
    'collection_elsewhere',
    `The collection is kept by ${backend}, and this process is configured without it: name its server again (${backend.toUpperCase()}_URL), as when the collection was made.`,
    { retryAfter: RECONFIGURED_AFTER },
  );
}

/** The store asks for patience. */
export const rateLimited = (retryAfter = RETRY_AFTER, cause?: unknown) =>
  new DomainError('unavailable', 'vectors_rate_limited', 'The vector store is busy; try again later.', {
    retryAfter,
    cause,
  });

/** The store does not answer; as far as is known nothing was done. */
export const storeUnavailable = (cause?: unknown) =>
  new DomainError('unavailable', 'vectors_unavailable', 'The vector store does not answer; try again.', {
    retryAfter: RETRY_AFTER,
    cause,
  });

/** The store did not answer in time, or the answer was cut: it may have been done. */
export const outcomeUnknown = (cause?: unknown) =>
  new DomainError(
    'unavailable',
    'vectors_outcome_unknown',
    'The vector store did not answer in time: it may have been done; the same again does no harm.',
    { retryAfter: RETRY_AFTER, cause },
  );
