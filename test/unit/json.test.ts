import { DomainError } from '../../src/common/errors.js';
import {
  checkSize,
  escapePointer,
  firstFault,
  type Json,
  jsonBytes,
  MAX_DEPTH,
  mergePatch,
  parseJson,
} from '../../src/common/json.js';

const bytes = (text: string) => Buffer.from(text, 'utf8');

function refusal(work: () => unknown): DomainError {
  try {
    work();
  } catch (error) {
    if (error instanceof DomainError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

const nested = (levels: number) => '['.repeat(levels) + ']'.repeat(levels);

describe('parseJson', () => {
  it.each([
    'null',
    'true',
    '0',
    '-1.5e-7',
    '""',
    '[]',
    '{}',
    ' {"a": [1, {"b": "é🚀"}]} ',
    '"\\ud83d\\ude80"',
  ])('takes %s', (text) => {
    expect(parseJson(bytes(text))).toEqual(JSON.parse(text));
  });

  it.each(['', ' ', '{', '{a:1}', "{'a':1}", '[1,]', 'NaN', '01', '"\n"', 'undefined', '{}x'])(
    'finds %j malformed',
    (text) => {
      expect(refusal(() => parseJson(bytes(text)))).toMatchObject({
        kind: 'malformed',
        code: 'malformed_json',
      });
    },
  );

  it.each([[[0x22, 0xff, 0x22]], [[0x22, 0xc3, 0x22]], [[0x22, 0xed, 0xa0, 0x80, 0x22]]])(
    'finds what is not UTF-8 malformed: %j',
    (raw) => {
      expect(refusal(() => parseJson(Uint8Array.from(raw))).kind).toBe('malformed');
    },
  );

  it('tells nothing of a malformed body', () => {
    expect(refusal(() => parseJson(bytes('{"SECRET'))).message).not.toContain('SECRET');
  });

  it.each([
    ['{"a":"\\u0000"}', '/a'],
    ['{"a":["x","\\ud800"]}', '/a/1'],
    ['{"a":{"b/c~d":"\\udc00x"}}', '/a/b~1c~0d'],
    ['{"a\\u0000b":1}', '/a\\0b'],
    ['{"a":1e400}', '/a'],
    ['[-1e999]', '/0'],
    ['{"x":{"__proto__":{"admin":true}}}', '/x/__proto__'],
    ['"\\u0000"', ''],
    ['{"a":[1,9007199254740993]}', '/a/1'],
    ['{"a":9007199254740993}', '/a'],
    ['[-9007199254740993]', '/0'],
    ['[0.1234567890123456789,\n9007199254740993\n]', '/1'],
    ['["\\"9007199254740993", 9007199254740993 ]', '/1'],
    ['-12345678901234567890', ''],
    ['["\\"1\\\\",1152921504606846976]', '/1'],
  ])('finds the fault in %s at %j', (text, pointer) => {
    const error = refusal(() => parseJson(bytes(text)));
    expect(error).toMatchObject({ kind: 'invalid', code: 'invalid' });
    expect(error.errors).toEqual([{ pointer, detail: expect.any(String) }]);
  });

  it.each([
    '9007199254740991',
    '1763700000000000000',
    '["12345678901234567890", "\\\\\\"12345678901234567890"]',
    '{"12345678901234567890":1}',
    '0.12345678901234567890',
    '1234567890123456789e2',
    '1e-1234567890123456789',
  ])('takes what comes back as it was sent, or as near as a double is: %s', (text) => {
    expect(parseJson(bytes(text))).toEqual(JSON.parse(text));
  });

  it(`takes ${MAX_DEPTH} levels and no more`, () => {
    expect(MAX_DEPTH).toBe(64);
    parseJson(bytes(nested(64)));
    parseJson(bytes(`${'{"a":'.repeat(63)}[]${'}'.repeat(63)}`));
    expect(refusal(() => parseJson(bytes(nested(65)))).kind).toBe('invalid');
    expect(refusal(() => parseJson(bytes(nested(100_000)))).kind).toMatch(/invalid|malformed/);
  });
});

describe('firstFault', () => {
  it('find nothing in what can be stored', () => {
    for (const value of ['', 'é🚀\u0001', 0, true, null, undefined, [], { a: { '': ['x'] } }]) {
      expect(firstFault(value)).toBeNull();
    }
  });

  it('point to the first of several', () => {
    expect(firstFault({ ok: 1, 'a/b': ['\0'], b: '\0' })?.pointer).toBe('/a~1b/0');
  });

  it.each(['\0', 'a\0b', '\ud800', 'x\udfff', '\udc00\ud800'])('refuse %j', (text) => {
    expect(firstFault(text)).toEqual({ pointer: '', detail: expect.any(String) });
    expect(firstFault([text])).toEqual({ pointer: '/0', detail: expect.any(String) });
  });

  it('give a pointer that is itself storable', () => {
    for (const key of ['\0', '\ud800']) {
      const { pointer } = firstFault({ [key]: 1 })!;
      expect(pointer.isWellFormed() && !pointer.includes('\0')).toBe(true);
    }
  });
});

describe('escapePointer', () => {
  it.each([
    ['a/b', 'a~1b'],
    ['m~n', 'm~0n'],
    ['~1', '~01'],
    ['', ''],
    [' é', ' é'],
  ])('%j is %j', (key, escaped) => expect(escapePointer(key)).toBe(escaped));
});

describe('sizes', () => {
  it.each([
    ['', 2],
    ['é', 4],
    ['🚀', 6],
    ['"', 4],
    [null, 4],
    [{ a: [1] }, 9],
    [undefined, 0],
  ])('jsonBytes of %j is %i', (value, size) => expect(jsonBytes(value)).toBe(size));

  it('are checked to the byte', () => {
    checkSize('/x', 'a'.repeat(1022), 1);
    checkSize('/x', undefined, 0);
    checkSize('/x', null, 0);
    const error = refusal(() => checkSize('/x', 'a'.repeat(1023), 1));
    expect(error).toMatchObject({ kind: 'too-large', code: 'too_large' });
    expect(error.message).toMatch(/\/x.*1025.*1024/);
  });
});

describe('mergePatch', () => {
  /** RFC 7396, appendix A, in full. */
  const APPENDIX_A: [Json, Json, Json][] = [
    [{ a: 'b' }, { a: 'c' }, { a: 'c' }],
    [{ a: 'b' }, { b: 'c' }, { a: 'b', b: 'c' }],
    [{ a: 'b' }, { a: null }, {}],
    [{ a: 'b', b: 'c' }, { a: null }, { b: 'c' }],
    [{ a: ['b'] }, { a: 'c' }, { a: 'c' }],
    [{ a: 'c' }, { a: ['b'] }, { a: ['b'] }],
    [{ a: { b: 'c' } }, { a: { b: 'd', c: null } }, { a: { b: 'd' } }],
    [{ a: [{ b: 'c' }] }, { a: [1] }, { a: [1] }],
    [
      ['a', 'b'],
      ['c', 'd'],
      ['c', 'd'],
    ],
    [{ a: 'b' }, ['c'], ['c']],
    [{ a: 'foo' }, null, null],
    [{ a: 'foo' }, 'bar', 'bar'],
    [{ e: null }, { a: 1 }, { e: null, a: 1 }],
    [[1, 2], { a: 'b', c: null }, { a: 'b' }],
    [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
  ];

  it.each(APPENDIX_A)('%j with %j is %j', (target, patch, result) => {
    const before = JSON.stringify([target, patch]);
    expect(mergePatch(target, patch)).toEqual(result);
    expect(JSON.stringify([target, patch])).toBe(before);
  });

  it('treats names that objects have anyway as any other', () => {
    const patch = JSON.parse('{"constructor":{"a":1},"toString":{"b":null},"valueOf":null}');
    expect(mergePatch({}, patch)).toEqual(JSON.parse('{"constructor":{"a":1},"toString":{}}'));
  });

  it('merges into nothing', () => {
    expect(mergePatch(undefined, { a: { b: null, c: 1 } })).toEqual({ a: { c: 1 } });
  });
});
