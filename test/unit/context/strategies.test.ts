import * as fc from 'fast-check';
import { DomainError } from '../../../src/common/errors.js';
import type { Row } from '../../../src/context/groups.js';
import type { Material, Plan, Why } from '../../../src/context/material.js';
import { STRATEGIES, type Strategy } from '../../../src/context/strategies.js';
import { materials, membersOf, pinsOf, windowOf } from './histories.js';

const names = Object.keys(STRATEGIES) as Strategy[];
const RUNS = 250;

const sum = (items: { tokens: number }[]) => items.reduce((total, { tokens }) => total + tokens, 0);
const bytesOf = (items: { bytes: number }[]) => items.reduce((total, { bytes }) => total + bytes, 0);
const rowsOf = ({ rows }: Material, { seqs }: Plan) => rows.filter(({ seq }) => seqs.includes(seq));
const seqsOf = ({ from_seq, to_seq }: { from_seq: number; to_seq: number }) =>
  Array.from({ length: to_seq - from_seq + 1 }, (_, index) => from_seq + index);
const reasonsOf = ({ dropped }: Plan) =>
  new Map<number, Why>(dropped.flatMap((run) => seqsOf(run).map((seq) => [seq, run.why] as const)));

/** The plan, or null when the pinned messages alone are too much. */
function planOf(name: Strategy, material: Material): Plan | null {
  try {
    return STRATEGIES[name](material);
  } catch (error) {
    if (
      name === 'pinned' &&
      error instanceof DomainError &&
      ['budget_too_small', 'pinned_too_large'].includes(error.code)
    )
      return null;
    throw error;
  }
}

