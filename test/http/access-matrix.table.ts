import { document, manifestOf, messageLine, sessionLine } from '../setup/export-files.js';

/** What a caller is to the session of a cell; a service key may name a user beside itself, and is that user then. */
export const COLUMNS = [
  'nobody',
  'stranger',
  'viewer',
  'editor',
  'manager',
  'owner',
  'service',
  'service as stranger',
] as const;
export type Column = (typeof COLUMNS)[number];

/** `named`: the user whom the request names, and services. `asker`: who asked for the job, and services; for others there is none. */
export type Least =
  | 'anyone'
  | 'any caller'
  | 'named'
  | 'asker'
  | 'viewer'
  | 'editor'
  | 'manager'
  | 'owner'
  | 'service';

/** Names that are used in one cell only. */
export interface Cell {
  session: string;
  message: string;
  /** the owner's, in the state of the entry */
  job: string;
  owner: string;
  /** who calls; for a service the owner */
  caller: string;
}

export type State = 'active' | 'paused' | 'completed' | 'crashed' | 'archived' | 'deleted';

export interface Entry {
  /** operationId in openapi.json */
  operation: string;
  /** tells the entries of an operation apart */
  what: string;
  /** by the table of roles in api.md */
  least: Least;
  /** what the session is when the request comes */
  state?: State;
  /** …and the job */
  jobState?: 'queued' | 'failed' | 'succeeded';
  params?: (cell: Cell) => Record<string, string>;
  query?: (cell: Cell) => Record<string, string>;
  body?: (cell: Cell) => unknown;
}

const entry = (operation: string, what: string, least: Least, rest: Partial<Entry> = {}): Entry => ({
  operation,
  what,
  least,
  ...rest,
});

const EDITS = ['patchSession', 'replaceSessionFields'];

/** Every member that PUT and PATCH take but `status` and `legal_hold`: a value for it, and the least role. */
export const FIELDS: Record<string, { value: unknown; least: Least }> = {
  checkpoint: { value: { step: 2 }, least: 'editor' },
  title: { value: 'Another title', least: 'manager' },
  name: { value: 'Another title', least: 'manager' },
  description: { value: 'About something else', least: 'manager' },
  session_type: { value: 'workflow', least: 'manager' },
  tags: { value: ['other'], least: 'manager' },
  context: { value: { step: 2 }, least: 'manager' },
  metadata: { value: { ticket: 2 }, least: 'manager' },
  configuration: { value: { model: 'other' }, least: 'manager' },
  conversation_data: { value: { topic: 'other' }, least: 'manager' },
  runtime_backend: { value: 'kubernetes', least: 'manager' },
  runtime_metadata: { value: { pod: 'p-2' }, least: 'manager' },
  client_id: { value: 'other-client', least: 'manager' },
  agent_id: { value: 'other-agent', least: 'manager' },
  timeout_minutes: { value: 600, least: 'manager' },
  heartbeat_timeout_seconds: { value: 600, least: 'manager' },
  auto_recover: { value: true, least: 'manager' },
};

const fieldEntries = (known: (operation: string, field: string) => boolean): Entry[] =>
  EDITS.flatMap((operation) =>
    Object.entries(FIELDS)
      .filter(([field]) => known(operation, field))
      .map(([field, { value, least }]) =>
        entry(operation, field, least, { body: () => ({ [field]: value }) }),
      ),
  );

/** Changes of status, by PUT, PATCH and the named transitions alike. */
const MOVES: { to: string; verb: string; from: State; least: Least }[] = [
  { to: 'paused', verb: 'pauseSession', from: 'active', least: 'editor' },
  { to: 'paused', verb: 'pauseSession', from: 'paused', least: 'editor' },
  { to: 'active', verb: 'resumeSession', from: 'paused', least: 'editor' },
  { to: 'active', verb: 'resumeSession', from: 'completed', least: 'editor' },
  { to: 'active', verb: 'resumeSession', from: 'crashed', least: 'editor' },
  { to: 'active', verb: 'resumeSession', from: 'archived', least: 'manager' },
  { to: 'completed', verb: 'completeSession', from: 'active', least: 'editor' },
  { to: 'completed', verb: 'completeSession', from: 'paused', least: 'editor' },
  { to: 'completed', verb: 'completeSession', from: 'crashed', least: 'editor' },
  { to: 'crashed', verb: 'crashSession', from: 'active', least: 'editor' },
  { to: 'archived', verb: 'archiveSession', from: 'active', least: 'manager' },
  { to: 'archived', verb: 'archiveSession', from: 'completed', least: 'manager' },
];

