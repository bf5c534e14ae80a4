import type { Point, Space, VectorStore } from '../../src/vectors/vector-store.js';
import { FakeQdrant } from '../setup/fake-qdrant/fake-qdrant.js';
import type { How } from '../setup/fake-qdrant/faults.js';
import { allIds, allNames, installation, LAYOUTS, point, storeAt } from '../setup/qdrant.js';

const PLAIN = { payload: true, vectors: false };
const HTML = '<html><body>Welcome to the gateway</body></html>';
const DONE = 'done';
const REFUSED = 'vectors_unavailable';
const UNKNOWN = 'vectors_outcome_unknown';
const BUSY = 'vectors_rate_limited';

type Work = (store: VectorStore, space: Space) => Promise<unknown>;

/** Everything that can be asked, and whether it writes. */
const OPERATIONS: { name: string; isWrite: boolean; work: Work }[] = [
  {
    name: 'ensure',
    isWrite: true,
    work: (store, space) => store.ensure({ ...space, name: `${space.name}-new` }),
  },
  { name: 'drop', isWrite: true, work: (store, space) => store.drop(space.name) },
  { name: 'upsert', isWrite: true, work: (store, space) => store.upsert(space, [point(1), point(9)]) },
  { name: 'delete', isWrite: true, work: (store, space) => store.delete(space, { ids: ['2'] }) },
  { name: 'describe', isWrite: false, work: (store, space) => store.describe(space) },
  { name: 'list', isWrite: false, work: (store, space) => allNames(store, space.name) },
  { name: 'retrieve', isWrite: false, work: (store, space) => store.retrieve(space, ['1'], PLAIN) },
  { name: 'scan', isWrite: false, work: (store, space) => store.scan(space, { limit: 2, ...PLAIN }) },
  {
    name: 'query',
    isWrite: false,
    work: (store, space) => store.query(space, { vector: [1, 0], using: '', limit: 2, ...PLAIN }),
  },
  { name: 'count', isWrite: false, work: (store, space) => store.count(space) },
  { name: 'health', isWrite: false, work: (store) => store.health() },
];

/** What comes of a failure that does not go away: of the writing call itself, and of calls that read. */
const FAILURES: { name: string; how: How; write: string; read: string }[] = [
  { name: '503', how: { status: 503 }, write: REFUSED, read: REFUSED },
  { name: '500 in HTML', how: { status: 500, body: HTML }, write: REFUSED, read: REFUSED },
  { name: '401', how: { status: 401, body: 'Must provide an API key' }, write: REFUSED, read: REFUSED },
  { name: '404 in HTML', how: { status: 404, body: HTML }, write: REFUSED, read: REFUSED },
  { name: '502 of a gateway', how: { status: 502, body: HTML }, write: UNKNOWN, read: REFUSED },
  { name: '408', how: { status: 408 }, write: UNKNOWN, read: REFUSED },
  { name: '429', how: { status: 429, headers: { 'retry-after': '9' } }, write: BUSY, read: BUSY },
  { name: '413', how: { status: 413 }, write: 'vectors_too_large', read: 'vectors_too_large' },
  { name: 'an answer in HTML', how: { body: HTML }, write: UNKNOWN, read: REFUSED },
  { name: 'an empty answer', how: { body: '{}' }, write: UNKNOWN, read: REFUSED },
  { name: 'a cut before it is done', how: { cut: 'before' }, write: UNKNOWN, read: REFUSED },
  { name: 'a cut after it is done', how: { cut: 'after' }, write: UNKNOWN, read: REFUSED },
  { name: 'a cut within the answer', how: { cut: 'within-answer' }, write: UNKNOWN, read: REFUSED },
  { name: 'no answer', how: { hang: 'before' }, write: UNKNOWN, read: REFUSED },
  { name: 'no answer to what is done', how: { hang: 'after' }, write: UNKNOWN, read: REFUSED },
];

/** Calls that change something in Qdrant. */
const WRITES = /^(PUT|DELETE) |points\/delete$/;

const fake = new FakeQdrant();
beforeAll(() => fake.start());
afterAll(() => fake.stop());
afterEach(() => fake.faults.clear());

async function outcomeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
    return DONE;
  } catch (error) {
    return (error as { code: string }).code;
  }
}

