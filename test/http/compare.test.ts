import { Database } from '../../src/database/database.js';
import { COMPARED } from '../../src/restructure/differences.js';
import type { Api } from '../setup/api.js';
import { api, app, service, useApp, user } from './suite.js';
import {
  append,
  at,
  create,
  expectOk,
  expectRefused,
  fresh,
  read,
  runOut,
  share,
  silence,
} from './support.js';

useApp();

const ask = (by: Api, ids: string[]) =>
  by.get(`/api/v1/sessions/compare?session_ids=${encodeURIComponent(ids.join(','))}`);
const compare = async (by: Api, ids: string[]) => expectOk(await ask(by, ids));
const make = async (fields: object = {}): Promise<string> => (await create(api, fields)).session_id;
const say = (id: string, model?: string, rest: object = {}) =>
  append(api, id, { role: 'user', content: 'x', ...(model && { model }), ...rest });

/** Makes sessions look as if they had been made at the same moment. */
const atOneMoment = (ids: string[]) =>
  app.database.pool.query(
    `update sessions set created_at = '2026-01-01', last_activity_at = '2026-01-01' where id = any($1)`,
    [ids],
  );

test('sessions are summed up as each alone, in the order asked', async () => {
  const ids = [await make(), await make(), await make()];
  await say(ids[1]!, 'm', { tokens_used: 5, cost_usd: 0.25 });
  expectOk(await api.put(at(ids[2]!, '/memory/k'), { value: 1 }), 201);
  for (const order of [ids, ids.toReversed()]) {
    const alone = await Promise.all(order.map(async (id) => expectOk(await api.get(at(id, '/summary')))));
    expect((await compare(api, order)).sessions).toEqual(alone);
  }
});

test('what they share is what all of them have', async () => {
  const [a, b, c] = [
    await make({ tags: ['x', 'y', 'z'] }),
    await make({ tags: ['z', 'x'] }),
    await make({ tags: ['x', 'z', 'w'] }),
  ];
  for (const [id, models] of [
    [a!, ['m-1', 'm-2', 'm-3', 'm-1']],
    [b!, ['m-3', 'm-1']],
    [c!, ['m-1']],
  ] as const)
    for (const model of models) await say(id, model);
  await say(c!);
  const { common, differences } = await compare(api, [a!, b!, c!]);
  expect(common).toEqual({ tags: ['x', 'z'], models: ['m-1'] });
  expect(differences.models).toEqual({ [a!]: ['m-1', 'm-2', 'm-3'], [b!]: ['m-1', 'm-3'], [c!]: ['m-1'] });
  expect((await compare(api, [a!, await make()])).common).toEqual({ tags: [], models: [] });
});

test('what differs is told of every one, what does not is left out', async () => {
  const same = { tags: ['a', 'b'], context: { a: 1, b: [1] }, metadata: { m: { x: 1, y: 2 } } };
  const [a, b, c] = [
    await make({ ...same, title: 'T' }),
    await make({ ...same, title: 'T', tags: ['b', 'a'], metadata: { m: { y: 2, x: 1 } } }),
    await make({ ...same, title: 'U', status: 'paused' }),
  ];
  await atOneMoment([a!, b!, c!]);
  expect((await compare(api, [a!, b!])).differences).toEqual({});
  expect((await compare(api, [a!, b!, c!])).differences).toEqual({
    title: { [a!]: 'T', [b!]: 'T', [c!]: 'U' },
    status: { [a!]: 'active', [b!]: 'active', [c!]: 'paused' },
  });
});

test('every field that can differ does', async () => {
  const a = await make();
  const { session_id: b } = await create(service, {
    ...{ title: 'T', description: 'D', session_type: 'workflow', status: 'paused', user_id: fresh('other') },
    ...{ agent_id: 'agent', client_id: 'web', runtime_backend: 'local', tags: ['t'], timeout_minutes: 90 },
    ...{ heartbeat_timeout_seconds: 60, auto_recover: true, legal_hold: true, configuration: { c: 1 } },
    ...{ context: { c: 1 }, metadata: { m: 1 } },
  });
  const message = { role: 'user', content: 'x', model: 'm', tokens_used: 1, cost_usd: 0.1 };
  await append(service, b, message);
  const { differences } = await compare(service, [a, b]);
  expect(Object.keys(differences).sort()).toEqual([...COMPARED].sort());
  const views = {
    [a]: { ...(await read(service, a)), models: [] },
    [b]: { ...(await read(service, b)), models: ['m'] },
  };
  for (const field of COMPARED)
    expect(differences[field]).toEqual({ [a]: views[a][field], [b]: views[b][field] });
});

