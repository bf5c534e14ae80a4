import { DomainError } from '../common/errors.js';
import { decodeCursor, encodeCursor, isPair } from '../common/paging.js';

/** A place in the stream of all events. */
export type Position = [tx: number, position: number];

const STREAM = 'events';

export const isBefore = (a: Position, b: Position): boolean => a[0] < b[0] || (a[0] === b[0] && a[1] < b[1]);

export const positionText = (position: Position): string => encodeCursor(STREAM, position);

/** @throws DomainError `invalid_cursor` when it is of no stream, or of another */
export const positionIn = (text: string): Position => decodeCursor(text, STREAM, isPair);

/**
 * The seq of an event of a session; a position in another stream is not taken for one.
 * @throws DomainError `invalid_cursor`
 */
export function seqIn(text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw noSuchPlace('after is the seq of an event of this session.');
  return Number(text);
}

const noSuchPlace = (detail: string) => new DomainError('malformed', 'invalid_cursor', detail);

/** @throws DomainError `invalid_cursor` when nothing has been told at this place yet: who went on from there would miss what is told before it */
export function checkTold(isBeyond: boolean): void {
  if (isBeyond)
    throw noSuchPlace(
      'So far the stream has not come: this is of another one, or of before a backup was restored.',
    );
}

/** @throws DomainError `events_gone` when events behind this place have been removed for their age */
export function checkThere(isGone: boolean): void {
  if (isGone)
    throw new DomainError(
      'gone',
      'events_gone',
      'Events after this one are kept no longer: read what there is now, and go on from there.',
    );
}
