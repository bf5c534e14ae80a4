import type { Answer, Api } from '../setup/api.js';
import { contract } from '../setup/contract.js';
import { merge, point, SHAPE } from './histories.js';
import { api, app, useApp, user } from './suite.js';
import { append, at, create, deriveAll, expectOk, expectRefused, fresh, query } from './support.js';

useApp();

let id: string;
let guest: string;
let guests: Api;
beforeEach(async () => {
  id = (await create(api, { configuration: SHAPE })).session_id;
  await append(api, id, { role: 'user', content: 'a secret word', message_id: 'm' });
  expectOk(await api.put(at(id, '/memory/k'), { value: 'a secret fact' }), 201);
  expectOk(await api.put(at(id, '/points'), { points: [point(1, [1, 2])] }));
  expectOk(await api.post(at(id, '/checkpoints'), { checkpoint: { step: 1 } }), 201);
  guest = fresh('guest');
  guests = app.api.as(guest);
});

const SESSIONS = '/api/v1/sessions';
const search = (under: string, body: object) => (by: Api) =>
  by.post(`/api/v1${under}`, { query: 'secret', ...body });

/** Every way to see something of one session: operation → how it is asked. */
const READS: [operation: string, ask: (by: Api, id: string) => Promise<Answer>][] = [
  ['getSession', (by) => by.get(at(id))],
  ['getSession', (by) => by.get(at(id, '?include_deleted=true&include=messages'))],
  ['getSessionSummary', (by) => by.get(at(id, '/summary'))],
  ['getSessionStats', (by) => by.get(at(id, '/stats'))],
  ['getModelUsage', (by) => by.get(at(id, '/model-usage?history=true'))],
  ['listMessages', (by) => by.get(at(id, '/messages'))],
  ['getMessage', (by) => by.get(at(id, '/messages/m'))],
  ['listCheckpoints', (by) => by.get(at(id, '/checkpoints'))],
  ['getCheckpoint', (by) => by.get(at(id, '/checkpoints/1'))],
  ['listSessionMemory', (by) => by.get(at(id, '/memory'))],
  ['listSessionMemory', (by) => by.get(at(id, '/memory?include=user&view=map'))],
  ['getSessionMemory', (by) => by.get(at(id, '/memory/k'))],
  ['listSessionMemoryHistory', (by) => by.get(at(id, '/memory/k/history'))],
  ['getCollection', (by) => by.get(at(id, '/collection'))],
  ['getPoint', (by) => by.get(at(id, '/points/1'))],
  ['queryPoints', (by) => by.post(at(id, '/points/query'), { vector: [1, 2] })],
  ['scrollPoints', (by) => by.post(at(id, '/points/scroll'), {})],
  ['listSessionEvents', (by) => by.get(at(id, '/events'))],
  ['listCollaborators', (by) => by.get(at(id, '/collaborators'))],
  ['exportSession', (by) => by.get(at(id, '/export'))],
  ['makeContext', (by) => by.post(at(id, '/context'), { max_tokens: 1000, include_memory: true })],
  ['forkSession', (by) => by.post(at(id, '/fork'), {})],
  [
    'compareSessions',
    async (by) => by.get(`${SESSIONS}/compare${query({ session_ids: `${id},${await own(by)}` })}`),
  ],
  ['mergeSessions', async (by) => merge(by, { session_ids: [id, await own(by)], archive_sources: false })],
  ['searchMessages', (by) => search('/search/messages', { session_id: id })(by)],
  ['searchMemory', (by) => search('/memory/search', { session_id: id })(by)],
];

const own = async (by: Api): Promise<string> => (await create(by)).session_id;

const ENDS: [what: string, end: () => Promise<unknown>][] = [
  ['revoked', () => api.delete(at(id, `/share/${guest}`))],
  ['left', () => guests.delete(at(id, `/share/${guest}`))],
];

test('every operation that reads one session has a row', () => {
  const reads = Object.entries<Record<string, Record<string, unknown>>>(contract.paths)
    .filter(([path]) => path.includes('{session_id}'))
    .flatMap(([, item]) => Object.entries(item))
    .filter(([method]) => method === 'get')
    .map(([, { operationId }]) => operationId);
  expect(READS.map(([operation]) => operation)).toEqual(expect.arrayContaining(reads));
});

describe.each(ENDS)('once a role is %s', (_, end) => {
  it.each(READS.map(([operation, ask], index) => [`${operation} (row ${index + 1})`, ask] as const))(
    '%s sees nothing at the next request',
    async (_, ask) => {
      await expectShared();
      expect((await ask(guests, id)).status).toBeLessThan(300);
      await end();
      expectRefused(await ask(guests, id), 404, 'session_not_found');
    },
  );

  it('lists, searches and the stream of all hold nothing of it', async () => {
    await expectShared();
    await deriveAll(app);
    const seen = async () => {
      const answers = [
        await guests.get(`${SESSIONS}?shared_with_me=true&include_total=true`),
        await guests.get(`${SESSIONS}?shared_with_me=true&include_deleted=true&order=title`),
        await guests.get(`/api/v1/users/${guest}/sessions?shared_with_me=true`),
        await search('/search/messages', {})(guests),
        await search('/search/messages', { query: 'secrt' })(guests),
        await search('/memory/search', {})(guests),
        await guests.get('/api/v1/events?limit=1000'),
      ];
      return answers.map((answer) => {
        expectOk(answer);
        return answer.text.includes(id);
      });
    };
    expect(await seen()).toEqual(Array(7).fill(true));
    await end();
    expect(await seen()).toEqual(Array(7).fill(false));
  });
});

describe('a role made less', () => {
  it('holds at the next request', async () => {
    await expectShared('manager');
    expectOk(await guests.patch(at(id), { title: 'Mine' }));
    await expectShared('editor');
    expectRefused(await guests.patch(at(id), { title: 'Mine too' }), 403, 'forbidden');
    await append(guests, id, { role: 'user', content: 'x' });
    await expectShared('viewer');
    expectRefused(await guests.post(at(id, '/messages'), { role: 'user', content: 'x' }), 403, 'forbidden');
    expectRefused(await guests.post(at(id, '/heartbeat')), 403, 'forbidden');
    expectOk(await guests.get(at(id, '/messages')));
  });
});

it('who was shared with sees the past events, and who was removed none of them', async () => {
  await expectShared();
  const { events } = expectOk(await guests.get(at(id, '/events')));
  expect(events[0]).toMatchObject({ event_type: 'session.created', seq: 1 });
  await api.delete(at(id, `/share/${guest}`));
  expectRefused(await guests.get(at(id, '/events')), 404, 'session_not_found');
  await expectShared();
  expect(expectOk(await guests.get(at(id, '/events'))).events.length).toBe(events.length + 2);
  expect(expectOk(await api.get(`${SESSIONS}?shared_with_me=true`)).sessions).toEqual([]);
  expect(user).not.toBe(guest);
});

async function expectShared(role = 'viewer'): Promise<void> {
  expectOk(await api.post(at(id, '/share'), { user_ids: [guest], role }));
}
