import fc from 'fast-check';
import { type JsonObject, mergePatch } from '../../src/common/json.js';
import { expectOk } from '../http/support.js';
import { startApp, type TestApp } from '../setup/app.js';
import {
  collectionLine,
  countersLine,
  type Line,
  linesIn,
  manifestOf,
  memoryLine,
  messageLine,
  ndjson,
  pointLine,
  reportLine,
  sessionLine,
} from '../setup/export-files.js';
import { FakeQdrant } from '../setup/fake-qdrant/fake-qdrant.js';

const fake = new FakeQdrant();
const apps: Record<string, TestApp> = {};

beforeAll(async () => {
  await fake.start();
  apps.postgres = await startApp();
  apps.dedicated = await startApp({ QDRANT_URL: fake.url, QDRANT_LAYOUT: 'dedicated' });
  apps.shared = await startApp({ QDRANT_URL: fake.url, QDRANT_LAYOUT: 'shared' });
});
afterAll(async () => {
  for (const app of Object.values(apps)) await app.close();
  await fake.stop();
});

const text = fc
  .string({ unit: 'grapheme', maxLength: 20 })
  .filter((s) => !s.includes('\0') && s.isWellFormed());
const name = fc.stringMatching(/^[a-z]{1,8}$/);
const json = fc
  .jsonValue({ maxDepth: 3 })
  .map((value) => JSON.parse(JSON.stringify(value)))
  .filter(isKept);
const object = fc.dictionary(name, json, { maxKeys: 3 });
/** milliseconds after some moment; each record comes so much later than the one before */
const later = fc.nat(100_000);
const timeAt = (ms: number) => new Date(Date.UTC(2026, 0, 31) + ms).toISOString();

/** What JSON of ours may hold. */
function isKept(value: unknown): boolean {
  const seen = JSON.stringify(value);
  return (
    !seen.includes('\\u0000') &&
    !seen.includes('__proto__') &&
    !/\\ud[89a-f]/i.test(seen) &&
    !/\d{16}/.test(seen)
  );
}

const said = fc.record({
  content: fc.oneof(
    text,
    fc.array(fc.record({ type: fc.constant('text'), text }), { minLength: 1, maxLength: 2 }),
  ),
  metadata: object,
  tokens_used: fc.option(fc.nat(1000)),
  cost_usd: fc.option(fc.integer({ min: 0, max: 10 ** 6 }).map((n) => n / 10 ** 6)),
  model: fc.option(name),
  later,
});
const messages = fc.array(
  fc.record({ said, kind: fc.constantFrom('user', 'system', 'call', 'redacted', 'copy') }),
  { maxLength: 8 },
);

/** Messages out of what was drawn: a call is two, itself and its answer. */
function messagesOf(drawn: Line[]): Line[] {
  const lines: Line[] = [];
  let at = 0;
  const add = (fields: Line, ms: number) => {
    at += ms;
    lines.push(messageLine(lines.length + 1, { created_at: timeAt(at), ...fields }));
  };
  for (const {
    said: { later: ms, ...fields },
    kind,
  } of drawn) {
    if (kind === 'call') {
      add({ ...fields, role: 'assistant', content: null, tool_calls: [{ id: 'c', z: 1, a: [] }] }, ms);
      add({ role: 'tool', tool_call_id: 'c', tool_call_seq: lines.length, message_type: 'tool_result' }, ms);
    } else if (kind === 'redacted') add({ content: null, redacted_at: timeAt(at + 5) }, ms);
    else if (kind === 'copy') add({ ...fields, origin: { session_id: 's', message_id: 'm', seq: 3 } }, ms);
    else add({ ...fields, role: kind }, ms);
  }
  return lines;
}

const entry = fc.record({
  value: json,
  metadata: object,
  importance: fc.constantFrom(0, 0.25, 1),
  versions: fc.nat(3),
  isNamed: fc.boolean(),
});
const entriesOf = (drawn: Line[]): Line[] =>
  drawn.flatMap(({ versions, isNamed, ...fields }, n) => {
    const current = memoryLine(n, { ...fields, version: versions + 1, key: isNamed ? `k-${n}` : null });
    const { key: _, created_by: __, created_at: ___, ...before } = current;
    const earlier = Array.from({ length: versions }, (_, v) => ({
      ...before,
      type: 'memory_version',
      version: v + 1,
    }));
    return [current, ...earlier];
  });

