import { isInteger, type PointId } from '../../point-id.js';

/** An id in a form whose bytes sort as ids do: integers by number, then UUIDs. */
export const toStored = (id: PointId): string => (isInteger(id) ? `0${id.padStart(20, '0')}` : `1${id}`);

export const fromStored = (stored: string): PointId =>
  stored.startsWith('1') ? stored.slice(1) : stored.slice(1).replace(/^0+(?=\d)/, '');
