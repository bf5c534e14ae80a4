import { Recount } from '../../src/stats/recount.js';
import {
  call,
  history,
  merge,
  point,
  pointsOf,
  put,
  type Row,
  resultOf,
  said,
  say,
  session,
  split,
} from '../http/histories.js';
import { at, expectOk, fresh } from '../http/support.js';
import type { Api } from '../setup/api.js';
import { startApp, type TestApp } from '../setup/app.js';

/** The same numbers for the same seed (mulberry32). */
function randomOf(seed: number) {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  const below = (end: number) => Math.floor(next() * end);
  return {
    next,
    below,
    chance: (p: number) => next() < p,
    of: <T>(list: T[]): T => list[below(list.length)]!,
  };
}
type Random = ReturnType<typeof randomOf>;

const FIRST = Number(process.env.RESTRUCTURE_SEED ?? Date.now() % 1_000_000);
const ROUNDS = Number(process.env.RESTRUCTURE_ROUNDS ?? 3);

let app: TestApp;
beforeAll(async () => {
  app = await startApp();
  console.log(`RESTRUCTURE_SEED=${FIRST}, RESTRUCTURE_ROUNDS=${ROUNDS}`);
});
afterAll(() => app.close());

const SHAPE = { vectors: { text: { size: 400, distance: 'dot' }, image: { size: 4, distance: 'euclid' } } };

/** What is said in a session: calls that are answered at once, later or never, under ids that come again in every session. */
function script(random: Random, length: number): object[] {
  const open: string[] = [];
  const used = new Set<string>();
  return Array.from({ length }, (_, n) => {
    const id = random.chance(0.5) ? { message_id: `m-${n}` } : {};
    if (open.length > 0 && random.chance(0.4)) {
      const [answered] = open.splice(random.below(open.length), 1);
      used.add(answered!);
      return said('tool', `answer ${n}`, { tool_call_id: answered, ...id });
    }
    if (random.chance(0.2)) {
      const ids = [...new Set([random.below(6), random.below(6)])].map((c) => `c-${c}`);
      const free = ids.filter((c) => !open.includes(c));
      if (free.length > 0) {
        open.push(...free);
        return { ...call(...free), ...id, model: 'm' };
      }
    }
    const figures = random.chance(0.3)
      ? { tokens_used: random.below(100), cost_usd: random.below(1000) / 1e4 }
      : {};
    const content = random.chance(0.02) ? 'long '.repeat(10_000) : `said ${n}`;
    return said(random.of(['user', 'assistant', 'system']), content, { ...id, ...figures, metadata: { n } });
  });
}

const UUIDS = Array.from({ length: 8 }, (_, n) => `0190b5b0-6a3c-7c7e-9a53-6f1d3c1f2a1${n}`);

function pointId(random: Random): number | string {
  if (random.chance(0.1)) return random.of(UUIDS);
  if (random.chance(0.1)) return String(2n ** 64n - 1n - BigInt(random.below(8)));
  return random.below(3000);
}

/** Some have one vector, some both; some are the same in every session. */
function randomPoints(random: Random, count: number): Row[] {
  const points = new Map<string, Row>();
  while (points.size < count) {
    const id = pointId(random);
    const isSame = typeof id === 'number' && id % 7 === 0;
    const seed = isSame ? (id as number) : random.below(1000);
    const text = Array.from({ length: 400 }, (_, n) => ((seed + n) % 17) - 8);
    const image = [seed, 1, 2, 3];
    const vector = isSame || random.chance(0.6) ? { text, image } : random.chance(0.5) ? { text } : { image };
    points.set(String(id), point(id, vector, isSame ? { same: true } : { seed, n: { deep: [null, seed] } }));
  }
  return [...points.values()];
}

interface Source {
  id: string;
  messages: Row[];
  points: Row[];
  memory: Row[];
  stats: Row;
  reports: Row[];
}

