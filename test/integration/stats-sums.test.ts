import { Database } from '../../src/database/database.js';
import { Sweeps } from '../../src/jobs/sweeps.js';
import { MessageSums } from '../../src/messages/message-sums.js';
import { Recount } from '../../src/stats/recount.js';
import { said } from '../http/histories.js';
import { append, at, create, expectOk, fresh } from '../http/support.js';
import type { Api } from '../setup/api.js';
import { startApp, type TestApp } from '../setup/app.js';
import { eventually } from '../setup/eventually.js';

let app: TestApp;
let api: Api;
beforeAll(async () => {
  app = await startApp();
  api = app.api.as('alice');
});
afterAll(() => app.close());

// biome-ignore lint/suspicious/noExplicitAny: rows of answers of every shape
type Row = any;

const stats = async (id: string): Promise<Row> => expectOk(await api.get(at(id, '/stats')));
const keyOf = async (id: string): Promise<number> => {
  const { rows } = await app.database.pool.query('select key::int from sessions where id = $1', [id]);
  return rows[0].key;
};
const message = (n: number) =>
  said('assistant', `${n}`, { model: `m-${n % 3}`, tokens_used: n, cost_usd: n / 10 });
const foldOf = async (key: number): Promise<number> => {
  const { rows } = await app.database.pool.query(
    'select folded_seq::int from message_folds where session_key = $1',
    [key],
  );
  return rows[0]?.folded_seq ?? 0;
};

/** What the messages come to, counted one by one; in units of 10^-10, so exactly. */
async function recounted(id: string): Promise<Row> {
  const { rows } = await app.database.pool.query(
    `select m.role, m.model, to_char(m.created_at at time zone 'UTC', 'YYYY-MM-DD') as day, m.tokens_used as tokens,
       (m.cost_usd * 1e10)::bigint::text as cost
     from messages m join sessions s on s.key = m.session_key where s.id = $1`,
    [id],
  );
  const parts: Row = { role: {}, model: {}, day: {} };
  for (const row of rows)
    for (const kind of ['role', 'model', 'day']) {
      const name = row[kind] ?? '';
      parts[kind][name] ??= { messages: 0, tokens: 0, cost: 0n };
      const part = parts[kind][name];
      part.messages++;
      part.tokens += row.tokens ?? 0;
      part.cost += BigInt(row.cost ?? 0);
    }
  return { total: rows.length, ...parts };
}

function expectSame(told: Row, counted: Row): void {
  const units = (dollars: number) => BigInt(Math.round(dollars * 1e10));
  const parts = (rows: Row[], name: string) =>
    Object.fromEntries(
      rows.map((row) => [
        row[name] ?? '',
        { messages: row.messages, tokens: row.tokens, cost: units(row.cost_usd) },
      ]),
    );
  expect(told.messages.total).toBe(counted.total);
  const roles = Object.entries<number>(told.messages.by_role).filter(([, count]) => count > 0);
  expect(Object.fromEntries(roles)).toEqual(
    Object.fromEntries(Object.entries<Row>(counted.role).map(([role, { messages }]) => [role, messages])),
  );
  expect(parts(told.by_model, 'model')).toEqual(counted.model);
  expect(parts(told.by_day, 'day')).toEqual(counted.day);
  const all = Object.values<Row>(counted.role);
  expect(told.tokens).toBe(all.reduce((sum, { tokens }) => sum + tokens, 0));
  expect(units(told.cost_usd)).toBe(all.reduce((sum, { cost }) => sum + cost, 0n));
}

/** One moment: the parts are those of the total. */
function expectWhole({ messages, tokens, by_model, by_day }: Row): void {
  const sum = (rows: Row[], name: string) => rows.reduce((all, row) => all + row[name], 0);
  expect(Object.values<number>(messages.by_role).reduce((a, b) => a + b, 0)).toBe(messages.total);
  for (const rows of [by_model, by_day])
    expect([sum(rows, 'messages'), sum(rows, 'tokens')]).toEqual([messages.total, tokens]);
}

