import { Sweeps } from '../../src/jobs/sweeps.js';
import type { Answer, Api } from '../setup/api.js';
import { contract } from '../setup/contract.js';
import { api, app, service, useApp, user } from './suite.js';
import { at, create, eventsOf, expectOk, silence } from './support.js';

useApp();

const STATES = ['expired', 'overdue', 'archived', 'deleted', 'held', 'held, overdue'] as const;
type State = (typeof STATES)[number];

/** What each shows as its status. */
const STATUS: Record<State, string> = {
  expired: 'deleted',
  overdue: 'crashed',
  archived: 'archived',
  deleted: 'deleted',
  held: 'active',
  'held, overdue': 'crashed',
};

const CLOCKS = { timeout_minutes: 5, heartbeat_timeout_seconds: 600 };
const FIELDS: Record<State, object> = {
  expired: CLOCKS,
  overdue: { ...CLOCKS, heartbeat_timeout_seconds: 30 },
  archived: { ...CLOCKS, heartbeat_timeout_seconds: 30, status: 'archived' },
  deleted: { ...CLOCKS, heartbeat_timeout_seconds: 30 },
  held: { timeout_minutes: 5, legal_hold: true },
  'held, overdue': { ...CLOCKS, legal_hold: true },
};

const message = { role: 'user', content: 'x' };

/** A session in the state, with a message and a checkpoint, its clock moved an hour back. */
async function make(state: State): Promise<string> {
  const { session_id } = await create(service, {
    ...{ user_id: user, client_id: user, title: 'T', checkpoint: { step: 1 } },
    ...{ ...FIELDS[state], status: 'active' },
  });
  expectOk(await api.post(at(session_id, '/messages'), { ...message, message_id: 'm' }), 201);
  expectOk(await api.put(at(session_id, '/memory/k'), { value: 1 }), 201);
  if (state === 'archived') expectOk(await api.post(at(session_id, '/archive')));
  if (state === 'deleted') expectOk(await api.delete(at(session_id)));
  await silence(app.database, session_id, 3600);
  return session_id;
}

const another = async () => (await create(service, { user_id: user })).session_id;

const GONE = '404 session_deleted';
const CLOSED = '409 session_not_open';
const NO_WAY = '409 invalid_transition';
const HELD = '409 legal_hold';
const NONE = '404 no_collection';
const NO_MEMBER = '404 not_a_collaborator';

/** In the order of the states. */
const row = (...cells: [string, string, string, string, string, string]) =>
  Object.fromEntries(STATES.map((state, index) => [state, cells[index]!])) as Record<State, string>;

const READ = row(GONE, '200', '200', GONE, '200', '200');
const ALWAYS = row('200', '200', '200', '200', '200', '200');
const OPEN_ONLY = (status: string) => row(GONE, CLOSED, CLOSED, GONE, status, CLOSED);