describe.each(names)('%s, whatever the history', (name) => {
  const holds = (check: (plan: Plan, material: Material) => void) =>
    fc.assert(
      fc.property(materials, (material) => {
        const plan = planOf(name, material);
        if (plan) check(plan, material);
      }),
      { numRuns: RUNS },
    );

  test('fits the budget, and counts what it returns', () =>
    holds((plan, material) => {
      const { memory, passages, summary, tokenCount } = plan;
      const messages = rowsOf(material, plan);
      const all = [...messages, ...memory, ...passages, ...(summary ? [summary] : [])];
      expect(tokenCount).toBe(sum(all));
      expect(tokenCount).toBeLessThanOrEqual(Math.max(material.budget, 0));
      expect(bytesOf([...messages, ...passages])).toBeLessThanOrEqual(material.maxBytes);
      if (material.budget <= 0) expect(all).toEqual([]);
    }));

  test('messages are ascending and, with what is dropped, cover the session exactly', () =>
    holds(({ seqs, dropped }, { count }) => {
      expect(seqs).toEqual([...seqs].sort((a, b) => a - b));
      const covered = [...seqs, ...dropped.flatMap(seqsOf)].sort((a, b) => a - b);
      expect(covered).toEqual(seqsOf({ from_seq: 1, to_seq: count }));
      for (const [index, run] of dropped.entries()) {
        const next = dropped[index + 1];
        expect(run.from_seq).toBeLessThanOrEqual(run.to_seq);
        if (next) expect(next.from_seq).toBeGreaterThan(run.to_seq);
        if (next?.from_seq === run.to_seq + 1) expect(next.why).not.toBe(run.why);
      }
    }));

  test('a result never stands without its call, nor a call without all its results', () =>
    holds((plan, material) => {
      const taken = rowsOf(material, plan);
      const answered = new Set(taken.map(({ answers }) => answers && `${answers.seq}/${answers.id}`));
      for (const { seq, calls, answers, isRedacted } of taken) {
        expect(isRedacted).toBe(false);
        if (answers) expect(plan.seqs).toContain(answers.seq);
        for (const id of calls) expect(answered).toContain(`${seq}/${id}`);
      }
    }));

  test('the order in which rows and facts are read does not matter', () =>
    fc.assert(
      fc.property(materials, fc.infiniteStream(fc.nat()), (material, randoms) => {
        const shuffled = <T>(items: T[]) =>
          items
            .map((item) => ({ item, at: randoms.next().value }))
            .sort((a, b) => a.at - b.at)
            .map(({ item }) => item);
        const other = { ...material, rows: shuffled(material.rows), memory: shuffled(material.memory) };
        expect(planOf(name, other)).toEqual(planOf(name, material));
      }),
      { numRuns: RUNS },
    ));

  test('a window that is not open gives the plan of the whole', () =>
    fc.assert(
      fc.property(materials, (material) => {
        const whole = planOf(name, material);
        if (whole) expect(whole.isOpen).toBe(false);
        for (let from = 1; from <= material.count; from++) {
          const plan = planOf(name, windowOf(material, from));
          if (!plan?.isOpen) expect(plan).toEqual(whole);
        }
      }),
      { numRuns: 150 },
    ));

  test('a window is open only when all of it was walked through', () =>
    fc.assert(
      fc.property(materials, fc.integer({ min: 2, max: 40 }), (material, from) => {
        fc.pre(from <= material.count);
        const plan = planOf(name, windowOf(material, from));
        if (!plan?.isOpen) return;
        const reasons = reasonsOf(plan);
        const walked = [...reasons].filter(([seq]) => seq >= from).map(([, why]) => why);
        expect(walked.filter((why) => why === 'budget' || why === 'covered_by_summary')).toEqual([]);
      }),
      { numRuns: RUNS },
    ));

  test('every reason is true', () =>
    holds((plan, material) => {
      for (const [seq, why] of reasonsOf(plan)) {
        const group = membersOf(material.rows, material.rows[seq - 1]!);
        const isRedacted = group.some((row) => row.isRedacted);
        const isUnanswered = group.length <= group[0]!.calls.length;
        const isTooLarge = sum(group) > material.budget || bytesOf(group) > material.maxBytes;
        const { summary } = plan;
        const isCovered = summary !== null && summary.from_seq <= seq && seq <= summary.to_seq;
        if (why === 'redacted') expect(isRedacted).toBe(true);
        if (why === 'unanswered_call') expect([isRedacted, isUnanswered]).toEqual([false, true]);
        if (why === 'too_large') expect([isRedacted, isUnanswered, isTooLarge]).toEqual([false, false, true]);
        if (why === 'budget') expect(isCovered).toBe(false);
        if (why === 'covered_by_summary') expect(isCovered).toBe(true);
      }
    }));

  test('the walk ends at the newest group that does not fit, and not before', () =>
    holds((plan, material) => {
      if (material.budget <= 0) return;
      const { rows, budget, maxBytes, passages: found } = material;
      const reasons = reasonsOf(plan);
      const isPinned = (row: Row) => name === 'pinned' && pinsOf(rows).includes(row);
      const newestOf = (row: Row) => membersOf(rows, row).at(-1)!.seq;
      const beyond = rows.filter(({ seq }) => /budget|covered/.test(reasons.get(seq) ?? ''));
      if (beyond.length === 0) return;
      const end = Math.max(...beyond.map(newestOf));
      for (const row of rows.filter((other) => !isPinned(other) && !beyond.includes(other))) {
        expect(newestOf(row)).toBeGreaterThan(end);
      }
      const group = membersOf(rows, rows[end - 1]!);
      const kept = name === 'hierarchical' && found.length > 0 ? 0.25 : 0;
      const tokens = plan.tokenCount - sum(plan.passages) + Math.floor(budget * kept) + sum(group);
      const bytes = bytesOf(rowsOf(material, plan)) + Math.floor(maxBytes * kept) + bytesOf(group);
      expect(tokens > budget || bytes > maxBytes).toBe(true);
      expect(sum(group) <= budget && bytesOf(group) <= maxBytes).toBe(true);
    }));

  test('memory has at most a quarter, the most important first', () =>
    holds(({ memory }, { budget, memory: given }) => {
      expect(4 * sum(memory)).toBeLessThanOrEqual(Math.max(budget, 0));
      const ranks = memory.map(({ importance, updatedAt, key }) => [-importance, -updatedAt, key]);
      expect(ranks).toEqual([...ranks].sort((a, b) => a[0]! - b[0]! || a[1]! - b[1]! || a[2]! - b[2]!));
      expect(given).toEqual(expect.arrayContaining(memory));
      const [best] = [...given].sort((a, b) => b.importance - a.importance || +b.updatedAt - +a.updatedAt);
      const isFree = name === 'recent' || name === 'hierarchical';
      if (isFree && best && budget > 0 && 4 * best.tokens <= budget) expect(memory[0]).toEqual(best);
    }));

  test('passages repeat no message', () =>
    holds(({ passages, seqs }, material) => {
      const ids = passages.map(({ session, seq }) => `${session}/${seq}`);
      expect(new Set(ids).size).toBe(ids.length);
      for (const { isOwn, seq } of passages) if (isOwn) expect(seqs).not.toContain(seq);
      expect(material.passages).toEqual(expect.arrayContaining(passages));
      if (name !== 'hierarchical') expect(passages).toEqual([]);
    }));
});

