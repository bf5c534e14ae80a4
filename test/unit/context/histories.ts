import * as fc from 'fast-check';
import type { Row } from '../../../src/context/groups.js';
import type { Fact, Material, Passage, Summary } from '../../../src/context/material.js';

/** few, so that an id is used again soon */
const CALL_IDS = ['a', 'b', 'c', 'd', 'e'];
const OWN_SESSION = 1;

const size = fc.oneof(
  { weight: 6, arbitrary: fc.integer({ min: 0, max: 20 }) },
  { weight: 1, arbitrary: fc.integer({ min: 0, max: 400 }) },
);
const action = fc.record({
  kind: fc.constantFrom('plain', 'plain', 'plain', 'calls', 'result', 'result'),
  role: fc.oneof(
    { weight: 6, arbitrary: fc.constantFrom('user' as const, 'assistant' as const) },
    { weight: 1, arbitrary: fc.constantFrom('system' as const, 'developer' as const) },
  ),
  ids: fc.uniqueArray(fc.constantFrom(...CALL_IDS), { minLength: 1, maxLength: 4 }),
  which: fc.nat(100),
  tokens: size,
  bytes: size,
  isRedacted: fc.integer({ min: 0, max: 9 }).map((n) => n === 0),
});
type Action = typeof action extends fc.Arbitrary<infer T> ? T : never;

/** Appended one after another, as the service does: a result belongs to the newest call with its id, once. */
function append(actions: Action[]): Row[] {
  const open = new Map<string, number>();
  return actions.map(({ kind, role, ids, which, ...rest }, index) => {
    const seq = index + 1;
    const plain = { seq, role, calls: [], answers: null, ...rest };
    if (kind === 'calls') {
      for (const id of ids) open.set(id, seq);
      return { ...plain, role: 'assistant', calls: ids };
    }
    if (kind === 'plain' || open.size === 0) return plain;
    const [id, caller] = [...open][which % open.size]!;
    open.delete(id);
    return { ...plain, role: 'tool', answers: { seq: caller, id } };
  });
}

export const histories = fc.array(action, { maxLength: 40, size: 'max' }).map(append);

export const memories: fc.Arbitrary<Fact[]> = fc
  .array(
    fc.record({
      tokens: size,
      importance: fc.constantFrom(0, 0.5, 1),
      updatedAt: fc.constantFrom(new Date(1_000), new Date(2_000)),
    }),
    { maxLength: 6 },
  )
  .map((facts) => facts.map((fact, index) => ({ ...fact, key: index + 1 })));

const passagesOf = (count: number): fc.Arbitrary<Passage[]> =>
  fc.array(
    fc
      .record({
        session: fc.constantFrom(OWN_SESSION, 2, 3),
        seq: fc.integer({ min: 1, max: Math.max(count, 1) }),
        tokens: size,
        bytes: size,
      })
      .map((passage) => ({ ...passage, isOwn: passage.session === OWN_SESSION })),
    { maxLength: 6 },
  );

const summaryOf = (count: number): fc.Arbitrary<Summary | null> =>
  fc.option(
    fc
      .record({ from_seq: fc.integer({ min: 1, max: count + 1 }), length: fc.nat(count), tokens: size })
      .map(({ from_seq, length, tokens }) => ({
        text: 'earlier',
        from_seq,
        to_seq: Math.min(from_seq + length, Math.max(count, from_seq)),
        tokens,
      })),
  );

/** All of a session's rows, with everything that any strategy could use. */
export const materials: fc.Arbitrary<Material> = histories.chain((rows) =>
  fc.record({
    count: fc.constant(rows.length),
    from: fc.constant(1),
    rows: fc.constant(rows),
    budget: fc.oneof(
      { weight: 1, arbitrary: fc.constantFrom(-7, 0, 1, 2, 3, 1_000_000) },
      { weight: 4, arbitrary: fc.integer({ min: 1, max: 400 }) },
    ),
    reserved: fc.constant(0),
    maxBytes: fc.oneof(
      { weight: 2, arbitrary: fc.constant(1_000_000) },
      { weight: 1, arbitrary: fc.integer({ min: 0, max: 400 }) },
    ),
    summary: summaryOf(rows.length),
    memory: memories,
    passages: passagesOf(rows.length),
  }),
);

/** The rows of a row's group, found the slow way. */
export const membersOf = (rows: Row[], row: Row): Row[] => {
  const caller = row.answers?.seq ?? row.seq;
  return rows.filter((other) => (other.answers?.seq ?? other.seq) === caller);
};

export const pinsOf = (rows: Row[]): Row[] => {
  const first = rows.find(({ role }) => role === 'user');
  return rows.filter((row) => row === first || row.role === 'system' || row.role === 'developer');
};

/** What the caller would have read: a window, what completes its groups, and what could be pinned. */
export function windowOf(material: Material, from: number): Material {
  const pins = pinsOf(material.rows);
  const isRead = (row: Row) =>
    pins.includes(row) || membersOf(material.rows, row).some((member) => member.seq >= from);
  return { ...material, from, rows: material.rows.filter(isRead) };
}