test.each([1, 2, 3])(
  'appends, edits, redactions, folds and readers at once: as the recount says (%i)',
  async () => {
    const { session_id: id } = await create(api, { session_id: fresh('busy') });
    const key = await keyOf(id);
    const sums = app.app.get(MessageSums);
    const random = (n: number) => Math.floor(Math.random() * n);
    const ids: string[] = [];
    let isOver = false;
    const pace = () => new Promise((resolve) => setTimeout(resolve, random(5)));
    const whileWriting = async (work: () => Promise<unknown>) => {
      while (!isOver) await work();
    };
    const write = async () => {
      for (let round = 0; round < 20; round++) {
        const messages = Array.from({ length: 1 + random(80) }, () => {
          const role = ['user', 'assistant', 'system', 'developer'][random(4)]!;
          const figures = random(3) ? { tokens_used: random(1000), cost_usd: random(1e6) / 1e10 } : {};
          return said(role, 'x', { ...(random(3) ? { model: `m-${random(6)}` } : {}), ...figures });
        });
        const made = await append(api, id, { messages });
        ids.push(...made.messages.map((row: Row) => row.message_id));
        // days that have passed
        if (round === 5)
          await app.database.pool.query(
            `update sessions set last_message_at = now() + interval '1 day' where key = $1`,
            [key],
          );
      }
    };
    const edit = async () => {
      await pace();
      const of = ids[random(ids.length)];
      if (!of) return;
      if (random(10) === 0) return void expectOk(await api.delete(at(id, `/messages/${of}`)));
      const body = { tokens_used: random(4) ? random(1000) : null, cost_usd: random(1e6) / 1e10 };
      const answer = await api.patch(at(id, `/messages/${of}`), body);
      if (answer.status !== 409) expectOk(answer);
    };
    const fold = () => sums.fold(key).then(pace);
    const read = async () => expectWhole(await stats(id));
    const others = [edit, edit, edit, fold, fold, read].map(whileWriting);
    await Promise.all([write(), write()]).finally(() => {
      isOver = true;
    });
    await Promise.all(others);
    expectSame(await stats(id), await recounted(id));
    while ((await sums.fold(key)) > 0) {}
    expect(await foldOf(key)).toBe(ids.length);
    expectSame(await stats(id), await recounted(id));
    expect(await app.app.get(Recount).findFaulty()).toEqual([]);
  },
  120_000,
);

describe('an edit and a fold that meet', () => {
  let id: string;
  let key: number;
  let patched: string;
  beforeEach(async () => {
    id = (await create(api, { session_id: fresh('met') })).session_id;
    key = await keyOf(id);
    const { messages } = await append(api, id, { messages: [1, 2, 3, 4].map(message) });
    patched = at(id, `/messages/${messages[1].message_id}`);
  });

  const waiting = (what: string) =>
    eventually(
      async () =>
        (
          await app.database.pool.query(
            `select from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database() and query like $1`,
            [`%${what}%`],
          )
        ).rowCount,
      (count) => count === 1,
    );
  const patch = () => api.patch(patched, { tokens_used: 100, cost_usd: 5 });
  async function expectRight(): Promise<void> {
    expectSame(await stats(id), await recounted(id));
    expect((await stats(id)).tokens).toBe(108);
    expect(await app.app.get(Recount).findFaulty()).toEqual([]);
  }

  test('the fold has begun first: the edit waits for it, and corrects the sums', async () => {
    let edited: ReturnType<typeof patch>;
    await app.app.get(Database).run(async () => {
      await app.app.get(MessageSums).fold(key);
      edited = patch();
      await waiting('message_folds');
    });
    expectOk(await edited!);
    expect(await foldOf(key)).toBe(4);
    await expectRight();
  });

  test.each(['edit', 'fold'])('both wait for another: the %s has asked first', async (first) => {
    const client = await app.database.pool.connect();
    await client.query('insert into message_folds (session_key, folded_seq) values ($1, 0)', [key]);
    await client.query('begin');
    await client.query('select from message_folds where session_key = $1 for update', [key]);
    const begin = { edit: patch, fold: () => app.app.get(MessageSums).fold(key) };
    const others = first === 'edit' ? (['edit', 'fold'] as const) : (['fold', 'edit'] as const);
    const done: Promise<unknown>[] = [];
    for (const [index, other] of others.entries()) {
      done.push(begin[other]());
      await eventually(
        async () =>
          (
            await app.database.pool.query(
              `select from pg_locks l join pg_stat_activity a using (pid)
               where not l.granted and a.datname = current_database() and a.query like '%message_folds%'`,
            )
          ).rowCount,
        (count) => count === index + 1,
      );
    }
    await client.query('commit');
    client.release();
    await Promise.all(done);
    await expectRight();
  });

  test('the session is deleted for good while it is folded: nothing is left of it', async () => {
    await app.app.get(Database).run(async () => {
      await app.app.get(MessageSums).fold(key);
      expect((await api.delete(at(id, '?permanent=true'))).status).toBe(204);
    });
    const swept = async () => {
      await app.app.get(Sweeps).run();
      const { rows } = await app.database.pool.query(
        'select from sessions where key = $1 union all select from message_folds where session_key = $1 union all select from message_sums where session_key = $1',
        [key],
      );
      return rows.length;
    };
    await eventually(swept, (left) => left === 0);
    // who meant to fold it, and comes late
    expect(await app.app.get(MessageSums).fold(key)).toBe(0);
    expect(await swept()).toBe(0);
  });
});