describe('pinned, whatever the history', () => {
  test('what is pinned is there, or the budget is too small for it alone', () =>
    fc.assert(
      fc.property(materials, (material) => {
        const pins = pinsOf(material.rows);
        const kept = pins.filter(({ isRedacted }) => !isRedacted);
        const plan = planOf('pinned', material);
        const isTooMuch = sum(kept) > material.budget || bytesOf(kept) > material.maxBytes;
        expect(plan === null).toBe(kept.length > 0 && (isTooMuch || material.budget <= 0));
        if (!plan) return;
        expect(plan.seqs).toEqual(expect.arrayContaining(kept.map(({ seq }) => seq)));
        const reasons = reasonsOf(plan);
        for (const { seq, isRedacted } of pins)
          expect(reasons.get(seq)).toBe(isRedacted ? 'redacted' : undefined);
      }),
      { numRuns: RUNS },
    ));
});

test.each(names)('%s without a limit takes everything that has no fault', (name) => {
  fc.assert(
    fc.property(materials, (material) => {
      const plan = planOf(name, { ...material, budget: 1e9, maxBytes: 1e9 })!;
      const reasons = plan.dropped.map(({ why }) => why);
      expect(reasons.filter((why) => why !== 'redacted' && why !== 'unanswered_call')).toEqual([]);
    }),
    { numRuns: RUNS },
  );
});

const row = (seq: number, role: Row['role'], more: Partial<Row> = {}): Row => ({
  seq,
  role,
  tokens: 10,
  bytes: 10,
  calls: [],
  answers: null,
  isRedacted: false,
  ...more,
});
const result = (seq: number, caller: number, id: string) =>
  row(seq, 'tool', { answers: { seq: caller, id } });

/** A session with a rule, a question, two parallel calls answered around another question, and an answer. */
const TALK: Row[] = [
  row(1, 'system'),
  row(2, 'user'),
  row(3, 'assistant', { calls: ['a', 'b'] }),
  result(4, 3, 'b'),
  row(5, 'user'),
  result(6, 3, 'a'),
  row(7, 'assistant'),
];
const NEW = { updatedAt: new Date('2026-02-01') };
const OLD = { updatedAt: new Date('2026-01-01') };
const summary = { text: 'It began.', from_seq: 1, to_seq: 4, tokens: 10 };
const run = (from_seq: number, to_seq: number, why: Why) => ({ from_seq, to_seq, why });

const material = (more: Partial<Material>): Material => ({
  count: (more.rows ?? TALK).length,
  from: 1,
  rows: TALK,
  budget: 1_000,
  reserved: 0,
  maxBytes: 1_000,
  summary: null,
  memory: [],
  passages: [],
  ...more,
});

describe('what is passed over', () => {
  const rows = (count: number, more: Partial<Row>) =>
    Array.from({ length: count }, (_, i) => ({ ...row(i + 2, 'assistant'), ...more }));
  const plan = (passed: Row[]) =>
    STRATEGIES.recent(material({ rows: [row(1, 'user'), ...passed], budget: 50, maxBytes: 1e9 }));

  it.each([
    ['too large', 99, { tokens: 51 }, [1]],
    ['too large', 100, { tokens: 51 }, []],
    ['redacted', 4_999, { isRedacted: true }, [1]],
    ['redacted', 5_000, { isRedacted: true }, []],
  ])('ends the walk: %s, %i of them', (_, count, more, seqs) => {
    expect(plan(rows(count, more)).seqs).toEqual(seqs);
  });
});

