import type { Fact, Passage } from './material.js';
import { type Left, takeFitting } from './size.js';

/** The facts that fit: important ones first, then newer ones. Their bytes are not counted. */
export function trimMemory(memory: Fact[], tokens: number): Fact[] {
  const byWorth = (a: Fact, b: Fact) =>
    b.importance - a.importance || b.updatedAt.getTime() - a.updatedAt.getTime() || a.key - b.key;
  return takeFitting([...memory].sort(byWorth), { tokens, bytes: Infinity });
}

/** The passages that fit, best first; none repeats a message of the context or another passage. */
export function trimPassages(passages: Passage[], seqs: number[], left: Left): Passage[] {
  const nameOf = ({ isOwn, session, seq }: Passage) => (isOwn ? `${seq}` : `${session}/${seq}`);
  const seen = new Set(seqs.map(String));
  const isNew = (name: string) => !seen.has(name) && seen.add(name);
  return takeFitting(
    passages.filter((passage) => isNew(nameOf(passage))),
    left,
  );
}