describe.each(LAYOUTS)('%s: when Qdrant fails', (layout) => {
  const { space } = installation();
  let store: VectorStore;
  let hasty: VectorStore;
  beforeAll(async () => {
    store = (await storeAt(fake.url, layout, { pauseMs: 1 })).store;
    hasty = (await storeAt(fake.url, layout, { timeoutMs: 150 })).store;
  });

  async function filled(): Promise<Space> {
    const one = space();
    await store.ensure(one);
    await store.upsert(one, [point(1), point(2), point(3)]);
    return one;
  }

  const CASES = FAILURES.flatMap((failure) => OPERATIONS.map((operation) => ({ failure, operation })));

  it.each(CASES)('$operation.name says so: $failure.name', async ({ failure, operation }) => {
    const one = await filled();
    fake.fail({ how: failure.how, ...(operation.isWrite && { on: WRITES }) });
    const patience = failure.how.hang ? hasty : store;
    const outcome = await outcomeOf(operation.work(patience, one));
    // a second try finds that it was done, and that is a success
    const { body, cut, hang } = failure.how;
    const isFoundDone =
      ['ensure', 'drop'].includes(operation.name) && (body === '{}' || cut === 'after' || hang === 'after');
    const expected = operation.isWrite ? failure.write : failure.read;
    expect(isFoundDone ? [expected, DONE] : [expected]).toContain(outcome);
  });

  const PASSING: { name: string; how: How }[] = [
    { name: '503', how: { status: 503 } },
    { name: '429', how: { status: 429, headers: { 'retry-after': '0' } } },
    { name: 'a cut before it is done', how: { cut: 'before' } },
    { name: 'a cut after it is done', how: { cut: 'after' } },
    { name: 'a cut within the answer', how: { cut: 'within-answer' } },
    { name: 'an answer in HTML', how: { body: HTML } },
  ];
  const TWICE = PASSING.flatMap((failure) => OPERATIONS.map((operation) => ({ failure, operation })));

  it.each(TWICE)(
    '$operation.name is done all the same: twice $failure.name',
    async ({ failure, operation }) => {
      const one = await filled();
      fake.fail({ how: failure.how, times: 2 });
      expect(await outcomeOf(operation.work(store, one))).toBe(DONE);
      fake.faults.clear();
      if (operation.name === 'drop') expect(await store.describe(one)).toBeNull();
      else {
        const ids = { upsert: ['1', '2', '3', '9'], delete: ['1', '3'] }[operation.name] ?? ['1', '2', '3'];
        expect(await allIds(store, one, 10)).toEqual(ids);
        expect(await store.count(one)).toBe(ids.length);
      }
    },
  );

  it.each(['acknowledged', 'wait_timeout'] as const)('takes no "%s" for done', async (unfinished) => {
    const one = await filled();
    for (const { work } of OPERATIONS.filter(({ name }) => /upsert|delete/.test(name))) {
      fake.fail({ how: { unfinished }, on: /points/ });
      expect(await outcomeOf(work(store, one))).toBe(UNKNOWN);
      fake.faults.clear();
      fake.fail({ how: { unfinished }, on: WRITES, times: 1 });
      expect(await outcomeOf(work(store, one))).toBe(DONE);
      fake.faults.clear();
    }
    fake.fail({ how: { unfinished }, on: /index$/ });
    expect(await outcomeOf(store.ensure(one, { [unfinished]: 'keyword' }))).toBe(UNKNOWN);
  });

  it('tells how long to wait, and does not wait itself', async () => {
    const one = await filled();
    for (const retryAfter of ['9', new Date(Date.now() + 60_000).toUTCString()]) {
      fake.fail({ how: { status: 429, headers: { 'retry-after': retryAfter } } });
      const before = fake.calls.length;
      const error = await store.retrieve(one, ['1'], PLAIN).catch((thrown) => thrown);
      expect(error).toMatchObject({ code: BUSY, kind: 'unavailable' });
      expect(error.retryAfter).toBeGreaterThanOrEqual(9);
      expect(fake.calls.length - before).toBeLessThanOrEqual(2);
      fake.faults.clear();
    }
  });

  it('asks three times and no more', async () => {
    const one = await filled();
    fake.fail({ how: { status: 503 } });
    const before = fake.calls.length;
    expect(await outcomeOf(store.health())).toBe(REFUSED);
    expect(fake.calls.length - before).toBe(3);
    expect(await outcomeOf(store.upsert(one, [point(1)]))).toBe(REFUSED);
    expect(fake.calls.length - before).toBe(6);
  });

  it('says that the outcome is unknown when the server goes down for good half way', async () => {
    const one = await filled();
    fake.fail({ how: { cut: 'after' }, on: WRITES, times: 1 });
    fake.fail({ how: { status: 503 }, on: WRITES });
    expect(await outcomeOf(store.upsert(one, [point(4)]))).toBe(UNKNOWN);
    fake.faults.clear();
    expect(await allIds(store, one, 10)).toEqual(['1', '2', '3', '4']);
  });

  it('refuses while the server is down, and goes on when it is up again', async () => {
    const one = await filled();
    await fake.stop();
    for (const { work } of OPERATIONS) expect(await outcomeOf(work(store, one))).toBe(REFUSED);
    await fake.start();
    expect(await allIds(store, one, 10)).toEqual(['1', '2', '3']);
    for (const { work } of OPERATIONS.toReversed()) expect(await outcomeOf(work(store, one))).toBe(DONE);
  });

  it('has exact counts after a write that was cut in the middle and is done again', async () => {
    const one = space({ '': { size: 64, distance: 'dot' } });
    await store.ensure(one);
    const filler = 'x'.repeat(10_000);
    const points = Array.from({ length: 2500 }, (_, n) =>
      point(
        n,
        { n, filler },
        Array.from({ length: 64 }, (_, at) => at + n),
      ),
    );
    fake.fail({ how: {}, on: /PUT .*points$/, times: 1 });
    fake.fail({ how: { cut: 'before' }, on: /PUT .*points$/ });
    const before = fake.calls.length;
    expect(await outcomeOf(store.upsert(one, points))).toBe(UNKNOWN);
    fake.faults.clear();
    const some = await store.count(one);
    expect(some).toBeGreaterThan(0);
    expect(some).toBeLessThan(2500);
    expect(fake.calls.length).toBeGreaterThan(before);
    await store.upsert(one, points);
    expect(await store.count(one)).toBe(2500);
    expect(new Set(await allIds(store, one, 1000)).size).toBe(2500);
  });

  it('writes nothing of points of which one is wrong', async () => {
    const one = await filled();
    const wrong: Point[] = [
      point(8, {}, [1, 2, 3]),
      point(8, {}, [1, Number.NaN]),
      point(8, {}, [1, 1e39]),
      { id: '8', vectors: { other: [1, 2] }, payload: {} },
      { id: '8', vectors: {}, payload: {} },
    ];
    for (const last of wrong) {
      const before = fake.calls.length;
      expect(await outcomeOf(store.upsert(one, [point(7), last]))).toBe('invalid_point');
      expect(fake.calls.length).toBe(before);
    }
    const query = { using: '', limit: 1, ...PLAIN };
    expect(await outcomeOf(store.query(one, { ...query, vector: [1] }))).toBe('invalid_point');
    expect(await outcomeOf(store.query(one, { ...query, vector: [1, 1], using: 'no' }))).toBe(
      'invalid_point',
    );
    expect(await outcomeOf(store.count(one, { must: [{ key: 'a[', match: { value: 1 } }] }))).toBe(
      'invalid_point',
    );
    const cosine = space({ '': { size: 2, distance: 'cosine' } });
    await store.ensure(cosine);
    expect(await outcomeOf(store.upsert(cosine, [point(1, {}, [0, 1e-46])]))).toBe('invalid_point');
    expect(await outcomeOf(store.query(cosine, { ...query, vector: [0, 0] }))).toBe('invalid_point');
  });

  it('sends the key, and is refused without', async () => {
    fake.apiKey = 'the key';
    try {
      expect(await outcomeOf(store.health())).toBe(REFUSED);
      expect(await outcomeOf(store.describe(space()))).toBe(REFUSED);
      const { store: keyed } = await storeAt(fake.url, layout, { apiKey: 'the key' });
      await keyed.health();
      const one = space();
      await keyed.ensure(one);
      await keyed.upsert(one, [point(1)]);
      expect(await keyed.count(one)).toBe(1);
    } finally {
      fake.apiKey = undefined;
    }
  });
});

test('shared: a space costs as much as any other, however many there are', async () => {
  const { store } = await storeAt(fake.url, 'shared');
  const { space, prefix } = installation();
  const callsOf = async (work: Promise<unknown>) => {
    const before = fake.calls.length;
    await work;
    return fake.calls.slice(before).map((call) => call.replace(/[0-9a-f]{8,}/g, ''));
  };
  await store.ensure(space());
  const second = await callsOf(store.ensure(space()));
  expect(second.length).toBeLessThanOrEqual(4);
  expect(second.filter((call) => /^PUT \/collections\/[^/]+$|^GET \/collections$/.test(call))).toEqual([]);
  expect(fake.multiply(`${prefix}-spaces`, 9_998)).toBe(10_000);
  expect(await callsOf(store.ensure(space()))).toEqual(second);
  const last = space();
  await store.ensure(last);
  await store.upsert(last, [point(1)]);
  expect((await callsOf(store.count(last))).length).toBe(2);
  expect((await callsOf(store.drop(last.name))).length).toBeLessThanOrEqual(5);
});