const moveEntries: Entry[] = MOVES.flatMap(({ to, verb, from, least }) => [
  entry(verb, `of one ${from}`, least, { state: from }),
  ...EDITS.map((operation) =>
    entry(operation, `status=${to} of one ${from}`, least, { state: from, body: () => ({ status: to }) }),
  ),
]);

const MIXED_EDITS: Entry[] = EDITS.flatMap((operation) => [
  entry(operation, 'status and checkpoint', 'editor', {
    body: () => ({ status: 'paused', checkpoint: { step: 2 } }),
  }),
  entry(operation, 'status and title', 'manager', { body: () => ({ status: 'paused', title: 'Other' }) }),
  entry(operation, 'checkpoint and tags', 'manager', {
    body: () => ({ checkpoint: { step: 2 }, tags: ['other'] }),
  }),
  entry(operation, 'legal_hold', 'service', { body: () => ({ legal_hold: true }) }),
  entry(operation, 'legal_hold as it is', 'service', { body: () => ({ legal_hold: false }) }),
  entry(operation, 'legal_hold and title', 'service', { body: () => ({ legal_hold: true, title: 'Other' }) }),
]);

const message = { role: 'user', content: 'Hello' };

/** The same routes for a user's memory and for a session's; what is made for a cell is kept under `k`. */
const MEMORY = (['User', 'Session'] as const).flatMap((whose) => {
  const [reads, writes] = whose === 'User' ? (['named', 'named'] as const) : (['viewer', 'editor'] as const);
  const ofUser = ({ owner }: Cell) => (whose === 'User' ? { user_id: owner } : {});
  const params = (cell: Cell) => ({ ...ofUser(cell), key: 'k' }) as Record<string, string>;
  const place = (cell: Cell) => ofUser(cell) as Record<string, string>;
  return [
    entry(`list${whose}Memory`, '', reads, { params: place }),
    entry(`list${whose}Memory`, 'as a map', reads, { params: place, query: () => ({ view: 'map' }) }),
    entry(`get${whose}Memory`, '', reads, { params }),
    entry(`list${whose}MemoryHistory`, '', reads, { params }),
    entry(`add${whose}Memory`, '', writes, {
      params: place,
      body: () => ({ memory_type: 'x', content: 'y' }),
    }),
    entry(`save${whose}Memory`, '', writes, { params, body: () => ({ value: 2 }) }),
    entry(`patch${whose}Memory`, '', writes, { params, body: () => ({ value: 2 }) }),
    entry(`delete${whose}Memory`, '', writes, { params }),
    entry(`clear${whose}Memory`, '', writes, { params: place }),
  ];
});

/** Somebody else than the caller, who has this role in the session of a cell. */
const member = (role: string, { session }: Cell) => `other-${role}-${session.replace('cell-', '')}`;
const share = (what: string, least: Least, role: string, whom: (cell: Cell) => string) =>
  entry('shareSession', what, least, { body: (cell) => ({ user_ids: [whom(cell)], role }) });

const SHARING: Entry[] = [
  share('with a new viewer', 'manager', 'viewer', () => 'somebody'),
  share('with a new editor', 'manager', 'editor', () => 'somebody'),
  share('with a new manager', 'owner', 'manager', () => 'somebody'),
  share('viewer to editor', 'manager', 'editor', (cell) => member('viewer', cell)),
  share('editor to viewer', 'manager', 'viewer', (cell) => member('editor', cell)),
  share('editor to manager', 'owner', 'manager', (cell) => member('editor', cell)),
  share('manager to viewer', 'owner', 'viewer', (cell) => member('manager', cell)),
  share('a manager as he is', 'owner', 'manager', (cell) => member('manager', cell)),
  ...(['viewer', 'editor', 'manager'] as const).flatMap((role) => [
    entry('unshareSession', `a ${role}`, role === 'manager' ? 'owner' : 'manager', {
      params: (cell) => ({ user_id: member(role, cell) }),
    }),
  ]),
  entry('listCollaborators', '', 'viewer'),
  entry('listCollaborators', 'of one archived', 'viewer', { state: 'archived' }),
  entry('transferSession', '', 'owner', { body: () => ({ user_id: 'somebody' }) }),
  entry('transferSession', 'to the owner himself', 'owner', { body: ({ owner }) => ({ user_id: owner }) }),
];