async function makeSource(api: Api, random: Random, length: number, points: number): Promise<Source> {
  const id = await session(api, { configuration: SHAPE });
  const messages = script(random, length);
  for (let at = 0; at < length; ) {
    const size = 1 + random.below(300);
    await say(api, id, ...messages.slice(at, at + size));
    at += size;
  }
  const rows = await history(api, id);
  for (const { message_id } of rows.filter(() => random.chance(0.01)))
    expectOk(await api.delete(at(id, `/messages/${message_id}`)));
  const all = randomPoints(random, points);
  for (let at = 0; at < all.length; at += 200) await put(api, id, ...all.slice(at, at + 200));
  for (let n = 0; n < 10; n++) {
    const body = { value: { of: id, n }, memory_type: random.of(['fact', 'note']), importance: 0.5 };
    if (random.chance(0.5)) await api.put(at(id, `/memory/k-${random.below(12)}`), body);
    else expectOk(await api.post(at(id, '/memory'), { memory_type: 'note', content: `${id} ${n}` }), 201);
  }
  await count(api, random, id);
  return read(api, id);
}

/** Counters with names that others have too, and reports on a few models. */
async function count(api: Api, random: Random, id: string): Promise<void> {
  for (let n = 0; n < random.below(6); n++) {
    const counters = { [`c_${random.below(4)}`]: random.below(100) - 50, [`d_${random.below(4)}`]: 1 };
    const metadata = random.chance(0.5) ? { [`m-${random.below(3)}`]: { [id]: n, n } } : {};
    expectOk(await api.put(at(id, '/stats'), { counters, metadata }));
  }
  for (let n = 0; n < random.below(12); n++) {
    const model = { model_type: random.of(['llm', 'embedding']), model_name: `m-${random.below(3)}` };
    const figures = {
      calls: 1 + random.below(3),
      tokens: random.below(100),
      cost_usd: random.below(1000) / 1e4,
    };
    expectOk(await api.put(at(id, '/model-usage'), { ...model, ...figures }));
  }
}

const read = async (api: Api, id: string): Promise<Source> => ({
  id,
  messages: await history(api, id),
  points: await pointsOf(api, id),
  memory: expectOk(await api.get(at(id, '/memory?limit=200'))).entries,
  stats: withoutTime(expectOk(await api.get(at(id, '/stats')))),
  reports: expectOk(await api.get(at(id, '/model-usage?history=true&limit=200'))).reports.reverse(),
});

const withoutTime = ({ idle_seconds, duration_seconds, ...stats }: Row) => stats;

/** What a message says, whatever its session calls it. */
const told = ({ role, content, message_type, tool_calls, tool_call_id, name, model, ...rest }: Row) => ({
  ...{ role, content, message_type, tool_calls, tool_call_id, name, model },
  ...{ tokens_used: rest.tokens_used, cost_usd: rest.cost_usd, metadata: rest.metadata },
  ...{ created_at: rest.created_at, redacted_at: rest.redacted_at, user_id: rest.user_id },
});

/** The message that a result answers, by its origin in the sources. */
const linked = (rows: Row[], origin: (row: Row) => string) => {
  const bySeq = new Map(rows.map((row) => [row.seq, row]));
  return rows.map(
    (row) => row.tool_call_seq && `${origin(row)} answers ${origin(bySeq.get(row.tool_call_seq)!)}`,
  );
};

/** The target has every message of the sources once, in order; within each source in its own. */
function expectMessages(sources: Source[], target: Source): void {
  const place = (session_id: string, seq: number) => `${session_id} ${seq}`;
  const ofTarget = (row: Row) => place(row.origin.session_id, row.origin.seq);
  const expected = sources
    .flatMap(({ id, messages }, source) => messages.map((row) => ({ id, source, row })))
    .sort((a, b) => cmp(a.row.created_at, b.row.created_at) || a.source - b.source || a.row.seq - b.row.seq);
  expect(target.messages.map(ofTarget)).toEqual(expected.map(({ id, row }) => place(id, row.seq)));
  expect(target.messages.map(told)).toEqual(expected.map(({ row }) => told(row)));
  expect(target.messages.map(({ seq }) => seq)).toEqual(expected.map((_, index) => index + 1));
  expect(new Set(target.messages.map(({ message_id }) => message_id)).size).toBe(expected.length);
  expect(target.messages.map(({ origin }) => origin.message_id)).toEqual(
    expected.map(({ row }) => row.message_id),
  );
  const links = new Map(
    sources.flatMap(({ id, messages }) => {
      const found = linked(messages, (row) => place(id, row.seq));
      return messages.map((row, index) => [place(id, row.seq), found[index]] as const);
    }),
  );
  expect(linked(target.messages, ofTarget)).toEqual(target.messages.map((row) => links.get(ofTarget(row))));
}