describe('recent', () => {
  const recent = (more: Partial<Material>) => STRATEGIES.recent(material(more));
  const changed = (seq: number, more: Partial<Row>) =>
    TALK.map((other) => (other.seq === seq ? { ...other, ...more } : other));

  it('takes all that fits', () => {
    expect(recent({})).toEqual({
      seqs: [1, 2, 3, 4, 5, 6, 7],
      dropped: [],
      summary: null,
      memory: [],
      passages: [],
      tokenCount: 70,
      isOpen: false,
    });
  });

  it.each<[string, Partial<Material>, number[], ReturnType<typeof run>[]]>([
    [
      'a call with its results, newer than what stands among them',
      { budget: 40 },
      [3, 4, 6, 7],
      [run(1, 2, 'budget'), run(5, 5, 'budget')],
    ],
    ['none of it when one result is too much', { budget: 39 }, [7], [run(1, 6, 'budget')]],
    ['exactly the budget', { budget: 50 }, [3, 4, 5, 6, 7], [run(1, 2, 'budget')]],
    [
      'no more bytes than allowed',
      { maxBytes: 49 },
      [3, 4, 6, 7],
      [run(1, 2, 'budget'), run(5, 5, 'budget')],
    ],
    [
      'what is older than one too large',
      { rows: changed(5, { tokens: 51 }), budget: 50 },
      [2, 3, 4, 6, 7],
      [run(1, 1, 'budget'), run(5, 5, 'too_large')],
    ],
    [
      'nothing of a group with a redacted part',
      { rows: changed(4, { isRedacted: true }) },
      [1, 2, 5, 7],
      [run(3, 4, 'redacted'), run(6, 6, 'redacted')],
    ],
    [
      'nothing of a call without all its results',
      { rows: changed(6, { role: 'user', answers: null }) },
      [1, 2, 5, 6, 7],
      [run(3, 4, 'unanswered_call')],
    ],
    [
      'no result that has no call',
      { rows: changed(6, { answers: null }) },
      [1, 2, 5, 7],
      [run(3, 4, 'unanswered_call'), run(6, 6, 'unanswered_call')],
    ],
    ['nothing for nothing', { budget: 0, rows: changed(7, { tokens: 0 }) }, [], [run(1, 7, 'budget')]],
    ['nothing of an empty session', { rows: [] }, [], []],
  ])('takes %s', (_, more, seqs, dropped) => expect(recent(more)).toMatchObject({ seqs, dropped }));

  it('knows the results of an id used again from those before', () => {
    const rows = [
      row(1, 'assistant', { calls: ['a'] }),
      result(2, 1, 'a'),
      row(3, 'assistant', { calls: ['a'] }),
      result(4, 3, 'a'),
    ];
    expect(recent({ rows, budget: 20 }).seqs).toEqual([3, 4]);
    expect(recent({ rows: rows.slice(0, 3), budget: 20 })).toMatchObject({
      seqs: [1, 2],
      dropped: [run(3, 3, 'unanswered_call')],
    });
  });

  it('asks for more when the window does not tell', () => {
    const rows = TALK.slice(5).concat(TALK[2]!, TALK[3]!);
    expect(recent({ rows, count: 7, from: 6, budget: 50 }).isOpen).toBe(true);
    expect(recent({ rows, count: 7, from: 6, budget: 39 })).toMatchObject({ isOpen: false, seqs: [7] });
  });

  it('gives memory a quarter at most: what matters first, then what is newer', () => {
    const memory = [
      { key: 1, tokens: 10, importance: 0.5, ...OLD },
      { key: 2, tokens: 10, importance: 0.5, ...NEW },
      { key: 3, tokens: 11, importance: 0.9, ...OLD },
      { key: 4, tokens: 10, importance: 1, ...OLD },
    ];
    const plan = recent({ memory, budget: 80 });
    expect(plan.memory.map(({ key }) => key)).toEqual([4, 2]);
    expect(plan).toMatchObject({ seqs: [2, 3, 4, 5, 6, 7], tokenCount: 80 });
  });
});

