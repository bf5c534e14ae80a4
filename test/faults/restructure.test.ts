import { createHash } from 'node:crypto';
import { Sweeps } from '../../src/jobs/sweeps.js';
import {
  call,
  history,
  point,
  pointsOf,
  put,
  type Row,
  remember,
  result,
  said,
  say,
  session,
} from '../http/histories.js';
import { at, eventsOf, expectOk, fresh, read, walkByCursor } from '../http/support.js';
import type { Api } from '../setup/api.js';
import type { TestApp } from '../setup/app.js';
import { eventually } from '../setup/eventually.js';
import { FakeQdrant } from '../setup/fake-qdrant/fake-qdrant.js';
import { drawn } from './drawn.js';
import type { Place } from './gate.js';
import { type Queue, Stage } from './stage.js';

const SIZE = 16;
const SHAPE = { vectors: { size: SIZE, distance: 'dot' } };

/** Sources of a job, and what it is asked. */
interface Case {
  ids: string[];
  path: string;
  body: object;
}

const vector = (seed: number) => Array.from({ length: SIZE }, (_, n) => ((seed * 7 + n) % 17) - 8);
const points = (count: number, seed: number) =>
  Array.from({ length: count }, (_, n) =>
    point(n, vector(n % 10 === 0 ? n : n + seed), { seed: n % 10 === 0 ? 0 : seed }),
  );

/** Two histories whose times cross, with the same ids of messages and calls; times that are the same in every run. */
async function makeSource(app: TestApp, api: Api, length: number, step: number): Promise<string> {
  const id = await session(api, { configuration: SHAPE, tags: [`every ${step}`] });
  const messages = Array.from({ length }, (_, n) => {
    if (n % 100 === 10) return { ...call('early', 'late'), message_id: `m-${n}` };
    if (n % 100 === 11) return { ...result('early', `${n}`), message_id: `m-${n}` };
    if (n % 100 === 90) return { ...result('late', `${n}`), message_id: `m-${n}` };
    return said(n % 2 ? 'assistant' : 'user', `${step}: ${n}`, {
      message_id: `m-${n}`,
      tokens_used: 1,
      cost_usd: 0.001,
    });
  });
  for (let at = 0; at < length; at += 600) await say(api, id, ...messages.slice(at, at + 600));
  await app.database.pool.query(
    `update messages m set created_at = timestamptz '2026-01-01' + make_interval(secs => m.seq * $2)
     from sessions s where s.key = m.session_key and s.id = $1`,
    [id, step],
  );
  await remember(api, id, 'same', step);
  await remember(api, id, `own-${step}`, { step });
  expectOk(await api.post(at(id, '/memory'), { memory_type: 'note', content: `of ${step}` }), 201);
  expectOk(await api.put(at(id, '/stats'), { same: step, [`own_${step}`]: 1, metadata: { same: step } }));
  await app.database.pool.query(
    `insert into model_reports (session_key, n, model_type, model_name, calls, tokens, cost_usd, reported_at)
     select key, n, 'llm', 'm-' || n % 7, 1, n, 0.1, timestamptz '2026-01-01' + make_interval(secs => n * $2)
     from sessions, generate_series(1, 700) n where id = $1`,
    [id, step],
  );
  await app.database.pool.query(
    'update session_stats set reports = 700 from sessions where key = session_key and id = $1',
    [id],
  );
  return id;
}

async function mergeCase(app: TestApp, api: Api): Promise<Case> {
  const ids = [await makeSource(app, api, 900, 3), await makeSource(app, api, 500, 5)];
  const first = points(1100, 1);
  for (const some of [first.slice(0, 1000), first.slice(1000)]) await put(api, ids[0]!, ...some);
  await put(api, ids[1]!, ...points(40, 2));
  return { ids, path: '/api/v1/sessions/merge', body: { session_ids: ids, on_point_conflict: 'remap' } };
}

async function splitCase(app: TestApp, api: Api): Promise<Case> {
  const id = await makeSource(app, api, 1300, 3);
  await put(api, id, ...points(250, 1));
  const parts = [
    { title: 'Begin', to_seq: 1200, point_ids: Array.from({ length: 230 }, (_, n) => n) },
    { title: 'End', from_seq: 1201, point_ids: [240] },
  ];
  return { ids: [id], path: at(id, '/split'), body: { parts } };
}