/** JSON has one zero, so a store that is spoken to in it has too. */
const float = fc.float({ noNaN: true, noDefaultInfinity: true }).map((n) => n || 0);
const base64 = (vector: number[]) => Buffer.from(Float32Array.from(vector).buffer).toString('base64');
/** Of length 1 as a store keeps it. */
function unit(vector: number[]): number[] {
  const length = Math.hypot(...vector);
  return vector.map((value) => value / length);
}
const SIZE = 4;
const shape = fc.record({
  distance: fc.constantFrom('cosine', 'dot', 'euclid', 'manhattan'),
  isNamed: fc.boolean(),
});
const vector = fc.array(float, { minLength: SIZE, maxLength: SIZE });
const direction = fc
  .array(fc.integer({ min: -100, max: 100 }), { minLength: SIZE, maxLength: SIZE })
  .filter((v) => v.some((n) => n !== 0));
const number = fc.oneof(fc.nat(), fc.bigInt({ min: 2n ** 53n, max: 2n ** 64n - 1n }).map(String));
const point = fc.record({ vector, direction, payload: object, hasBoth: fc.boolean() });
const points = fc.record({
  shape,
  numbers: fc.uniqueArray(fc.tuple(number, point), { maxLength: 5, selector: ([id]) => String(id) }),
  uuids: fc.uniqueArray(fc.tuple(fc.uuid(), point), { maxLength: 5, selector: ([id]) => id }),
});

function pointsOf({ shape: { distance, isNamed }, numbers, uuids }: Line): Line[] {
  const spec = { size: SIZE, distance };
  const of = ({ vector, direction }: Line) => base64(distance === 'cosine' ? unit(direction) : vector);
  const vectorOf = (one: Line) => {
    if (!isNamed) return of(one);
    return one.hasBoth ? { a: of(one), b: of(one) } : { b: of(one) };
  };
  const ids = [
    ...numbers.sort(([a]: Line, [b]: Line) => (BigInt(a) < BigInt(b) ? -1 : 1)),
    ...uuids.sort(([a]: Line, [b]: Line) => (a < b ? -1 : 1)),
  ];
  return [
    collectionLine(isNamed ? { a: spec, b: spec } : spec),
    ...ids.map(([id, one]: Line) => pointLine(id, vectorOf(one), one.payload)),
  ];
}

const counted = fc
  // merged as PUT merges it: without nulls
  .record({
    counters: fc.dictionary(name, fc.maxSafeInteger(), { maxKeys: 4 }),
    metadata: object.map((one) => mergePatch({}, one as JsonObject) as JsonObject),
  })
  .filter(({ counters, metadata }) => Object.keys({ ...counters, ...metadata }).length > 0)
  // in the order in which they are kept
  .map((one) => ({ ...one, counters: Object.fromEntries(Object.entries(one.counters).sort()) }));
const report = fc.record({
  model_type: fc.constantFrom('llm', 'embedding'),
  model_name: fc.constantFrom('a', 'b', 'ü'),
  calls: fc.integer({ min: 1, max: 1000 }),
  tokens: fc.nat(),
  cost_usd: fc.integer({ min: 0, max: 10 ** 9 }).map((n) => n / 10 ** 10),
  later,
});

function reportsOf(drawn: Line[]): Line[] {
  let at = 0;
  return drawn.map(({ later: ms, ...fields }, n) => {
    at += ms;
    return reportLine(n + 1, { ...fields, reported_at: timeAt(at) });
  });
}

