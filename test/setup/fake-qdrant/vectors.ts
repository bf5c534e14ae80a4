/** Distances as Qdrant has them: 32-bit floats, cosine normalised when stored. */
export type Distance = 'Cosine' | 'Dot' | 'Euclid' | 'Manhattan';

export const prepare = (vector: number[], distance: Distance): Float32Array => {
  const stored = Float32Array.from(vector);
  if (distance !== 'Cosine') return stored;
  const squared = Math.fround(stored.reduce((sum, value) => sum + value * value, 0));
  const isAsItIs = squared < 1.1920929e-7 || Math.abs(squared - 1) <= 1e-6;
  return isAsItIs ? stored : stored.map((value) => value / Math.sqrt(squared));
};

export function scoreOf(a: Float32Array, b: Float32Array, distance: Distance): number {
  let sum = 0;
  a.forEach((value, at) => {
    const other = b[at]!;
    if (distance === 'Euclid') sum += (value - other) ** 2;
    else if (distance === 'Manhattan') sum += Math.abs(value - other);
    else sum += value * other;
  });
  return Math.fround(distance === 'Euclid' ? Math.sqrt(sum) : sum);
}

export const isLargerBetter = (distance: Distance) => distance === 'Cosine' || distance === 'Dot';

/** What is exactly at the threshold is out. */
export const passes = (score: number, threshold: number, distance: Distance) =>
  isLargerBetter(distance) ? score > Math.fround(threshold) : score < Math.fround(threshold);