/** operationId, and what is asked of it → what each state answers. */
const TABLE: [operation: string, ask: (id: string) => Promise<Answer>, row: Record<State, string>][] = [
  ['getSession', (id) => api.get(at(id)), READ],
  ['getSession', (id) => api.get(at(id, '?include_deleted=true')), ALWAYS],
  ['getSession', (id) => api.get(at(id, '?include=messages')), READ],
  ['listMessages', (id) => api.get(at(id, '/messages')), READ],
  ['getSessionSummary', (id) => api.get(at(id, '/summary')), READ],
  ['listMessages', (id) => api.get(at(id, '/messages?role=user&include_total=true')), READ],
  ['getMessage', (id) => api.get(at(id, '/messages/m')), READ],
  ['listCheckpoints', (id) => api.get(at(id, '/checkpoints')), READ],
  ['getCheckpoint', (id) => api.get(at(id, '/checkpoints/1')), READ],
  ['forkSession', (id) => api.post(at(id, '/fork'), {}), row(GONE, '201', '201', GONE, '201', '201')],
  [
    'mergeSessions',
    async (id) => api.post('/api/v1/sessions/merge', { session_ids: [id, await another()] }),
    row(GONE, '202', '202', GONE, '202', '202'),
  ],
  [
    'splitSession',
    (id) => api.post(at(id, '/split'), { parts: [{ title: 'A part', from_seq: 1 }] }),
    row(GONE, '202', '202', GONE, '202', '202'),
  ],
  ['exportSession', (id) => api.get(at(id, '/export')), READ],
  ['listSessionEvents', (id) => api.get(at(id, '/events')), ALWAYS],
  ['appendMessages', (id) => api.post(at(id, '/messages'), message), OPEN_ONLY('201')],
  ['patchMessage', (id) => api.patch(at(id, '/messages/m'), { tokens_used: 1 }), READ],
  ['redactMessage', (id) => api.delete(at(id, '/messages/m')), row(GONE, '200', '200', GONE, HELD, HELD)],
  ['heartbeat', (id) => api.post(at(id, '/heartbeat')), OPEN_ONLY('200')],
  [
    'saveCheckpoint',
    (id) => api.post(at(id, '/checkpoints'), { checkpoint: {} }),
    row(GONE, '201', '201', GONE, '201', '201'),
  ],
  ['patchSession', (id) => api.patch(at(id), { title: 'U' }), READ],
  ['replaceSessionFields', (id) => api.put(at(id), { title: 'U' }), READ],
  ['makeContext', (id) => api.post(at(id, '/context'), { max_tokens: 100 }), READ],
  [
    'putCollection',
    (id) => api.put(at(id, '/collection'), { vectors: { size: 2 } }),
    row(GONE, '201', '201', GONE, '201', '201'),
  ],
  ['getCollection', (id) => api.get(at(id, '/collection')), row(GONE, NONE, NONE, GONE, NONE, NONE)],
  [
    'putPoints',
    (id) => api.put(at(id, '/points'), { points: [{ id: 1, vector: [1] }] }),
    OPEN_ONLY('409 no_collection'),
  ],
  [
    'queryPoints',
    (id) => api.post(at(id, '/points/query'), { vector: [1] }),
    row(GONE, NONE, NONE, GONE, NONE, NONE),
  ],
  ['scrollPoints', (id) => api.post(at(id, '/points/scroll'), {}), row(GONE, NONE, NONE, GONE, NONE, NONE)],
  ['getPoint', (id) => api.get(at(id, '/points/1')), row(GONE, NONE, NONE, GONE, NONE, NONE)],
  ['deletePoints', (id) => api.post(at(id, '/points/delete'), { ids: [1] }), OPEN_ONLY(HELD)],
  ['deleteCollection', (id) => api.delete(at(id, '/collection')), row(GONE, NONE, NONE, GONE, NONE, NONE)],
  ['listSessionMemory', (id) => api.get(at(id, '/memory')), READ],
  ['getSessionMemory', (id) => api.get(at(id, '/memory/k')), READ],
  ['listSessionMemoryHistory', (id) => api.get(at(id, '/memory/k/history')), READ],
  [
    'addSessionMemory',
    (id) => api.post(at(id, '/memory'), { memory_type: 'x', content: 'y' }),
    row(GONE, '201', '201', GONE, '201', '201'),
  ],
  ['saveSessionMemory', (id) => api.put(at(id, '/memory/k'), { value: 2 }), READ],
  ['patchSessionMemory', (id) => api.patch(at(id, '/memory/k'), { value: 2 }), READ],
  [
    'deleteSessionMemory',
    (id) => api.delete(at(id, '/memory/k')),
    row(GONE, '204', '204', GONE, '204', '204'),
  ],
  ['clearSessionMemory', (id) => api.delete(at(id, '/memory')), READ],
  ['addSessionStats', (id) => api.put(at(id, '/stats'), { urls: 1 }), READ],
  ['getSessionStats', (id) => api.get(at(id, '/stats')), READ],
  ['reportModelUsage', (id) => api.put(at(id, '/model-usage'), { model_type: 'llm', model_name: 'm' }), READ],
  ['getModelUsage', (id) => api.get(at(id, '/model-usage')), READ],
  ['shareSession', (id) => api.post(at(id, '/share'), { user_ids: ['bob'], role: 'viewer' }), READ],
  ['listCollaborators', (id) => api.get(at(id, '/collaborators')), READ],
  [
    'unshareSession',
    (id) => api.delete(at(id, '/share/bob')),
    row(GONE, NO_MEMBER, NO_MEMBER, GONE, NO_MEMBER, NO_MEMBER),
  ],
  ['transferSession', (id) => api.post(at(id, '/transfer'), { user_id: 'bob' }), READ],
  ['archiveSession', (id) => api.post(at(id, '/archive')), READ],
  ['restoreSession', (id) => api.post(at(id, '/restore')), ALWAYS],
  ['pauseSession', (id) => api.post(at(id, '/pause')), row(GONE, NO_WAY, NO_WAY, GONE, '200', NO_WAY)],
  ['resumeSession', (id) => api.post(at(id, '/resume')), READ],
  ['completeSession', (id) => api.post(at(id, '/complete')), row(GONE, '200', NO_WAY, GONE, '200', '200')],
  ['crashSession', (id) => api.post(at(id, '/crash')), row(GONE, '200', NO_WAY, GONE, '200', '200')],
  ['recoverSession', (id) => api.post(at(id, '/recover')), row(GONE, '200', NO_WAY, GONE, '200', '200')],
  ['deleteSession', (id) => api.delete(at(id)), row('200', '200', '200', '200', HELD, HELD)],
  [
    'deleteSession',
    (id) => api.delete(at(id, '?permanent=true')),
    row('204', '204', '204', '204', HELD, HELD),
  ],
];