describe('pinned', () => {
  const pinned = (more: Partial<Material>) => STRATEGIES.pinned(material(more));

  it('takes the rules and the first question, then the newest', () => {
    expect(pinned({ budget: 30 })).toMatchObject({ seqs: [1, 2, 7], dropped: [run(3, 6, 'budget')] });
  });

  it('does not pin the second question in the place of a redacted first', () => {
    const rows = TALK.map((other) => (other.seq === 2 ? { ...other, isRedacted: true } : other));
    expect(pinned({ rows, budget: 35 })).toMatchObject({
      seqs: [1, 7],
      dropped: [run(2, 2, 'redacted'), run(3, 6, 'budget')],
    });
  });

  it('gives memory only what the pinned messages leave', () => {
    const memory = [{ key: 1, tokens: 6, importance: 1, ...NEW }];
    expect(pinned({ memory, budget: 25 }).memory).toEqual([]);
    expect(pinned({ memory, budget: 26 }).memory).toEqual(memory);
  });

  it.each([19, 1, 0, -5])('says how much it needs when %i is left', (budget) => {
    expect(() => pinned({ budget })).toThrow(
      expect.objectContaining({ kind: 'invalid', code: 'budget_too_small', extra: { least_tokens: 20 } }),
    );
  });

  it('answers with nothing when nothing is pinned', () => {
    expect(pinned({ rows: [row(1, 'assistant')], budget: 0 })).toMatchObject({ seqs: [], tokenCount: 0 });
  });
});

describe('summarize', () => {
  const summarize = (more: Partial<Material>) => STRATEGIES.summarize(material({ summary, ...more }));

  it('says what the summary tells of', () => {
    expect(summarize({ budget: 30 })).toMatchObject({
      summary,
      seqs: [7],
      dropped: [run(1, 4, 'covered_by_summary'), run(5, 6, 'budget')],
      tokenCount: 20,
    });
  });

  it('leaves a summary out that does not fit, and what it tells of is not covered', () => {
    expect(summarize({ budget: 9 })).toMatchObject({ summary: null, dropped: [run(1, 7, 'too_large')] });
    const long = { ...summary, tokens: 41 };
    expect(summarize({ summary: long, budget: 40 })).toMatchObject({
      summary: null,
      dropped: [run(1, 2, 'budget'), run(5, 5, 'budget')],
    });
  });

  it('does not say of a redacted message that it is covered', () => {
    const rows = TALK.map((other) => (other.seq === 2 ? { ...other, isRedacted: true } : other));
    expect(summarize({ rows }).dropped).toEqual([run(2, 2, 'redacted')]);
  });
});

describe('hierarchical', () => {
  const hierarchical = (more: Partial<Material>) => STRATEGIES.hierarchical(material(more));
  const passage = (session: number, seq: number, tokens = 10) => ({
    session,
    seq,
    isOwn: session === 1,
    tokens,
    bytes: tokens,
  });

  it('takes memory, the summary, the newest, and passages', () => {
    const memory = [{ key: 1, tokens: 10, importance: 0, ...NEW }];
    const passages = [passage(1, 7), passage(1, 2), passage(2, 7), passage(1, 2)];
    expect(hierarchical({ summary, memory, passages, budget: 50 })).toEqual({
      seqs: [7],
      dropped: [run(1, 4, 'covered_by_summary'), run(5, 6, 'budget')],
      summary,
      memory,
      passages: [passage(1, 2), passage(2, 7)],
      tokenCount: 50,
      isOpen: false,
    });
  });

  it('keeps a quarter free for passages, of the bytes too', () => {
    expect(hierarchical({ passages: [passage(2, 1)], budget: 50 }).seqs).toEqual([7]);
    expect(hierarchical({ passages: [passage(2, 1)], maxBytes: 50 }).seqs).toEqual([7]);
    expect(hierarchical({ budget: 50 }).seqs).toEqual([3, 4, 5, 6, 7]);
  });

  it('gives passages what the messages leave, and passes over one that does not fit', () => {
    const passages = [passage(2, 1, 41), passage(2, 2, 30), passage(2, 3, 10), passage(2, 4, 1)];
    const { passages: taken } = hierarchical({ passages, budget: 50 });
    expect(taken.map(({ seq }) => seq)).toEqual([2, 3]);
  });
});
