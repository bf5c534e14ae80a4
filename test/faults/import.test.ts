import { once } from 'node:events';
import { type ClientRequest, request } from 'node:http';
import { createDatabase, type TestDatabase } from '../setup/database.js';
import { eventually } from '../setup/eventually.js';
import {
  collectionLine,
  type Line,
  manifestOf,
  memoryLine,
  messageLine,
  ndjson,
  pointLine,
  sessionLine,
} from '../setup/export-files.js';
import { FakeQdrant } from '../setup/fake-qdrant/fake-qdrant.js';
import { allNames, type LayoutName, storeAt } from '../setup/qdrant.js';
import { freePort, type Service, startService } from '../setup/service.js';
import { drawn } from './drawn.js';

const TIME = '2026-01-31T12:00:00.250Z';
const large = (bytes: number) => 'x'.repeat(bytes);
const some = (count: number, lineOf: (n: number) => Line): Line[] =>
  Array.from({ length: count }, (_, at) => lineOf(at + 1));
const checkpoint = (n: number) => ({
  ...{ type: 'checkpoint', n, checkpoint: { a: large(900_000) }, metadata: {}, created_at: TIME },
});

/** In the order of an export; so much of each that it is written before the next begins. */
const PARTS: [phase: string, lines: Line[]][] = [
  ['nothing', [manifestOf('killed'), sessionLine({ checkpoint_n: 6 })]],
  ['checkpoints', some(6, checkpoint)],
  ['messages', some(6, (n) => messageLine(n, { content: large(900_000) }))],
  ['memory_entries', some(20, (n) => memoryLine(n, { value: large(200_000) }))],
  ['collections', [collectionLine(), ...some(1, (n) => pointLine(n))]],
  ['points', some(2500, (n) => pointLine(n + 1))],
];
const LINES = PARTS.flatMap(([, lines]) => lines);
const TEXT = ndjson(LINES);
const HEADERS = { 'x-user-id': 'alice', 'content-type': 'application/x-ndjson' };

interface Held {
  [table: string]: number;
}

describe.each<['PostgreSQL' | LayoutName]>([['PostgreSQL'], ['dedicated'], ['shared']])(
  'with vectors in %s',
  (where) => {
    const fake = new FakeQdrant();
    let database: TestDatabase;
    let service: Service;
    let environment: NodeJS.ProcessEnv;

    beforeAll(async () => {
      await fake.start();
      database = await createDatabase();
      environment = {
        DATABASE_URL: database.url,
        PORT: String(await freePort()),
        SWEEP_SECONDS: '1',
        INDEX_SECONDS: '1',
      };
      if (where !== 'PostgreSQL') Object.assign(environment, { QDRANT_URL: fake.url, QDRANT_LAYOUT: where });
      service = await startService(environment);
    });
    afterAll(async () => {
      service.kill('SIGTERM');
      await service.exited;
      await database.drop();
      await fake.stop();
    });

    const stored = async () => {
      if (where === 'PostgreSQL') return { spaces: 0, points: 0 };
      const { store } = await storeAt(fake.url, where);
      const names = await allNames(store, 'ss');
      const space = (name: string) => ({ name, shape: { '': { size: 2, distance: 'dot' } } as const });
      const counts = await Promise.all(names.map((name) => store.count(space(name)).catch(() => 0)));
      return { spaces: names.length, points: counts.reduce((sum, count) => sum + count, 0) };
    };

    /** What every table and the store hold. */
    async function held(): Promise<Held> {
      const { rows } = await database.pool.query<{ name: string }>(
        `select tablename as name from pg_tables where schemaname = 'public' and tablename not in ('jobs', 'schedules')`,
      );
      const counts = rows.map(({ name }) => `'${name}', (select count(*) from "${name}")`);
      const [{ all }] = (await database.pool.query(`select json_build_object(${counts}) as all`)).rows;
      const { spaces, points } = await stored();
      return { ...all, spaces, points: points + all.vector_points };
    }

    /** Sends the lines up to the end of a phase, and no more. */
    function sendUpTo(phase: number): ClientRequest {
      const count = PARTS.slice(0, phase + 1).reduce((sum, [, lines]) => sum + lines.length, 0);
      const sent = request(`${service.url}/sessions/import`, { method: 'POST', headers: HEADERS });
      // the process at the other end is killed
      sent.on('error', () => undefined);
      sent.write(
        LINES.slice(0, count)
          .map((line) => `${JSON.stringify(line)}\n`)
          .join(''),
      );
      return sent;
    }

    // rows are written alike wherever vectors are
    const first = PARTS.findIndex(
      ([phase]) => phase === (where === 'PostgreSQL' ? 'checkpoints' : 'collections'),
    );
    const places = PARTS.map(([phase], at) => [phase, at] as const).slice(first);
    test.each(drawn(`import with vectors in ${where}`, places, 2))(
      'killed when it has written %s: nothing is left',
      async (phase, at) => {
        const before = await held();
        const sent = sendUpTo(Math.min(at + 1, PARTS.length - 1));
        await eventually(held, (seen) => seen[phase]! > before[phase]!);
        service.kill('SIGKILL');
        await service.exited;
        sent.destroy();
        expect((await held())[phase]).toBeGreaterThan(before[phase]!);
        service = await startService(environment);
        const alice = service.api.as('alice');
        expect((await alice.get('/sessions/killed')).status).toBe(404);
        expect((await alice.get('/sessions')).body.sessions).toEqual([]);
        expect((await alice.get('/events')).body.events).toEqual([]);
        expect((await held()).sessions).toBe(before.sessions! + 1);
        // three minutes later
        await database.pool.query(`update sessions set purged_at = now() where purged_at > now()`);
        await eventually(held, (seen) => JSON.stringify(seen) === JSON.stringify(before));
      },
      120_000,
    );

    test('what was killed is brought in afterwards, under its own id', async () => {
      const sent = request(`${service.url}/sessions/import`, { method: 'POST', headers: HEADERS });
      sent.end(TEXT);
      const [answer] = await once(sent, 'response');
      expect(answer.statusCode).toBe(201);
      answer.resume();
      const { body } = await service.api.as('alice').get('/sessions/killed');
      expect(body).toMatchObject({ message_count: 6, collection: { status: 'ready' } });
      expect((await held()).points).toBe(2501);
    });
  },
);