/** How each operation is validly asked, and the least that may. An operation with several entries has several rows. */
export const tableFor = (known: (operation: string, field: string) => boolean): Entry[] => [
  entry('getHealth', '', 'anyone'),
  entry('getLiveness', '', 'anyone'),
  entry('getReadiness', '', 'anyone'),
  entry('getMetrics', '', 'anyone'),
  entry('getOpenApi', '', 'anyone'),

  entry('createSession', 'for the caller', 'any caller', { body: ({ caller }) => ({ user_id: caller }) }),
  entry('createSession', 'for somebody by name', 'named', { body: ({ owner }) => ({ user_id: owner }) }),
  entry('createSession', 'under legal hold', 'service', {
    body: ({ caller }) => ({ user_id: caller, legal_hold: true }),
  }),
  entry('listSessions', 'of the caller', 'any caller', { query: ({ caller }) => ({ user_id: caller }) }),
  entry('listSessions', 'shared with the caller', 'any caller', {
    query: ({ caller }) => ({ user_id: caller, shared_with_me: 'true' }),
  }),
  entry('listSessions', 'of somebody by name', 'named', { query: ({ owner }) => ({ user_id: owner }) }),
  entry('listUserSessions', 'of somebody by name', 'named', { params: ({ owner }) => ({ user_id: owner }) }),
  entry('resumeLatestSession', 'of the caller, made if none is', 'any caller', {
    body: ({ caller }) => ({ user_id: caller, create: true }),
  }),
  entry('resumeLatestSession', 'of somebody by name', 'named', { body: ({ owner }) => ({ user_id: owner }) }),
  entry('importSession', 'for the caller', 'any caller', {
    query: ({ caller }) => ({ user_id: caller }),
    body: ({ caller }) => document([manifestOf(`of-${caller}`, ['messages']), sessionLine(), messageLine(1)]),
  }),
  entry('importSession', 'for somebody by name', 'named', {
    query: ({ owner }) => ({ user_id: owner }),
    body: ({ caller }) => document([manifestOf(`of-${caller}`, ['messages']), sessionLine()]),
  }),
  entry('importSession', 'under legal hold', 'service', {
    query: ({ caller }) => ({ user_id: caller }),
    body: ({ caller }) =>
      document([manifestOf(`of-${caller}`, ['messages']), sessionLine({ legal_hold: true })]),
  }),
  entry('listEvents', '', 'any caller'),
  entry('eraseUser', '', 'named', { params: ({ owner }) => ({ user_id: owner }) }),
  entry('listJobs', '', 'any caller'),
  entry('listJobs', 'of a kind', 'any caller', { query: () => ({ kind: 'summarize', state: 'queued' }) }),
  entry('getJob', '', 'asker', { params: ({ job }) => ({ job_id: job }) }),
  entry('watchJob', 'to its end', 'asker', {
    jobState: 'succeeded',
    params: ({ job }) => ({ job_id: job }),
  }),
  entry('cancelJob', '', 'asker', { params: ({ job }) => ({ job_id: job }) }),
  entry('retryJob', '', 'asker', { jobState: 'failed', params: ({ job }) => ({ job_id: job }) }),
  entry('getServiceStats', '', 'any caller'),
  entry('getRetentionPolicy', '', 'service'),
  entry('putRetentionPolicy', '', 'service', { body: () => ({ purge_deleted_days: 60 }) }),
  ...['getUserRetentionPolicy', 'putUserRetentionPolicy', 'deleteUserRetentionPolicy'].map((operation) =>
    entry(operation, '', operation.startsWith('get') ? 'named' : 'service', {
      params: ({ owner }) => ({ user_id: owner }),
      ...(operation.startsWith('put') && { body: () => ({ max_age_days: 60 }) }),
    }),
  ),
  entry('cleanUp', '', 'service', { body: () => ({}) }),
  entry('cleanUp', 'to see what it would do', 'service', { body: () => ({ dry_run: true }) }),
  entry('searchMessages', 'of all the caller may see', 'any caller', { body: () => ({ query: 'hello' }) }),
  entry('searchMessages', 'in a session', 'viewer', {
    body: ({ session }) => ({ query: 'hello', session_id: session }),
  }),
  entry('makeContext', '', 'viewer', { body: () => ({ max_tokens: 1000, strategy: 'pinned' }) }),
  entry('searchMemory', 'of all the caller may see', 'any caller', { body: () => ({ query: 'hello' }) }),
  entry('searchMemory', 'of somebody by name', 'named', {
    body: ({ owner }) => ({ query: 'x', user_id: owner }),
  }),
  entry('searchMemory', 'of a session', 'viewer', {
    body: ({ session }) => ({ query: 'hello', session_id: session, include_user: true }),
  }),

  entry('getSession', '', 'viewer'),
  entry('getSession', 'archived', 'viewer', { state: 'archived' }),
  entry('getSession', 'deleted', 'viewer', {
    state: 'deleted',
    query: () => ({ include_deleted: 'true' }),
  }),
  entry('listSessionEvents', '', 'viewer'),
  entry('listSessionEvents', 'of one deleted', 'viewer', { state: 'deleted' }),
  entry('listMessages', '', 'viewer'),
  entry('getSessionSummary', '', 'viewer'),
  entry('getSessionStats', '', 'viewer'),
  entry('addSessionStats', '', 'editor', { body: () => ({ counters: { urls_processed: 5 } }) }),
  entry('addSessionStats', 'of one archived', 'editor', {
    state: 'archived',
    body: () => ({ urls_processed: -1, metadata: { a: 1 } }),
  }),
  entry('getModelUsage', '', 'viewer'),
  entry('getModelUsage', 'with history', 'viewer', { query: () => ({ history: 'true' }) }),
  entry('reportModelUsage', '', 'editor', { body: () => ({ model_type: 'llm', model_name: 'm' }) }),
  entry('compareSessions', '', 'viewer', {
    query: ({ session }) => ({ session_ids: `${session},${session}-twin` }),
  }),
  entry('exportSession', '', 'viewer'),
  entry('exportSession', 'archived', 'viewer', {
    state: 'archived',
    query: () => ({ include: 'messages' }),
  }),
  entry('forkSession', '', 'viewer', { body: () => ({}) }),
  entry('forkSession', 'archived', 'viewer', { state: 'archived', body: () => ({ up_to_seq: 0 }) }),
  entry('mergeSessions', 'to keep the sources', 'viewer', {
    body: ({ session }) => ({
      ...{ session_ids: [session, `${session}-twin`], include: ['messages'], archive_sources: false },
    }),
  }),
  entry('mergeSessions', '', 'manager', {
    body: ({ session }) => ({ session_ids: [session, `${session}-twin`], include: ['messages'] }),
  }),
  entry('splitSession', '', 'manager', { body: () => ({ parts: [{ title: 'A part', from_seq: 1 }] }) }),
  entry('getMessage', '', 'viewer', { params: ({ message }) => ({ message_id: message }) }),

  entry('appendMessages', 'one', 'editor', { body: () => message }),
  entry('appendMessages', 'a batch', 'editor', { body: () => ({ messages: [message, message] }) }),
  entry('appendMessages', 'to one paused', 'editor', { state: 'paused', body: () => message }),

  ...fieldEntries(known),
  ...MIXED_EDITS,
  ...moveEntries,

  entry('patchMessage', '', 'manager', {
    params: ({ message }) => ({ message_id: message }),
    body: () => ({ metadata: { a: 1 } }),
  }),
  entry('redactMessage', '', 'manager', { params: ({ message }) => ({ message_id: message }) }),

  entry('heartbeat', '', 'editor'),
  entry('heartbeat', 'of one paused', 'editor', { state: 'paused' }),
  entry('recoverSession', 'crashed', 'editor', { state: 'crashed' }),
  entry('recoverSession', 'active already', 'editor'),
  entry('saveCheckpoint', '', 'editor', { body: () => ({ checkpoint: { step: 2 } }) }),
  ...MEMORY,
  entry('putCollection', '', 'manager', { body: () => ({ vectors: { size: 2 } }) }),
  entry('getCollection', '', 'viewer'),
  entry('deleteCollection', '', 'manager'),
  entry('putPoints', '', 'editor', { body: () => ({ points: [{ id: 7, vector: [3, 4] }] }) }),
  entry('queryPoints', '', 'viewer', { body: () => ({ vector: [1, 2] }) }),
  entry('scrollPoints', '', 'viewer', { body: () => ({}) }),
  entry('getPoint', '', 'viewer', { params: () => ({ point_id: '7' }) }),
  entry('deletePoints', '', 'editor', { body: () => ({ ids: [7] }) }),
  entry('listCheckpoints', '', 'viewer'),
  entry('getCheckpoint', '', 'viewer', { params: () => ({ n: '1' }) }),

  ...SHARING,

  entry('restoreSession', 'archived', 'manager', { state: 'archived' }),
  entry('restoreSession', 'deleted', 'owner', { state: 'deleted' }),
  entry('deleteSession', '', 'owner'),
  entry('deleteSession', 'archived', 'owner', { state: 'archived' }),
  entry('deleteSession', 'deleted already', 'owner', { state: 'deleted' }),
  entry('deleteSession', 'for good', 'owner', { query: () => ({ permanent: 'true' }) }),
  entry('deleteSession', 'deleted already, for good', 'owner', {
    state: 'deleted',
    query: () => ({ permanent: 'true' }),
  }),
];
