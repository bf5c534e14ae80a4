import { Database } from '../../src/database/database.js';
import { startApp, type TestApp } from '../setup/app.js';
import { eventually } from '../setup/eventually.js';

let app: TestApp;
let database: Database;
beforeAll(async () => {
  app = await startApp();
  database = app.app.get(Database, { strict: false });
  await database.query({ text: 'create table noted (n int)' });
});
afterAll(() => app.close());

const note = (n: number) => database.query({ text: 'insert into noted values ($1)' }, [n]);
/** What everybody else sees. */
const noted = async (n: number) =>
  (await app.database.pool.query('select 1 from noted where n = $1', [n])).rows.length;

test('comes after the commit, in order, and sees what was written', async () => {
  const told: unknown[] = [];
  await database.run(async () => {
    await note(1);
    database.afterCommit(async () => void told.push(['first', await noted(1)]));
    database.afterCommit(() => void told.push('second'));
    expect(await noted(1)).toBe(0);
    expect(told).toEqual([]);
  });
  await eventually(
    async () => told,
    (all) => all.length === 2,
  );
  expect(told).toEqual(['second', ['first', 1]]);
});

test('of a transaction within another comes after the outer one', async () => {
  const told: string[] = [];
  await database.run(async () => {
    await database.run(async () => {
      await note(2);
      database.afterCommit(() => void told.push('inner'));
    });
    expect(told).toEqual([]);
    expect(await noted(2)).toBe(0);
  });
  expect(told).toEqual(['inner']);
  expect(await noted(2)).toBe(1);
});

test('never comes after a rollback, nor after a commit that failed', async () => {
  const told: string[] = [];
  const rolledBack = database.run(async () => {
    await database.run(async () => database.afterCommit(() => void told.push('inner')));
    database.afterCommit(() => void told.push('outer'));
    throw new Error('no');
  });
  await expect(rolledBack).rejects.toThrow('no');
  await database.query({
    text: 'create table late (n int, constraint late_n unique (n) deferrable initially deferred)',
  });
  const uncommitted = database.run(async () => {
    database.afterCommit(() => void told.push('uncommitted'));
    await database.query({ text: 'insert into late values (1), (1)' });
  });
  await expect(uncommitted).rejects.toThrow('late_n');
  await database.run(async () => database.afterCommit(() => void told.push('next')));
  expect(told).toEqual(['next']);
});

test('comes at once without a transaction', () => {
  const told: string[] = [];
  database.afterCommit(() => void told.push('now'));
  expect(told).toEqual(['now']);
});

test('that throws takes nothing with it', async () => {
  const told: string[] = [];
  const result = await database.run(async () => {
    await note(3);
    database.afterCommit(() => {
      throw new Error('thrown');
    });
    database.afterCommit(() => Promise.reject(new Error('rejected')));
    database.afterCommit(() => void told.push('told'));
    return 'kept';
  });
  expect([result, told, await noted(3)]).toEqual(['kept', ['told'], 1]);
});

test('runs in no transaction: what it writes is its own', async () => {
  let isDone = false;
  await database.run(async () => {
    await note(4);
    database.afterCommit(async () => {
      await database.run(() => note(5));
      isDone = true;
    });
  });
  await eventually(
    async () => isDone,
    (done) => done,
  );
  expect([await noted(4), await noted(5)]).toEqual([1, 1]);
});
