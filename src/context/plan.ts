import { droppedOf } from './dropped.js';
import { type Group, groupsOf } from './groups.js';
import type { Fact, Material, Plan, Summary, Why } from './material.js';
import { fits, type Left, sumOf, without } from './size.js';
import { trimPassages } from './trim.js';

/** What a strategy sets before the newest messages. */
export interface First {
  pinned?: Group[];
  memory?: Fact[];
  summary?: Summary | null;
  /** kept for passages; without it there are none */
  keptFree?: Left;
}

interface Passed {
  group: Group;
  why: Why;
}

interface Walk {
  taken: Group[];
  passed: Passed[];
  /** no group was met that does not fit */
  isOpen: boolean;
}

/** So many groups are passed over: then the walk ends as if the next did not fit, or a small budget would read all there is. */
const MOST_PASSED = { too_large: 100, fault: 5_000 };

const NOTHING: Left = { tokens: 0, bytes: 0 };

/** All there is to give out. Into a budget of nothing nothing fits, not even what counts as nothing. */
export const wholeOf = ({ budget, maxBytes }: Material): Left => ({
  tokens: budget > 0 ? budget : -1,
  bytes: maxBytes,
});

/** The plan that holds what comes first, then the newest groups that fit, then passages in what is left. */
export function planOf(material: Material, first: First): Plan {
  const { pinned = [], memory = [], summary = null, keptFree = NOTHING } = first;
  const whole = wholeOf(material);
  const pins = pinned.filter((group) => group.fault === null);
  const told = sumOf(memory).tokens + (summary?.tokens ?? 0);
  const left = without(whole, [...pins, { tokens: told }]);
  const walked = walk(walkOf(material, pinned), without(left, [keptFree]), whole);
  const groups = [...pins, ...walked.taken];
  const seqs = seqsOf(groups).sort((a, b) => a - b);
  const found = first.keptFree ? material.passages : [];
  const passages = trimPassages(found, seqs, without(left, walked.taken));
  const passed = [...pinned.flatMap(faultOf), ...walked.passed];
  return {
    seqs,
    dropped: droppedOf(material.count, knownOf(groups, passed), summary),
    summary,
    memory,
    passages,
    tokenCount: told + sumOf([...groups, ...passages]).tokens,
    isOpen: walked.isOpen && material.from > 1,
  };
}

/** The groups of the window, newest first, but for those that are pinned. */
function walkOf({ rows, from }: Material, pinned: Group[]): Group[] {
  const skipped = new Set(pinned.map((group) => group.newest));
  return groupsOf(rows).filter(({ newest }) => newest >= from && !skipped.has(newest));
}

/** Takes groups until one does not fit, passing over those that no budget left could make fit. */
function walk(groups: Group[], free: Left, whole: Left): Walk {
  const taken: Group[] = [];
  const passed: Passed[] = [];
  let left = free;
  let tooLarge = 0;
  if (whole.tokens <= 0) return { taken, passed, isOpen: false };
  for (const group of groups) {
    const why = group.fault ?? (fits(group, whole) ? null : 'too_large');
    if (why) {
      passed.push({ group, why });
      if (why === 'too_large') tooLarge++;
      const isEnough = tooLarge === MOST_PASSED.too_large || passed.length === MOST_PASSED.fault;
      if (isEnough) return { taken, passed, isOpen: false };
    } else if (fits(group, left)) {
      taken.push(group);
      left = without(left, [group]);
    } else {
      return { taken, passed, isOpen: false };
    }
  }
  return { taken, passed, isOpen: true };
}

const seqsOf = (groups: Group[]) => groups.flatMap(({ rows }) => rows.map(({ seq }) => seq));

const faultOf = (group: Group): Passed[] => (group.fault ? [{ group, why: group.fault }] : []);

const knownOf = (taken: Group[], passed: Passed[]) =>
  new Map<number, Why | null>([
    ...seqsOf(taken).map((seq) => [seq, null] as const),
    ...passed.flatMap(({ group, why }) => seqsOf([group]).map((seq) => [seq, why] as const)),
  ]);
