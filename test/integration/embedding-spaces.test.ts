import { Database } from '../../src/database/database.js';
import { Sweeps } from '../../src/jobs/sweeps.js';
import { IndexingService } from '../../src/search/indexing.service.js';
import { DERIVED_STORE, type VectorStore } from '../../src/vectors/vector-store.js';
import { append, create, deriveAll, expectOk, fresh } from '../http/support.js';
import { startApp, type TestApp } from '../setup/app.js';
import { eventually } from '../setup/eventually.js';
import { FakeModels } from '../setup/fake-models.js';
import { FakeQdrant } from '../setup/fake-qdrant/fake-qdrant.js';
import { allNames } from '../setup/qdrant.js';

const qdrant = new FakeQdrant();
let models: FakeModels;
beforeAll(async () => {
  models = await FakeModels.start();
  await qdrant.start();
});
afterAll(async () => {
  await qdrant.stop();
  await models.close();
});

const STORES: [string, () => NodeJS.ProcessEnv][] = [
  ['in PostgreSQL', () => ({})],
  ['in Qdrant', () => ({ QDRANT_URL: qdrant.url })],
];

describe.each(STORES)('%s', (_, environment) => {
  /** Processes on one database, each with a model of its own. */
  let [one, two]: TestApp[] = [];
  beforeEach(async () => {
    models.size = 32;
    one = await start('one');
    two = await start('two', one);
  });
  afterEach(async () => {
    await two!.close();
    await one!.close();
  });

  const start = (model: string, other?: TestApp) =>
    startApp({ ...environment(), EMBEDDINGS_URL: models.url, EMBEDDINGS_MODEL: model }, other);

  const storeOf = ({ app }: TestApp) => app.get<VectorStore>(DERIVED_STORE, { strict: false });

  const names = async (app: TestApp) => {
    const { rows } = await app.database.pool.query('select id from installation');
    return allNames(storeOf(app), `${rows[0].id}e_`);
  };

  /** Everything is read and embedded, by this process. */
  async function embedAll(app: TestApp): Promise<void> {
    await deriveAll(app);
    await eventually(
      async () => {
        await app.app.get(Sweeps).run();
        const { rows } = await app.database.pool.query(
          `select from text_vectors where state in ('due', 'answered', 'gone') limit 1`,
        );
        return rows.length;
      },
      (left) => left === 0,
    );
  }

  async function reindex(app: TestApp): Promise<void> {
    const indexing = app.app.get(IndexingService, { strict: false });
    await app.app.get(Database).run(() => indexing.reindex());
    await embedAll(app);
    await app.app.get(Sweeps).run();
  }

  /** A user, who has said this. */
  async function speaker(text: string): Promise<string> {
    const user = fresh();
    const { session_id } = await create(one!.api.as(user));
    await append(one!.api.as(user), session_id, { role: 'user', content: text });
    return user;
  }

  async function found(app: TestApp, user: string): Promise<unknown[]> {
    const asked = { query: 'car', mode: 'semantic' };
    const { hits } = expectOk(await app.api.as(user).post('/api/v1/search/messages', asked));
    return hits.map(({ message }: { message: { content: unknown } }) => message.content);
  }

  it('what another model has left behind is dropped when all is asked for anew, and not before', async () => {
    const users = [await speaker('an automobile'), await speaker('a vehicle')];
    await embedAll(one!);
    const old = await names(one!);
    expect(old).toHaveLength(2);
    await embedAll(two!);
    await two!.app.get(Sweeps).run();
    expect(await names(one!)).toEqual(old);
    expect(await found(one!, users[0]!)).toEqual(['an automobile']);
    expect(await found(two!, users[0]!)).toEqual([]);

    await reindex(two!);
    const now = await names(one!);
    expect(now).toHaveLength(2);
    expect(now.filter((name) => old.includes(name))).toEqual([]);
    expect(await found(two!, users[0]!)).toEqual(['an automobile']);
    expect(await found(two!, users[1]!)).toEqual(['a vehicle']);

    // and back: names come again
    await reindex(one!);
    expect(await names(one!)).toEqual(old);
    expect(await found(one!, users[1]!)).toEqual(['a vehicle']);
  });

  it('what a process of the other model stores at the same time is kept, or asked for anew', async () => {
    const user = await speaker('an automobile');
    await embedAll(one!);
    const late: string[] = [];
    const store = storeOf(two!);
    const drop = store.drop.bind(store);
    // between the look at the rows and the drop
    store.drop = async (name) => {
      if (late.length === 0) {
        const { session_id } = await create(one!.api.as(user));
        await append(one!.api.as(user), session_id, { role: 'user', content: 'a late vehicle' });
        await embedAll(one!);
        late.push(...(await found(one!, user)).map(String));
      }
      await drop(name);
    };
    await reindex(two!);
    store.drop = drop;
    expect(late).toContain('a late vehicle');
    await embedAll(one!);
    const everywhere = [...(await found(one!, user)), ...(await found(two!, user))];
    expect(everywhere.sort()).toEqual(['a late vehicle', 'an automobile']);
    // …and what belongs to the first model now stays
    const kept = await names(two!);
    await two!.app.get(Sweeps).run();
    expect(await names(two!)).toEqual(kept);
  });

  it('a model that answers vectors of another size leaves nothing behind, and other installations nothing is taken from', async () => {
    const user = await speaker('an automobile');
    await embedAll(one!);
    const old = await names(one!);
    const others = {
      name: `ss00000000e_${fresh('x')}-2_1`,
      shape: { '': { size: 2, distance: 'cosine' } },
    } as const;
    await storeOf(one!).ensure(others);
    models.size = 24;
    await reindex(one!);
    const now = await names(one!);
    expect(now).toHaveLength(1);
    expect(now).not.toEqual(old);
    expect(await found(one!, user)).toEqual(['an automobile']);
    expect(await allNames(storeOf(one!), 'ss00000000e_')).toContain(others.name);
  });
});
