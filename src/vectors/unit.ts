/** How far the squared length of a vector that is stored as 32-bit floats may be from 1. */
const TOLERANCE = 1e-6;

/**
 * Whether a vector has length 1 as far as 32-bit floats can say. Such a one is stored as it is (Qdrant does the same),
 * so that what was read from one store comes back from another bit for bit.
 */
export const isUnit = (vector: number[]): boolean =>
  Math.abs(vector.reduce((sum, value) => sum + value * value, 0) - 1) <= TOLERANCE;