test('the sweep folds what there is much of, in bounded transactions, and leaves the rest to readers', async () => {
  const [many, few] = [await create(api), await create(api)];
  for (let n = 0; n < 3; n++)
    await append(api, many.session_id, { messages: Array.from({ length: 700 }, (_, i) => message(i)) });
  await append(api, few.session_id, { messages: [message(1)] });
  const key = await keyOf(many.session_id);
  await eventually(
    async () => {
      await app.app.get(Sweeps).run();
      return foldOf(key);
    },
    (folded) => folded === 2100,
  );
  expect(await foldOf(await keyOf(few.session_id))).toBe(0);
  expectSame(await stats(many.session_id), await recounted(many.session_id));
});

test('what a session was copied from stays out of service totals, whatever is folded', async () => {
  const own = app.api.as(fresh('copier'));
  const { session_id } = await create(own);
  await append(own, session_id, { messages: Array.from({ length: 600 }, (_, n) => message(n % 4)) });
  const fork = expectOk(await own.post(at(session_id, '/fork'), {}), 201);
  await app.app.get(MessageSums).fold(await keyOf(fork.session_id));
  const told = expectOk(await own.get(at(fork.session_id, '/stats')));
  expect(told).toMatchObject({ messages: { total: 600 }, tokens: 900, cost_usd: 90 });
  expect(expectOk(await own.get('/api/v1/sessions/stats'))).toMatchObject({
    total_messages: 600,
    total_tokens: 900,
  });
});

test('the recount tells which sessions have figures that are not right', async () => {
  const { session_id: id } = await create(api, { session_id: fresh('faulty') });
  const key = await keyOf(id);
  await append(api, id, { messages: [1, 2, 3].map(message) });
  await app.app.get(MessageSums).fold(key);
  for (const model_name of ['a', 'b'])
    expectOk(await api.put(at(id, '/model-usage'), { model_type: 'llm', model_name, tokens: 1 }));
  const faults = async () => {
    const found = await app.app.get(Recount).findFaulty();
    return found.filter(({ session_key }) => session_key === key).map(({ what }) => what);
  };
  expect(await faults()).toEqual([]);
  for (const [change, undo, what] of [
    ['message_sums set tokens = tokens + 1', 'message_sums set tokens = tokens - 1', 'messages by day'],
    ['message_sums set cost = cost + 1e-10', 'message_sums set cost = cost - 1e-10', 'messages by model'],
    [
      'model_usage set last_n = 3',
      `model_usage set last_n = case model_name when 'a' then 1 else 2 end`,
      'use of models',
    ],
    ['session_stats set switches = 2', 'session_stats set switches = 1', 'switches of models'],
  ] as const) {
    await app.database.pool.query(`update ${change} where session_key = $1`, [key]);
    expect(await faults()).toContain(what);
    await app.database.pool.query(`update ${undo} where session_key = $1`, [key]);
    expect(await faults()).toEqual([]);
  }
  await app.database.pool.query('update sessions set total_tokens = 7 where key = $1', [key]);
  expect(await faults()).toEqual(['messages']);
  await app.database.pool.query('update sessions set total_tokens = 6 where key = $1', [key]);
});
