import type { Hit } from './search.repository.js';

/** Evens out how much the first of a list goes before the next (reciprocal rank fusion). */
const DAMPING = 60;

/** Two lists of hits as one, by the places each hit has in them; the best there can be scores 1. */
export function fuse(byWords: Hit[], byMeaning: Hit[], limit: number): Hit[] {
  const fused = new Map<string, Hit>();
  for (const list of [byWords, byMeaning]) {
    for (const [index, hit] of list.entries()) {
      const score = (DAMPING + 1) / (DAMPING + index + 1) / 2;
      const other = fused.get(keyOf(hit));
      if (other) other.score += score;
      else fused.set(keyOf(hit), { ...hit, score });
    }
  }
  return [...fused.values()].sort((a, b) => b.score - a.score).slice(0, limit);
}

const keyOf = ({ place_key, item }: Hit) => `${place_key}/${item}`;
