import type { Distance } from '../../vector-store.js';

/**
 * Qdrant leaves out what is exactly at the threshold, the contract does not; so it is asked for the 32-bit float
 * that is next to it on the far side.
 */
export function justBeyond(threshold: number, distance: Distance): number {
  const isMoreNearer = distance === 'cosine' || distance === 'dot';
  const rounded = Math.fround(threshold);
  if (isMoreNearer ? rounded < threshold : rounded > threshold) return rounded;
  return next(rounded, isMoreNearer ? -1 : 1);
}

/** The bits of floats of one sign are in the order of their size. */
function next(value: number, direction: 1 | -1): number {
  if (value === 0) return direction * 2 ** -149;
  const view = new DataView(new ArrayBuffer(4));
  view.setFloat32(0, value);
  view.setInt32(0, view.getInt32(0) + (value > 0 ? direction : -direction));
  return view.getFloat32(0);
}