const cmp = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);
const text = (point: Row) => JSON.stringify([point.vector, point.payload], sortKeys);
const sortKeys = (_: string, value: Row) =>
  value && typeof value === 'object' && !Array.isArray(value)
    ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => cmp(a, b)))
    : value;

/** Under remap every point of every source is there: under its own id, or under another with where it is from. Answers how many moved. */
function expectPoints(sources: Source[], target: Source): number {
  const held = new Map<string, string>();
  const expected: string[] = [];
  let remapped = 0;
  for (const { id: session_id, points } of sources) {
    for (const point of points) {
      const before = held.get(String(point.id));
      if (before === text(point)) continue;
      if (before === undefined) {
        held.set(String(point.id), text(point));
        expected.push(JSON.stringify([point.id, text(point)]));
      } else {
        remapped++;
        const _origin = { session_id, id: point.id };
        expected.push(JSON.stringify([_origin, text({ ...point, payload: { ...point.payload, _origin } })]));
      }
    }
  }
  const found = target.points.map((point) =>
    JSON.stringify([point.payload._origin ?? point.id, text(point)], sortKeys),
  );
  expect(found.sort()).toEqual(expected.map((one) => JSON.stringify(JSON.parse(one), sortKeys)).sort());
  return remapped;
}

const kept = ({ key, memory_type, value, content, metadata, importance }: Row) =>
  JSON.stringify({ key, memory_type, value, content, metadata, importance });

/** Of two with a key the later one, of those at the same time the first. */
function expectMemory(sources: Source[], target: Source): void {
  const keyed = new Map<string, Row>();
  const keyless: Row[] = [];
  for (const entry of sources.flatMap(({ memory }) => memory)) {
    if (entry.key === null) keyless.push(entry);
    else if (!(keyed.get(entry.key)?.updated_at >= entry.updated_at)) keyed.set(entry.key, entry);
  }
  expect(target.memory.map(kept).sort()).toEqual([...keyless, ...keyed.values()].map(kept).sort());
}

/** Counters are summed, of metadata the first says it; of reports all are there, by time, and what they come to follows. */
function expectStats(sources: Source[], target: Source): void {
  const { counters, metadata, model_usage } = target.stats;
  const sums: Record<string, number> = {};
  for (const { stats } of sources)
    for (const [name, value] of Object.entries<number>(stats.counters))
      sums[name] = (sums[name] ?? 0) + value;
  expect(counters).toEqual(sums);
  const merge = (a: Row, b: Row): Row =>
    Object.fromEntries(
      [...new Set([...Object.keys(a), ...Object.keys(b)])].map((name) => [
        name,
        typeof a[name] === 'object' && typeof b[name] === 'object'
          ? merge(a[name], b[name])
          : (a[name] ?? b[name]),
      ]),
    );
  expect(metadata).toEqual(sources.map(({ stats }) => stats.metadata).reduce(merge));
  const expected = sources
    .flatMap(({ reports }, source) => reports.map((report) => ({ source, report })))
    .sort((a, b) => cmp(a.report.reported_at, b.report.reported_at) || a.source - b.source)
    .map(({ report }, index) => ({ ...report, n: index + 1 }));
  expect(target.reports).toEqual(expected);
  const switched = expected.filter(({ model_type, model_name }, index) => {
    const before = expected.slice(0, index).findLast((one) => one.model_type === model_type);
    return before && before.model_name !== model_name;
  });
  expect(model_usage).toMatchObject({
    switches: switched.length,
    last_switch_at: switched.at(-1)?.reported_at ?? null,
  });
  for (const name of ['calls', 'tokens'])
    expect(model_usage.totals.reduce((sum: number, one: Row) => sum + one[name], 0)).toBe(
      expected.reduce((sum, one) => sum + one[name], 0),
    );
  const cost = (rows: Row[]) => rows.reduce((sum, one) => sum + Math.round(one.cost_usd * 1e4), 0);
  expect(cost(model_usage.totals)).toBe(cost(expected));
}

