import { Derivations } from '../../src/derived/derivations.js';
import { OLDEST_RUNNING_TX } from '../../src/events/events.sql.js';
import type { Api } from '../setup/api.js';
import { eventually } from '../setup/eventually.js';
import { api, app, useApp, user } from './suite.js';
import { append, at, create, deriveAll, expectOk, fresh } from './support.js';

useApp();

/** More than are derived from at once, twice. */
const MESSAGES = 2_500;

let id: string;
let heir: string;
beforeEach(async () => {
  id = (await create(api)).session_id;
  heir = fresh('heir');
  const messages = Array.from({ length: 100 }, () => ({ role: 'user', content: 'zebra' }));
  for (let sent = 0; sent < MESSAGES; sent += messages.length) await append(api, id, { messages });
  expectOk(await api.put(at(id, '/memory/animal'), { value: 'zebra' }), 201);
  await deriveAll(app);
});

const transfer = async (by: Api, to: string) => expectOk(await by.post(at(id, '/transfer'), { user_id: to }));

async function thereAndBack(): Promise<void> {
  await transfer(api, heir);
  await transfer(app.api.as(heir), user);
}

/** One that had something to do: what was just written may take a moment to show. */
const step = () =>
  eventually(
    () => app.app.get(Derivations).step(),
    (hadWork) => hadWork,
  );

const count = async (sql: string, ...values: unknown[]): Promise<number> =>
  (await app.database.pool.query(`select count(*)::int as n from ${sql}`, values)).rows[0].n;
const due = () => count('derived_due');
const owners = () =>
  count(
    `(select distinct owner from (
       select place_key, owner from message_texts union all select place_key, owner from memory_texts) t
       join sessions s on s.key = t.place_key where s.id = $1) o`,
    id,
  );
const isNoted = () =>
  count(`events e, stream_positions p where p.name = 'derived' and (e.tx, e.position) > (p.tx, p.position)`);

test('what others write is found while a long session is passed to and fro', async () => {
  const other = app.api.as(fresh('other'));
  const { session_id } = await create(other);
  const find = async () =>
    expectOk(await other.post('/api/v1/search/messages', { query: 'giraffe', mode: 'lexical' })).hits.length;
  for (let times = 0; times < 5; times++) await thereAndBack();
  await step();
  await append(other, session_id, { role: 'user', content: 'giraffe' });
  // what was just written may take a moment to be seen; from then on steps are counted
  const unseen = () => count(`events where tx >= ${OLDEST_RUNNING_TX}`);
  await eventually(unseen, (left) => left === 0);
  for (let steps = 0; steps < 6 && (await find()) === 0; steps++) {
    await step();
    await thereAndBack();
  }
  expect(await find()).toBe(1);
  await deriveAll(app);
  expect(await owners()).toBe(1);
});

test('what is due stays little however often a session is passed on, and comes to its end', async () => {
  const most: number[] = [];
  await transfer(api, heir);
  await step();
  for (let times = 0; times < 12; times++) {
    await transfer(app.api.as(heir), user);
    await append(api, id, { role: 'user', content: 'zebra' });
    await step();
    await transfer(api, heir);
    await step();
    most.push(await due());
  }
  // the whole, what is left of the one begun, the entry, and the messages that came meanwhile
  expect(Math.max(...most)).toBeLessThanOrEqual(3 + 12);
  expect(await count('derived_due where from_seq = 1')).toBeLessThanOrEqual(1);
  await deriveAll(app);
  expect([await owners(), await due()]).toEqual([1, 0]);
});

test('a history that changes hands while it is read is read once more', async () => {
  await transfer(api, heir);
  await step();
  await step();
  expect(await count('derived_due where from_seq > 1 and to_seq >= $1', MESSAGES)).toBe(1);
  const last = fresh('last');
  await transfer(app.api.as(heir), last);
  await eventually(
    async () => {
      await app.app.get(Derivations).step();
      return isNoted();
    },
    (left) => left === 0,
  );
  await deriveAll(app);
  expect(await owners()).toBe(1);
  const hits = expectOk(
    await app.api.as(last).post('/api/v1/memory/search', { query: 'zebra', mode: 'lexical' }),
  ).hits;
  expect(hits).toHaveLength(1);
});