const said = ({ status, body }: Answer) => (status < 300 ? `${status}` : `${status} ${body.code}`);

test('every operation on a session has a row', () => {
  const operations = Object.entries<Record<string, { operationId: string }>>(contract.paths)
    .filter(([path]) => path.includes('{session_id}') || path.endsWith('/merge'))
    .flatMap(([, item]) => Object.values(item).map(({ operationId }) => operationId));
  expect([...new Set(TABLE.map(([operation]) => operation))].sort()).toEqual(operations.sort());
});

describe.each(['before a sweep', 'after a sweep'])('%s', (when) => {
  const arrive = async (state: State) => {
    const id = await make(state);
    if (when === 'after a sweep') await app.app.get(Sweeps).run();
    return id;
  };

  describe.each(STATES)('a session that is %s', (state) => {
    test.each(TABLE.map((entry, index) => [`${entry[0]} (row ${index + 1})`, entry] as const))(
      '%s',
      async (_, [, ask, cells]) => {
        const id = await arrive(state);
        const before = (await eventsOf(api, id)).length;
        const answer = await ask(id);
        expect(said(answer)).toBe(cells[state]);
        if (answer.status >= 300) expect(await eventsOf(api, id)).toHaveLength(before);
      },
    );

    test('shows its status wherever it is listed, and is counted there alone', async () => {
      const id = await arrive(state);
      const status = STATUS[state];
      const found = async (path: string, by: Api, params: string) => {
        const page = expectOk(await by.get(`${path}?include_total=true&${params}`));
        expect(page.total).toBe(page.sessions.length);
        return page.sessions.map((s: { session_id: string; status: string }) => [s.session_id, s.status]);
      };
      const here = [[id, status]];
      for (const [path, by] of [
        ['/api/v1/sessions', api],
        [`/api/v1/users/${user}/sessions`, api],
        [`/api/v1/users/${user}/sessions`, service],
      ] as const) {
        for (const other of ['active', 'paused', 'completed', 'crashed', 'archived', 'deleted']) {
          expect(await found(path, by, `status=${other}`)).toEqual(other === status ? here : []);
        }
        expect(await found(path, by, 'include_deleted=true')).toEqual(here);
        for (const filter of ['', `client_id=${user}`, 'q=T', 'order=title', 'order=created_at']) {
          expect(await found(path, by, filter)).toEqual(status === 'deleted' ? [] : here);
        }
      }
    });

    test('is resumed by what it is for only when it is open', async () => {
      const id = await arrive(state);
      const answer = await api.post('/api/v1/sessions/resume', { client_id: user });
      expect(said(answer)).toBe(state === 'held' ? '200' : '404 session_not_found');
      if (state === 'held') expect(answer.body.session_id).toBe(id);
    });

    test('leaves its id to a new one only when it is deleted', async () => {
      const id = await arrive(state);
      const answer = await service.post('/api/v1/sessions', { session_id: id, user_id: user });
      expect(said(answer)).toBe(STATUS[state] === 'deleted' ? '201' : '409 session_id_taken');
    });
  });
});
