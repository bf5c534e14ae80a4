import { DomainError } from '../../src/common/errors.js';
import { checkTransition, eventOf, STATUSES, type Status } from '../../src/sessions/lifecycle.js';

/** The table of the contract; what was archived or deleted goes back by `/restore`, which asks nobody. */
const ALLOWED: Record<Status, readonly Status[]> = {
  active: ['paused', 'completed', 'crashed', 'archived', 'deleted'],
  paused: ['active', 'completed', 'crashed', 'archived', 'deleted'],
  completed: ['active', 'archived', 'deleted'],
  crashed: ['active', 'completed', 'archived', 'deleted'],
  archived: ['active', 'deleted'],
  deleted: [],
};

const CELLS = STATUSES.flatMap((from) => STATUSES.map((to) => [from, to] as const));

it('knows these statuses', () => {
  expect([...STATUSES].sort()).toEqual(Object.keys(ALLOWED).sort());
});

describe('a transition', () => {
  it.each(CELLS.filter(([from, to]) => ALLOWED[from].includes(to)))(
    'from %s to %s is allowed',
    (from, to) => {
      expect(() => checkTransition(from, to)).not.toThrow();
    },
  );

  it.each(CELLS.filter(([from, to]) => from !== to && !ALLOWED[from].includes(to)))(
    'from %s to %s is refused, naming what is allowed',
    (from, to) => {
      let error: unknown;
      try {
        checkTransition(from, to);
      } catch (thrown) {
        error = thrown;
      }
      expect(error).toBeInstanceOf(DomainError);
      const { kind, code, message, extra } = error as DomainError;
      expect([kind, code]).toEqual(['conflict', 'invalid_transition']);
      expect(extra?.allowed).toEqual(ALLOWED[from]);
      for (const word of [from, to, ...ALLOWED[from]]) expect(message).toContain(word);
      if (from === 'archived') expect(message).toContain('/restore');
    },
  );
});

describe('the event of a transition', () => {
  it.each([
    ['active', 'paused', 'session.paused'],
    ['active', 'completed', 'session.completed'],
    ['active', 'crashed', 'session.crashed'],
    ['active', 'archived', 'session.archived'],
    ['active', 'deleted', 'session.deleted'],
    ['paused', 'active', 'session.resumed'],
    ['paused', 'completed', 'session.completed'],
    ['completed', 'active', 'session.resumed'],
    ['crashed', 'active', 'session.recovered'],
    ['crashed', 'completed', 'session.completed'],
    ['archived', 'active', 'session.restored'],
    ['archived', 'paused', 'session.restored'],
    ['archived', 'completed', 'session.restored'],
    ['archived', 'crashed', 'session.restored'],
    ['archived', 'deleted', 'session.deleted'],
    ['deleted', 'active', 'session.restored'],
    ['deleted', 'crashed', 'session.restored'],
    ['deleted', 'archived', 'session.restored'],
  ] as const)('from %s to %s is %s', (from, to, event) => expect(eventOf(from, to)).toBe(event));
});