/** Seqs of the target that a range must hold together: a part may not begin within one of these. */
function cuts(messages: Row[], wanted: number[]): [number, number][] {
  const reach = messages.map(({ seq }) => seq as number);
  for (const { seq, tool_call_seq } of messages)
    if (tool_call_seq) reach[tool_call_seq - 1] = Math.max(reach[tool_call_seq - 1]!, seq);
  const free: number[] = [];
  for (let seq = 1, far = 0; seq <= messages.length; seq++) {
    far = Math.max(far, reach[seq - 1]!);
    if (far === seq) free.push(seq);
  }
  const ends = [...new Set(wanted.map((want) => free.find((end) => end >= want)!))].filter(Boolean);
  return ends.map((end, index) => [(ends[index - 1] ?? 0) + 1, end]);
}

test.each(Array.from({ length: ROUNDS }, (_, n) => FIRST + n))(
  'seed %i',
  async (seed) => {
    const random = randomOf(seed);
    const api = app.api.as(fresh());
    const lengths = [700 + random.below(900), 500 + random.below(400), random.below(40)];
    const sources: Source[] = [];
    for (const length of lengths) sources.push(await makeSource(api, random, length, 1 + random.below(899)));
    // times that are the same in several sources
    await app.database.pool.query(
      `update messages m set created_at = date_trunc('second', s.created_at) + make_interval(secs => (m.seq / $2::int)::int)
     from sessions s where s.key = m.session_key and s.id = any($1)`,
      [sources.map(({ id }) => id), 1 + random.below(20)],
    );
    for (const source of sources) source.messages = await history(api, source.id);

    const session_ids = sources.map(({ id }) => id);
    const body = { session_ids, on_point_conflict: 'remap', archive_sources: random.chance(0.5) };
    const merged = resultOf(await merge(api, body));
    const target = await read(api, merged.session_id);
    expectMessages(sources, target);
    const remapped = expectPoints(sources, target);
    expectMemory(sources, target);
    expectStats(sources, target);
    expect(await app.app.get(Recount).findFaulty()).toEqual([]);
    expect(merged).toMatchObject({ remapped, points: target.points.length, memory: target.memory.length });
    for (const source of sources) expect(await read(api, source.id)).toEqual(source);

    // by origin: every message is in the part whose range has it, every point in that of its session
    const total = target.messages.length;
    const ranges = cuts(target.messages, [Math.floor(total / 3), Math.floor((2 * total) / 3), total]);
    const groups = new Map<string, Row[]>(session_ids.map((id) => [id, []]));
    for (const found of target.points) {
      const own = found.payload._origin?.session_id;
      const from =
        own ??
        sources.find(({ points }) => points.some((one) => one.id === found.id && text(one) === text(found)))!
          .id;
      groups.get(from)!.push(found);
    }
    const parts = [
      ...ranges.map(([from_seq, to_seq]) => ({ title: `${from_seq}`, from_seq, to_seq })),
      ...[...groups]
        .filter(([, points]) => points.length)
        .map(([id, points]) => ({ title: id, point_ids: points.map((one) => one.id) })),
    ];
    const done = resultOf(await split(api, target.id, { parts }));
    const copies: Row[] = [];
    for (const [index, part] of parts.entries()) {
      const made = await history(api, done.sessions[index].session_id);
      if (!('from_seq' in part)) {
        expect(await pointsOf(api, done.sessions[index].session_id)).toEqual(groups.get(part.title));
        continue;
      }
      expect(made.map(({ seq }) => seq)).toEqual(made.map((_, n) => n + 1));
      const back = made.map((row) => ({
        ...row,
        seq: row.origin.seq,
        tool_call_seq: row.tool_call_seq && row.tool_call_seq + part.from_seq - 1,
      }));
      copies.push(...back);
    }
    const bare = (row: Row) => ({
      ...told(row),
      seq: row.seq,
      tool_call_seq: row.tool_call_seq,
      message_id: row.message_id,
    });
    expect(copies.map(bare)).toEqual(target.messages.map(bare));
    expect(await pointsOf(api, target.id)).toEqual([]);
    expect(await history(api, target.id)).toEqual(target.messages);
    console.log(
      `seed ${seed}: ${lengths.join(' + ')} messages (${target.messages.filter((row) => row.tool_call_seq).length} answers, ` +
        `${target.messages.filter((row) => row.redacted_at).length} redacted), ${sources.map(({ points }) => points.length).join(' + ')} points ` +
        `(${remapped} remapped), ${target.memory.length} entries; back in ${parts.length} parts`,
    );
  },
  300_000,
);
