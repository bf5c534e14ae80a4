import { invalid } from '../common/errors.js';
import type { Range } from '../messages/message-copies.repository.js';
import type { PointId } from '../vectors/point-id.js';
import type { Part, PartInput } from './split.schemas.js';

/**
 * Parts with their ends: one that is not given is that of the session.
 * @throws DomainError `empty_part`, `missing_messages`
 */
export const partsOf = (parts: Part[], messageCount: number): PartInput[] =>
  parts.map(({ from_seq, to_seq, point_ids = [], ...told }, at) => {
    const pointer = `/parts/${at}`;
    if (from_seq === undefined && to_seq === undefined) {
      if (point_ids.length > 0) return { ...told, point_ids, from: 0, to: -1 };
      throw invalid([{ pointer, detail: 'has neither messages nor points' }], 'empty_part');
    }
    const [from, to] = [from_seq ?? 1, to_seq ?? messageCount];
    if (from <= to && to <= messageCount) return { ...told, point_ids, from, to };
    const detail = `asks for messages ${from} to ${to}; there are 1 to ${messageCount}`;
    throw invalid([{ pointer, detail }], 'missing_messages');
  });

/** The messages of a part, and which part. */
export interface Ranged extends Range {
  at: number;
}

/** Those that have messages, in order. */
export const rangesOf = (parts: PartInput[]): Ranged[] =>
  parts
    .map(({ from, to }, at) => ({ from, to, at }))
    .filter(({ from, to }) => from <= to)
    .sort((a, b) => a.from - b.from);

/** Two parts that have a message in common, by their places; null: there are none. */
export function overlapping(ranges: Ranged[]): [number, number] | null {
  for (let at = 1; at < ranges.length; at++) {
    const [before, next] = [ranges[at - 1]!, ranges[at]!];
    if (next.from <= before.to) return [Math.min(before.at, next.at), Math.max(before.at, next.at)];
  }
  return null;
}

/** The first point that is named twice, and where; null: none is. */
export function repeated(parts: PointId[][]): { part: number; id: PointId } | null {
  const seen = new Set<PointId>();
  for (const [part, ids] of parts.entries())
    for (const id of ids) {
      if (seen.has(id)) return { part, id };
      seen.add(id);
    }
  return null;
}
