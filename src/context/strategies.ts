import { DomainError } from '../common/errors.js';
import { type Group, groupsOf } from './groups.js';
import type { Fact, Material, Plan, Summary } from './material.js';
import { planOf, wholeOf } from './plan.js';
import { fits, type Left, quarterOf, sumOf } from './size.js';
import { trimMemory } from './trim.js';

/** The ways to fill a context window. */
export const STRATEGIES = { recent, pinned, summarize, hierarchical } satisfies Record<
  string,
  (material: Material) => Plan
>;

export type Strategy = keyof typeof STRATEGIES;

/** The newest groups, until one does not fit. */
function recent(material: Material): Plan {
  return planOf(material, { memory: memoryOf(material) });
}

/**
 * What was said to hold for the whole session, then `recent`.
 * @throws DomainError `budget_too_small`, `pinned_too_large`
 */
function pinned(material: Material): Plan {
  const pins = pinsOf(material);
  const kept = pins.filter((group) => group.fault === null);
  const size = sumOf(kept);
  if (kept.length > 0 && !fits(size, wholeOf(material))) throw budgetTooSmall(size, material);
  return planOf(material, { pinned: pins, memory: memoryOf(material, size.tokens) });
}

/** The stored summary, then `recent`. */
function summarize(material: Material): Plan {
  const summary = summaryOf(material);
  return planOf(material, { summary, memory: memoryOf(material, summary?.tokens) });
}

/** Memory, the stored summary, `recent`, and passages, for which a quarter is kept free when there are any. */
function hierarchical(material: Material): Plan {
  const keptFree = material.passages.length > 0 ? quarterOf(wholeOf(material)) : undefined;
  const memory = memoryOf(material);
  const summary = summaryOf(material, sumOf(memory).tokens + (keptFree?.tokens ?? 0));
  return planOf(material, { memory, summary, keptFree });
}

/** At most a quarter of the budget, and no more than others leave. */
function memoryOf(material: Material, othersTokens = 0): Fact[] {
  const whole = wholeOf(material);
  const tokens = Math.min(quarterOf(whole).tokens, whole.tokens - othersTokens);
  return trimMemory(material.memory, tokens);
}

/** The stored summary, where others leave room for it. */
function summaryOf(material: Material, othersTokens = 0): Summary | null {
  const { summary } = material;
  return summary && summary.tokens <= wholeOf(material).tokens - othersTokens ? summary : null;
}

/** System and developer messages and the session's first user message. */
function pinsOf({ rows }: Material): Group[] {
  const groups = groupsOf(rows);
  const first = groups.findLast((group) => group.rows[0]!.role === 'user');
  const isPinned = (group: Group) => group === first || ['system', 'developer'].includes(group.rows[0]!.role);
  return groups.filter(isPinned);
}

function budgetTooSmall({ tokens, bytes }: Left, { budget, reserved, maxBytes }: Material): DomainError {
  if (bytes > maxBytes)
    return new DomainError(
      'too-large',
      'pinned_too_large',
      `The pinned messages have ${bytes} bytes; a context holds ${maxBytes}.`,
    );
  return new DomainError(
    'invalid',
    'budget_too_small',
    `The pinned messages count ${tokens} tokens; ${Math.max(budget, 0)} are left for them.`,
    { extra: { least_tokens: Math.max(tokens, 1) + reserved } },
  );
}
