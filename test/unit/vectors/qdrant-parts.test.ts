import fc from 'fast-check';
import { idBehind } from '../../../src/vectors/backends/qdrant/dedicated.js';
import { decode, encode, storedId } from '../../../src/vectors/backends/qdrant/exact-json.js';
import { orderKeys } from '../../../src/vectors/backends/qdrant/order.js';
import { justBeyond } from '../../../src/vectors/backends/qdrant/threshold.js';
import { unit } from '../../../src/vectors/backends/qdrant/unit.js';
import { comparePointIds } from '../../../src/vectors/point-id.js';

const MAX_U64 = 2n ** 64n - 1n;
const integer = fc.bigInt({ min: 0n, max: MAX_U64 }).map(String);
const near = fc.bigInt({ min: 2n ** 53n - 3n, max: 2n ** 53n + 3n }).map(String);
const uuid = fc.bigInt({ min: 0n, max: 2n ** 128n - 1n }).map((n) =>
  n
    .toString(16)
    .padStart(32, '0')
    .replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-'),
);
const anyId = fc.oneof(integer, near, fc.nat().map(String), uuid);
const DIGITS = '18446744073709551615';

describe('JSON with exact ids', () => {
  it('writes every id with all its digits', () => {
    fc.assert(
      fc.property(fc.oneof(integer, near), (id) =>
        expect(encode({ has_id: [storedId(id)] })).toBe(`{"has_id":[${id}]}`),
      ),
    );
    expect(encode([storedId('00000000-0000-0000-0000-000000000000')])).toBe(
      '["00000000-0000-0000-0000-000000000000"]',
    );
  });

  it('changes nothing else, whatever it looks like', () => {
    const texts = fc.oneof(
      fc.string(),
      fc.constantFrom(`"id":${DIGITS}`, `{"id": ${DIGITS}}`, `\\"id":${DIGITS},`, DIGITS),
    );
    fc.assert(
      fc.property(
        fc.dictionary(texts, fc.oneof(texts, fc.double({ noNaN: true, noDefaultInfinity: true }))),
        (payload) => {
          const text = JSON.stringify(payload);
          expect(encode(payload)).toBe(text);
          const answer = decode(`{"result":[{"id":${DIGITS},"payload":${text}}]}`);
          expect(answer).toEqual({ result: [{ id: DIGITS, payload: JSON.parse(text) }] });
        },
      ),
    );
  });

  it('reads ids of points as digits, and numbers of the payload as numbers', () => {
    const point = `{"id" : ${DIGITS} ,"payload":{"id":${DIGITS},"x":[{"id":9007199254740993}]}}`;
    const read = { id: DIGITS, payload: { id: Number(DIGITS), x: [{ id: 9007199254740992 }] } };
    expect(decode(`{"result":[${point},{"id":7}]}`)).toEqual({ result: [read, { id: 7 }] });
    expect(decode(`{"result":{"points":[${point}]}}`)).toEqual({ result: { points: [read] } });
  });

  it('takes megabytes', () => {
    const text = `"\\\\${'x\\"id\\":12345678901234567890,'.repeat(100_000)}"`;
    const answer = decode(`{"result":[{"id":${DIGITS},"payload":{"a":${text}}}]}`);
    expect(answer).toEqual({ result: [{ id: DIGITS, payload: { a: JSON.parse(text) } }] });
  });
});

describe('the order of ids', () => {
  it('is the order of their three numbers, which doubles hold', () => {
    fc.assert(
      fc.property(anyId, anyId, (a, b) => {
        const [left, right] = [a, b].map((id) => Object.values(orderKeys(id)));
        expect([...left!, ...right!].every(Number.isSafeInteger)).toBe(true);
        const at = left!.findIndex((value, i) => value !== right![i]);
        expect(Math.sign(at < 0 ? 0 : left![at]! - right![at]!)).toBe(Math.sign(comparePointIds(a, b)));
      }),
    );
  });

  it('has nothing between an id and the one behind it', () => {
    expect(idBehind('9007199254740992')).toBe('9007199254740993');
    expect(idBehind(String(MAX_U64))).toBe('00000000-0000-0000-0000-000000000000');
    expect(idBehind('00000000-0000-0000-ffff-ffffffffffff')).toBe('00000000-0000-0001-0000-000000000000');
    expect(idBehind('ffffffff-ffff-ffff-ffff-ffffffffffff')).toBeNull();
  });
});

test('a threshold lets through what is exactly at it, and nothing below', () => {
  const finite = fc.float({
    noNaN: true,
    noDefaultInfinity: true,
    min: Math.fround(-1e30),
    max: Math.fround(1e30),
  });
  fc.assert(
    fc.property(
      fc.oneof(fc.double({ min: -1e30, max: 1e30, noNaN: true }), finite),
      finite,
      (threshold, score) => {
        expect(score > justBeyond(threshold, 'dot')).toBe(score >= threshold);
        expect(score < justBeyond(threshold, 'euclid')).toBe(score <= threshold);
      },
    ),
  );
  for (const score of [0, 1, -1, 0.1]) {
    const at = Math.fround(score);
    expect(at > justBeyond(at, 'cosine')).toBe(true);
    expect(at < justBeyond(at, 'manhattan')).toBe(true);
  }
});

test('a vector gets length 1, be it ever so short or long', () => {
  for (const size of [1e-44, 1e-20, 1, 3e38]) {
    const [x, y] = unit([3 * (size / 5), -4 * (size / 5)]);
    expect([x, y]).toEqual([expect.closeTo(0.6, 6), expect.closeTo(-0.8, 6)]);
  }
});