/** All records of these sessions, with nothing that differs from run to run. */
async function recordsOf(api: Api, ids: string[]): Promise<Row> {
  const records: Row[] = [];
  for (const id of ids) {
    const { created_at, updated_at, last_activity_at, last_activity, archived_at, collection, ...rest } =
      await read(api, id);
    const { entries } = expectOk(await api.get(at(id, '/memory?limit=200')));
    records.push({
      session: {
        ...rest,
        archived_at: archived_at !== null,
        collection: collection && { ...collection, name: '' },
      },
      messages: (await history(api, id)).map((row) =>
        row.origin && row.origin.message_id !== row.message_id ? { ...row, message_id: 'another' } : row,
      ),
      stats: await statsOf(api, id),
      memory: entries
        .map(({ memory_id, created_at, updated_at, ...entry }: Row) => entry)
        .sort((a: Row, b: Row) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1)),
      points: (await pointsOf(api, id))
        .map((one) => ({
          ...one,
          ...(one.payload._origin && { id: 'moved' }),
          vector: createHash('sha256').update(JSON.stringify(one.vector)).digest('hex'),
        }))
        .sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1)),
      // a collection comes when a sweep makes it
      events: (await eventsOf(api, id))
        .filter(({ event_type }) => event_type !== 'collection.created')
        .map(({ event_type, payload }) => (payload.memory_id ? [event_type] : [event_type, payload])),
    });
  }
  let text = JSON.stringify(records);
  for (const [index, id] of ids.entries()) text = text.replaceAll(id, `session ${index}`);
  return JSON.parse(text);
}

async function statsOf(api: Api, id: string): Promise<Row> {
  const { idle_seconds, duration_seconds, collection, ...stats } = expectOk(await api.get(at(id, '/stats')));
  const reports = await walkByCursor(api, at(id, '/model-usage'), 'reports', { history: true, limit: 200 });
  return { ...stats, reports };
}

const made = (job: Row): string[] =>
  job.kind === 'merge' ? [job.result.session_id] : job.result.sessions.map((part: Row) => part.session_id);

const isMade = (kind: string) => `new.lineage ->> 'kind' = '${kind}'`;
const phase = (name: string, rest = 'true') => `new.cursor ->> 'phase' = '${name}' and ${rest}`;
const update = (table: string, when: string): Place => ({ table, on: 'update', when });
const insert = (table: string, when: string): Place => ({ table, on: 'insert', when });

const SHOWN = update('sessions', 'old.purged_at is not null and new.purged_at is null');
const ENDED = update('jobs', `new.state = 'succeeded'`);

const MERGE: [what: string, place: Place][] = [
  ['makes the target', insert('session_details', isMade('merge'))],
  ['is within the first page of messages', insert('messages', 'new.origin is not null and new.seq = 500')],
  ['is within the second page of messages', insert('messages', 'new.origin is not null and new.seq = 1200')],
  ['copies memory', insert('memory_entries', 'true')],
  ['is done with memory', update('jobs', phase('points', `(new.cursor ->> 'read')::int = 0`))],
  ['writes the first points', insert('vector_points', 'true')],
  [
    'has written a page of points',
    update('jobs', phase('points', `(new.cursor ->> 'read')::int between 64 and 1000`)),
  ],
  [
    'has written all points of a source',
    update('jobs', phase('points', `(new.cursor ->> 'read')::int = 1100`)),
  ],
  ['writes points under other ids', insert('vector_points', `new.payload::text like '%_origin%'`)],
  ['has written these', update('jobs', phase('points', `(new.cursor ->> 'read')::int = 1140`))],
  [
    'unites counters',
    insert('session_stats', `new.counters::text like '%own_5%' and new.counters::text like '%own_3%'`),
  ],
  ['is within the first page of reports', insert('model_reports', 'new.n = 500')],
  ['is within the second page of reports', insert('model_reports', 'new.n = 1200')],
  ['has written all reports', update('jobs', phase('finish'))],
  ['shows the target', SHOWN],
  ['archives a source', update('sessions', 'old.archived_at is null and new.archived_at is not null')],
  ['writes that it is done', ENDED],
];

const SPLIT: typeof MERGE = [
  ['makes a part', insert('session_details', isMade('split'))],
  ['is within the second page of messages', insert('messages', 'new.origin is not null and new.seq = 1100')],
  ['writes points', insert('vector_points', 'true')],
  ['has written a page of points', update('jobs', phase('copy', `(new.cursor ->> 'points')::int = 200`))],
  ['shows a part', SHOWN],
  ['removes points', update('vector_points', 'new.payload is null')],
  ['has removed a page of points', update('jobs', phase('remove', `(new.cursor ->> 'points')::int = 200`))],
  ['writes that it is done', ENDED],
];

