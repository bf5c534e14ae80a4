import {
  CHOSEN_ID,
  canonicalId,
  derivedId,
  isPrintableName,
  newId,
  RESERVED_IDS,
} from '../../src/common/ids.js';

describe('ids', () => {
  it.each(['a', '0', '.', '...', '-', 'A-Z_a.z:0@9+~', 'x'.repeat(255)])(
    'a client may choose %.30s',
    (id) => {
      expect(CHOSEN_ID.test(id)).toBe(true);
    },
  );

  it.each(['', ' ', 'a b', 'a/b', 'a\n', 'ä', 'a%', 'a?', 'a#', 'a&', 'a=', '🚀', 'x'.repeat(256)])(
    'a client may not choose %j',
    (id) => expect(CHOSEN_ID.test(id)).toBe(false),
  );

  it('that are routes are reserved', () => {
    expect([...RESERVED_IDS].sort()).toEqual(
      ['.', '..', 'stats', 'compare', 'merge', 'resume', 'import', 'cleanup', 'retention-policy'].sort(),
    );
  });

  it.each([
    ['A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'],
    ['a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'],
    ['FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF', 'ffffffff-ffff-ffff-ffff-ffffffffffff'],
    ['A0EEBC999C0B4EF8BB6D6BB9BD380A11', 'A0EEBC999C0B4EF8BB6D6BB9BD380A11'],
    ['A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A1', 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A1'],
    ['G0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11', 'G0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'],
    ['urn:uuid:A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11', 'urn:uuid:A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'],
    ['Session', 'Session'],
  ])('%s is canonically %s', (id, canonical) => expect(canonicalId(id)).toBe(canonical));

  it('made by the server are UUIDv7, sorted by time and never the same', () => {
    const made = Array.from({ length: 1000 }, newId);
    for (const id of made)
      expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    expect([...made].sort()).toEqual(made);
    expect(new Set(made).size).toBe(1000);
  });

  it('derived are the same for the same parts, and for no others', () => {
    expect(derivedId('a', 'b', 1)).toBe(derivedId('a', 'b', 1));
    expect(derivedId('a', 'b', 1)).toMatch(
      /^[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
    );
    const others = [
      ['a', 'b', '1'],
      ['ab', 1],
      ['a', 'b', 2],
      ['a', 'b1'],
      ['b', 'a', 1],
      ['a","b', 1],
      ['a', 'b', 1, ''],
    ];
    const made = [derivedId('a', 'b', 1), ...others.map((parts) => derivedId(...parts))];
    expect(new Set(made).size).toBe(made.length);
  });
});

describe('names of users, agents and clients', () => {
  it.each(['a', 'Ann Lee', 'ünï@例え.jp', 'a/b?c=%', '🚀', '0', "o'hara", 'x'.repeat(255), 'é'.repeat(255)])(
    'may be %.30s',
    (name) => expect(isPrintableName(name)).toBe(true),
  );

  it.each([
    '',
    ' ',
    ' a',
    'a ',
    'a\tb',
    'a\nb',
    '\0',
    'a\u200bb',
    '\u2028',
    '\u202e',
    '\ue000',
    '\ud800',
    'x'.repeat(256),
  ])('may not be %j', (name) => expect(isPrintableName(name)).toBe(false));

  it('are counted in characters', () => {
    expect(isPrintableName('🚀'.repeat(255))).toBe(true);
    expect(isPrintableName('🚀'.repeat(256))).toBe(false);
  });
});