test('a status is the one it has at this moment', async () => {
  const [a, b] = [
    await make({ heartbeat_timeout_seconds: 30 }),
    await make({ heartbeat_timeout_seconds: 30 }),
  ];
  await silence(app.database, b, 60);
  expect((await compare(api, [a, b])).differences.status).toEqual({ [a]: 'active', [b]: 'crashed' });
});

test('what the caller may not see does not exist for him', async () => {
  const mine = await make();
  const { session_id: theirs } = await create(app.api.as(fresh('other')), {
    title: 'secret',
    tags: ['secret'],
  });
  for (const id of [theirs, 'never-made'])
    for (const ids of [
      [mine, id],
      [id, mine],
    ]) {
      const answer = await ask(api, ids);
      expectRefused(answer, 404, 'session_not_found');
      expect(answer.text).not.toContain('secret');
    }
  const other = (await ask(api, [mine, 'never-made'])).body;
  const { request_id: _, ...shown } = (await ask(api, [mine, theirs])).body;
  expect({ ...shown, instance: '' }).toEqual({ ...other, request_id: undefined, instance: '' });
  await share(app, theirs, user, 'viewer');
  expect((await compare(api, [mine, theirs])).sessions).toHaveLength(2);
});

test('what is deleted, expired or gone for good is not compared', async () => {
  const [mine, deleted, gone] = [await make(), await make(), await make()];
  const expired = await make({ timeout_minutes: 5 });
  expectOk(await api.delete(at(deleted)));
  expectOk(await api.delete(at(gone, '?permanent=true')), 204);
  await runOut(app.database, expired);
  for (const id of [deleted, expired]) expectRefused(await ask(api, [mine, id]), 404, 'session_deleted');
  expectRefused(await ask(api, [mine, gone]), 404, 'session_not_found');
});

describe('session_ids', () => {
  const many = (count: number) => Array.from({ length: count }, (_, index) => `many-${index}`);

  test.each([
    ['of one', ['a']],
    ['of 21', many(21)],
    ['of none', ['']],
    ['with one twice', ['a', 'b', 'a']],
    ['with an empty item', ['a', '', 'b']],
    [
      'with a UUID in either case',
      ['0190B5B0-6A3C-7C7E-9A53-6F1D3C1F2A10', '0190b5b0-6a3c-7c7e-9a53-6f1d3c1f2a10'],
    ],
  ])('%s: 422', async (_, ids) => {
    const answer = await ask(api, ids);
    expectRefused(answer, 422, 'invalid');
    expect(answer.body.errors[0].pointer).toBe('?session_ids');
  });

  test.each(['', '?ids=a,b', '?session_ids=a,b&more=1', '?session_ids=a&session_ids=b'])(
    '%j: 422',
    async (query) => expectRefused(await api.get(`/api/v1/sessions/compare${query}`), 422, 'invalid'),
  );

  test('may be 20 of the longest', async () => {
    const ids = many(20).map((id) => id.padEnd(255, 'x'));
    for (const session_id of ids) await create(api, { session_id });
    expect(
      (await compare(api, ids)).sessions.map(({ session_id }: { session_id: string }) => session_id),
    ).toEqual(ids);
  });

  test('are taken as in paths: a UUID in either case, and names that objects have', async () => {
    const uuid = '0190b5b0-6a3c-7c7e-9a53-6f1d3c1f2a11';
    for (const session_id of [uuid, '__proto__', 'constructor'])
      await create(api, { session_id, title: session_id });
    const { differences } = await compare(api, [uuid.toUpperCase(), '__proto__', 'constructor']);
    expect(Object.entries(differences.title)).toEqual(
      [uuid, '__proto__', 'constructor'].map((id) => [id, id]),
    );
  });
});

test('the number of round trips does not grow with the sessions', async () => {
  const database = app.app.get(Database);
  const query = database.query.bind(database);
  let sent = 0;
  database.query = (...args) => {
    sent++;
    return query(...args);
  };
  const ids: string[] = [];
  for (let i = 0; i < 20; i++) ids.push(await make());
  const tripsFor = async (count: number) => {
    sent = 0;
    await compare(api, ids.slice(0, count));
    return sent;
  };
  expect(await tripsFor(20)).toBe(await tripsFor(2));
  expect(sent).toBeLessThanOrEqual(3);
  database.query = query;
});
