import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type Buckets, rateOf } from '../../src/limits/buckets.js';
import { eventually } from '../setup/eventually.js';

/** Opens buckets that fill at so many tokens a minute. */
export type OpenBuckets = (perMinute: number) => Promise<Buckets>;

let count = 0;
const fresh = () => `user:${++count} ünï:"*`;

/** What every store of buckets must do. Time is the real one: a bucket of few tokens fills slowly, one of many fast. */
export function bucketsSuite(open: OpenBuckets): void {
  const SLOW = 6;
  const FAST = 6_000;
  let slow: Buckets;
  let fast: Buckets;
  beforeAll(async () => {
    [slow, fast] = [await open(SLOW), await open(FAST)];
  });
  afterAll(() => {
    slow.close();
    fast.close();
  });

  /** Tokens that may have come in since then. */
  const filled = (begun: number, perMinute: number) =>
    Math.ceil(((performance.now() - begun) / 60_000) * perMinute);

  test('a bucket is full at first, and empty when as many are taken', async () => {
    const [name, begun] = [fresh(), performance.now()];
    const { step, whole } = rateOf(SLOW);
    const first = await slow.take(name);
    expect(first).toEqual({ isTaken: true, fullIn: step });
    let taken = 1;
    for (let i = 1; i < 20; i++) {
      const { isTaken, fullIn } = await slow.take(name);
      taken += Number(isTaken);
      expect(fullIn).toBeGreaterThan(0);
      expect(fullIn).toBeLessThanOrEqual(whole);
    }
    expect(taken).toBeGreaterThanOrEqual(SLOW);
    expect(taken).toBeLessThanOrEqual(SLOW + filled(begun, SLOW));
  });

  test('what is refused takes nothing', async () => {
    const name = fresh();
    for (let i = 0; i < SLOW; i++) await slow.take(name);
    let last = Number.POSITIVE_INFINITY;
    for (let i = 0; i < 20; i++) {
      const { isTaken, fullIn } = await slow.take(name);
      if (!isTaken) expect(fullIn).toBeLessThanOrEqual(last);
      last = isTaken ? Number.POSITIVE_INFINITY : fullIn;
    }
  });

  test('each name has its own', async () => {
    const [one, other] = [fresh(), fresh()];
    for (let i = 0; i < SLOW * 2; i++) await slow.take(one);
    expect((await slow.take(other)).isTaken).toBe(true);
    expect((await slow.take(`${one} `)).isTaken).toBe(true);
  });

  test('it fills again, evenly and no further than full', async () => {
    const name = fresh();
    const empty = async () => {
      const begun = performance.now();
      let taken = 0;
      while ((await fast.take(name)).isTaken) taken++;
      return { taken, mayBe: FAST + filled(begun, FAST) };
    };
    const first = await empty();
    expect(first.taken).toBeGreaterThanOrEqual(FAST);
    expect(first.taken).toBeLessThanOrEqual(first.mayBe);
    const again = await eventually(
      () => fast.take(name),
      ({ isTaken }) => isTaken,
    );
    expect(again.fullIn).toBeLessThanOrEqual(rateOf(FAST).whole);
  });

  test('many at once take no more than there are', async () => {
    const [name, begun] = [fresh(), performance.now()];
    const all = await Promise.all(Array.from({ length: 200 }, () => slow.take(name)));
    const taken = all.filter(({ isTaken }) => isTaken).length;
    expect(taken).toBeGreaterThanOrEqual(SLOW);
    expect(taken).toBeLessThanOrEqual(SLOW + filled(begun, SLOW));
  });

  describe.each([1, 7, 1_000_000])('of %i a minute', (perMinute) => {
    test('have that many', async () => {
      const { step, whole } = rateOf(perMinute);
      expect(whole / step).toBe(perMinute);
      const buckets = await open(perMinute);
      const [name, begun] = [fresh(), performance.now()];
      let taken = 0;
      for (let i = 0; i < 20; i++) taken += Number((await buckets.take(name)).isTaken);
      expect(taken).toBeGreaterThanOrEqual(Math.min(perMinute, 20));
      expect(taken).toBeLessThanOrEqual(Math.min(perMinute + filled(begun, perMinute), 20));
      buckets.close();
    });
  });
}