const session = fc.record({
  fields: fc.record({
    description: fc.option(text),
    tags: fc.uniqueArray(name, { maxLength: 3 }),
    ...{ context: object, metadata: object, conversation_data: object, runtime_metadata: object },
    state: fc.constantFrom('active', 'paused', 'completed', 'crashed'),
    archived_at: fc.option(fc.constant(timeAt(7))),
    timeout_minutes: fc.option(fc.integer({ min: 1, max: 1000 })),
    auto_recover: fc.boolean(),
  }),
  ...{ messages, entries: fc.array(entry, { maxLength: 4 }), points: fc.option(points) },
  checkpoints: fc.array(object, { maxLength: 3 }),
  ...{ counted: fc.option(counted), reports: fc.array(report, { maxLength: 6 }) },
});

function linesOf({ fields, messages, entries, points, checkpoints, counted, reports }: Line): Line[] {
  const saved = checkpoints.map((checkpoint: object, at: number) => ({
    ...{ type: 'checkpoint', n: at + 1, checkpoint, metadata: {}, created_at: timeAt(at) },
  }));
  const shown = { checkpoint: checkpoints.at(-1) ?? null, checkpoint_n: checkpoints.length };
  return [
    manifestOf('generated'),
    sessionLine({ ...fields, ...shown }),
    ...saved,
    ...messagesOf(messages),
    ...entriesOf(entries),
    ...(points ? pointsOf(points) : []),
    ...(counted ? [countersLine(counted.counters, counted.metadata)] : []),
    ...reportsOf(reports),
  ];
}

/** The records, but for what an import adds of itself. */
const recordsIn = (exported: string) =>
  linesIn(exported)
    .slice(1, -1)
    .map(({ lineage: _, ...record }) => record);

async function through(app: TestApp, sent: string): Promise<string> {
  const api = app.api.as('alice');
  const headers = { 'content-type': 'application/x-ndjson' };
  const answer = await api.call('POST', '/api/v1/sessions/import', { raw: sent, headers });
  const { session_id: id } = expectOk(answer, 201).session;
  const exported = await api.get(`/api/v1/sessions/${id}/export`);
  expect((await api.delete(`/api/v1/sessions/${id}?permanent=true`)).status).toBe(204);
  return exported.text;
}

test.each([
  ['postgres', 'dedicated', 'shared', 'postgres'],
  ['shared', 'postgres', 'dedicated', 'shared'],
])(
  'from %s through %s and %s to %s, everything is as it was',
  async (...path) => {
    await fc.assert(
      fc.asyncProperty(session, async (drawn) => {
        const lines = linesOf(drawn);
        let text = ndjson(lines);
        for (const name of path) {
          text = await through(apps[name]!, text);
          expect(recordsIn(text)).toEqual(recordsIn(ndjson(lines)));
        }
      }),
      { numRuns: 15 },
    );
  },
  240_000,
);

test('what was made by a merge travels as well', async () => {
  const api = apps.postgres!.api.as('alice');
  const headers = { 'content-type': 'application/x-ndjson' };
  const bring = async (drawn: Line): Promise<string> => {
    const raw = ndjson(linesOf({ ...drawn, points: null }));
    const answer = await api.call('POST', '/api/v1/sessions/import', { raw, headers });
    return expectOk(answer, 201).session.session_id;
  };
  await fc.assert(
    fc.asyncProperty(session, session, async (a, b) => {
      const session_ids = [await bring(a), await bring(b)];
      const asked = { session_ids, tags: [], archive_sources: false };
      const job = expectOk(await api.post('/api/v1/sessions/merge', asked, { prefer: 'wait=60' }));
      expect(job.state).toBe('succeeded');
      const exported = (await api.get(`/api/v1/sessions/${job.result.session_id}/export`)).text;
      const stats = linesIn(exported).filter(({ type }) => type === 'counters' || type === 'model_report');
      expect(stats).toHaveLength((a.counted || b.counted ? 1 : 0) + a.reports.length + b.reports.length);
      expect(linesIn(exported)).toHaveLength(3 + job.result.messages + job.result.memory + stats.length);
      expect(recordsIn(await through(apps.shared!, exported))).toEqual(recordsIn(exported));
    }),
    { numRuns: 15 },
  );
}, 240_000);