/** Where points are copied by the worker, page by page, and not by PostgreSQL. */
const ofPoints = ([, { table, when }]: (typeof MERGE)[number]) =>
  table === 'jobs' && /read|points'\)/.test(when);

// the queue only tells of a job, the store only of points: with another one a few of the places are enough
describe.each<{ queue: Queue; vectors: 'PostgreSQL' | 'Qdrant'; oneIn: number }>([
  { queue: 'PostgreSQL', vectors: 'PostgreSQL', oneIn: 4 },
  { queue: 'Redis', vectors: 'PostgreSQL', oneIn: 8 },
  { queue: 'PostgreSQL', vectors: 'Qdrant', oneIn: 2 },
])('with the queue in $queue and vectors in $vectors', ({ queue, vectors, oneIn }) => {
  const fake = new FakeQdrant();
  let stage: Stage;
  let app: TestApp;
  let api: Api;

  beforeAll(async () => {
    await fake.start();
    stage = await Stage.open(queue, vectors === 'Qdrant' ? { QDRANT_URL: fake.url } : {});
    app = stage.app;
    api = app.api.as(fresh());
  }, 180_000);
  afterAll(async () => {
    await stage?.close();
    await fake.stop();
  });

  const ask = async ({ path, body }: Case) => expectOk(await api.post(path, body), 202).job_id as string;

  async function expectNothingElse(): Promise<void> {
    await eventually(
      async () => {
        await app.app.get(Sweeps, { strict: false }).run();
        const { rows } = await app.database.pool.query(
          `select s.key from sessions s where s.purged_at is not null or s.busy_job is not null
           union all select c.session_key from collections c where not exists (select from sessions s where s.key = c.session_key)`,
        );
        return rows;
      },
      (rows) => rows.length === 0,
    );
  }

  describe.each([
    ['merge', MERGE, mergeCase],
    ['split', SPLIT, splitCase],
  ] as const)('a %s', (what, places, make) => {
    let undisturbed: Row;
    beforeAll(async () => {
      const asked = await make(app, api);
      const job = await stage.over(api, await ask(asked));
      expect(job).toMatchObject({ state: 'succeeded', attempts: 1 });
      undisturbed = await recordsOf(api, [...asked.ids, ...made(job)]);
      const count = (name: string) => undisturbed.map((one: Row) => one[name].length).join(' + ');
      console.log(
        `undisturbed: ${count('messages')} messages, ${count('memory')} entries, ${count('points')} points`,
      );
    }, 120_000);

    const tried = drawn(
      `${what} with the queue in ${queue} and vectors in ${vectors}`,
      vectors === 'Qdrant' ? places.filter(ofPoints) : places,
      oneIn,
    );
    test.each(
      tried.flatMap(([what, place]) => [
        [what, 'is lost', place] as const,
        ...(place === ENDED ? [[what, 'is written all the same', place] as const] : []),
      ]),
    )(
      'whose worker is killed when it %s, which %s, comes out as ever',
      async (_what, fate, place) => {
        const asked = await make(app, api);
        const id = await stage.killAt(place, () => ask(asked), fate);
        await stage.startWorker();
        const job = await stage.overAfterKill(api, id);
        expect(job).toMatchObject({ state: 'succeeded', error: null });
        expect(await recordsOf(api, [...asked.ids, ...made(job)])).toEqual(undisturbed);
        await expectNothingElse();
      },
      180_000,
    );

    test('that is cancelled when its worker is dead leaves nothing, and goes through when it is tried again', async () => {
      const [, place] = places.find(([what]) => what === 'has written a page of points')!;
      const asked = await make(app, api);
      const before = await recordsOf(api, asked.ids);
      const id = await stage.killAt(place, () => ask(asked));
      expect(expectOk(await api.post(`/jobs/${id}/cancel`)).state).toBe('running');
      await stage.startWorker();
      expect(await stage.overAfterKill(api, id)).toMatchObject({ state: 'cancelled', result: null });
      await expectNothingElse();
      expect(await recordsOf(api, asked.ids)).toEqual(before);
      expectOk(await api.post(`/jobs/${id}/retry`));
      const job = await stage.over(api, id);
      expect(job).toMatchObject({ state: 'succeeded', error: null });
      expect(await recordsOf(api, [...asked.ids, ...made(job)])).toEqual(undisturbed);
      await expectNothingElse();
    }, 180_000);
  });
});
