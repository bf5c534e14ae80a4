import type { Api } from '../setup/api.js';
import { createDatabase, type TestDatabase } from '../setup/database.js';
import { type Service, startService } from '../setup/service.js';

// biome-ignore lint/suspicious/noExplicitAny: answers as the older callers read them
type Row = any;

/** Callers of the older systems, with the paths and bodies they have always sent, against the real process. */
let database: TestDatabase;
let open: Service;
let gated: Service;
beforeAll(async () => {
  database = await createDatabase();
  open = await startService({ DATABASE_URL: database.url, AUTH_MODE: 'none', SWEEP_SECONDS: '1' });
  gated = await startService({
    ...{ DATABASE_URL: database.url, SESSION_TTL_MINUTES: '180', MAX_SESSION_TTL_MINUTES: '480' },
    ...{
      CORS_ORIGINS: '*',
      LOG_LEVEL: 'INFO',
      SERVICE_NAME: 'fm-session-service',
      ENVIRONMENT: 'development',
    },
  });
});
afterAll(async () => {
  for (const service of [open, gated]) service.kill('SIGTERM');
  await Promise.all([open.exited, gated.exited]);
  await database.drop();
});

const MICROSECONDS_OR_MILLISECONDS = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;
const time = expect.stringMatching(MICROSECONDS_OR_MILLISECONDS);
const json = { 'content-type': 'application/json' };

describe('a caller of 003, through its gateway', () => {
  const USER = 'test_user_123';
  let api: Api;
  let id: string;
  let user: Api;
  beforeAll(() => {
    api = open.api;
    user = open.api.with({ 'X-User-Id': USER });
  });

  test('creates a session', async () => {
    const body = { user_id: USER, conversation_data: {}, metadata: { test: true } };
    const { status, body: made } = await api.post('/api/v1/sessions', body, json);
    expect(status).toBe(201);
    expect(made).toMatchObject({
      ...{ session_id: expect.any(String), user_id: USER, status: 'active', conversation_data: {} },
      ...{ metadata: { test: true }, is_active: true, message_count: 0, total_tokens: 0, total_cost: 0 },
      ...{ session_summary: '', created_at: time, updated_at: time, last_activity: time },
    });
    id = made.session_id;
  });

  test('gets it', async () => {
    expect((await user.get(`/api/v1/sessions/${id}`)).body).toMatchObject({ session_id: id, user_id: USER });
  });

  test('updates it', async () => {
    const answer = await user.put(
      `/api/v1/sessions/${id}`,
      { status: 'active', metadata: { updated: true } },
      json,
    );
    expect(answer.body).toMatchObject({ status: 'active', metadata: { updated: true } });
  });

  test('adds messages, and gets them with their total', async () => {
    const hello = {
      ...{ role: 'user', content: 'Hello, this is a test message', message_type: 'chat' },
      ...{ metadata: { source: 'test' }, tokens_used: 10, cost_usd: 0.001 },
    };
    const reply = {
      ...{ role: 'assistant', content: 'Hello! I received your test message.', message_type: 'chat' },
      ...{ metadata: { model: 'gpt-4' }, tokens_used: 12, cost_usd: 0.0012 },
    };
    for (const message of [hello, reply]) {
      const { status, body } = await user.post(`/api/v1/sessions/${id}/messages`, message, json);
      expect(status).toBe(201);
      expect(body).toMatchObject({
        ...message,
        message_id: expect.any(String),
        session_id: id,
        user_id: USER,
        created_at: time,
      });
    }
    const { body } = await user.get(`/api/v1/sessions/${id}/messages`);
    expect(body).toMatchObject({ messages: [hello, reply], total: 2, page: 1, page_size: 100 });
  });

  test('writes memory, and reads it', async () => {
    const memory = {
      memory_type: 'conversation',
      content: 'User prefers concise technical explanations. Assistant should focus on code examples.',
      metadata: { category: 'preferences', importance: 'high' },
    };
    const { status, body } = await user.post(`/api/v1/sessions/${id}/memory`, memory, json);
    expect(status).toBe(201);
    const made = {
      ...memory,
      session_id: id,
      user_id: USER,
      memory_id: expect.any(String),
      created_at: time,
    };
    expect(body).toMatchObject(made);
    expect((await user.get(`/api/v1/sessions/${id}/memory`)).body.entries).toEqual([body]);
  });

  test('gets the summary', async () => {
    expect((await user.get(`/api/v1/sessions/${id}/summary`)).body).toMatchObject({
      ...{
        session_id: id,
        user_id: USER,
        status: 'active',
        message_count: 2,
        total_tokens: 22,
        total_cost: 0.0022,
      },
      ...{ has_memory: true, is_active: true, created_at: time, last_activity: time },
    });
  });

  test('lists the sessions of a user', async () => {
    const { body } = await api.get(`/api/v1/users/${USER}/sessions`);
    expect(body.sessions.map((session: Row) => session.session_id)).toEqual([id]);
  });

  test('gets the statistics of the service, which lag by a sweep', async () => {
    const stats = async () => (await api.get('/api/v1/sessions/stats')).body;
    for (let told = await stats(); told.total_messages < 2; told = await stats()) {
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    expect(await stats()).toMatchObject({
      ...{ total_sessions: 1, active_sessions: 1, total_messages: 2, total_tokens: 22, total_cost: 0.0022 },
      average_messages_per_session: 2,
    });
  });

  test('deletes it: ended, not lost', async () => {
    expect((await user.delete(`/api/v1/sessions/${id}`)).body).toMatchObject({
      status: 'deleted',
      is_active: false,
    });
    // ours: a deleted session is not shown unless asked for
    expect((await user.get(`/api/v1/sessions/${id}`)).status).toBe(404);
    expect((await user.get(`/api/v1/sessions/${id}?include_deleted=true`)).status).toBe(200);
  });
});

describe('a caller of 002, a platform whose model keeps facts', () => {
  const facts = { allergies: ['penicillin'], medications: [{ name: 'lisinopril', dosage: '10mg' }] };

  test('saves them by key, and gets all of them as they went in', async () => {
    const place = '/api/v1/users/patient-123/memory';
    for (const [key, value] of Object.entries(facts)) {
      expect((await open.api.put(`${place}/${key}`, { value })).status).toBe(201);
    }
    expect((await open.api.get(`${place}?view=map`)).body.memories).toEqual(facts);
    expect((await open.api.delete(`${place}/allergies`)).status).toBe(204);
    expect((await open.api.get(`${place}?view=map`)).body.memories).toEqual({
      medications: facts.medications,
    });
    expect((await open.api.delete(place)).body).toEqual({ deleted: 1 });
    expect((await open.api.get(`${place}?view=map`)).body.memories).toEqual({});
  });
});

describe('a caller of 004, an agent', () => {
  const AGENT = '550e8400-e29b-41d4-a716-446655440000';
  let api: Api;
  let id: string;
  beforeAll(() => {
    api = open.api;
  });

  const development = {
    agent_id: AGENT,
    session_type: 'development',
    context: {
      working_directory: '/project',
      current_task: 'Implement Steam Modal',
      files_open: ['SteamModal.tsx', 'animations.ts'],
    },
    runtime_backend: 'local',
    runtime_metadata: { terminal_id: 'term-123', pid: 12345 },
  };

  test('starts a development session', async () => {
    const { status, body } = await api.post('/sessions/', development, json);
    expect(status).toBe(201);
    expect(body).toMatchObject({
      ...{ ...development, id: expect.any(String), status: 'active', checkpoint: null },
      ...{ created_at: time, updated_at: time },
    });
    id = body.id;
    expect((await api.get(`/sessions/${id}`)).body).toEqual(body);
  });

  test.each([
    [
      'conversation',
      {
        session_type: 'conversation',
        context: { user_id: 'user-456', topic: 'code review', message_count: 0 },
      },
    ],
    ['task', { session_type: 'task', context: { task_id: 'implement-modal' }, runtime_backend: 'local' }],
  ])('starts a %s session', async (_, body) => {
    const answer = await api.post('/sessions/', { agent_id: AGENT, ...body }, json);
    expect(answer.status).toBe(201);
    expect(answer.body).toMatchObject({ agent_id: AGENT, user_id: null, ...body });
  });

  test.each([
    {
      last_completed_step: 3,
      files_modified: ['a.ts', 'b.ts'],
      pending_actions: ['run tests', 'commit'],
      recovery_prompt: 'Continue implementing modal from step 4',
    },
    { step: 5, state: { files: ['a.ts'] }, resume_prompt: 'Continue from step 5' },
  ])('saves a checkpoint', async (checkpoint) => {
    const { body } = await api.patch(`/sessions/${id}`, { checkpoint }, json);
    expect(body.checkpoint).toEqual(checkpoint);
  });

  test('updates the context, which is merged and no longer replaced', async () => {
    const context = {
      ...{ working_directory: '/project', current_task: 'Testing Steam Modal' },
      ...{ files_open: ['SteamModal.test.tsx'], progress: 0.75 },
    };
    expect((await api.patch(`/sessions/${id}`, { context }, json)).body.context).toEqual(context);
    const { body } = await api.patch(`/sessions/${id}`, { context: { progress: 1 } }, json);
    expect(body.context).toEqual({ ...context, progress: 1 });
  });

  test('pauses, resumes, crashes, recovers and completes it', async () => {
    for (const status of ['paused', 'active', 'crashed', 'active', 'completed']) {
      expect((await api.patch(`/sessions/${id}`, { status }, json)).body.status).toBe(status);
    }
  });

  test('as curl sends it without a Content-Type is refused: 415, ours', async () => {
    const form = { 'content-type': 'application/x-www-form-urlencoded' };
    expect((await api.patch(`/sessions/${id}`, { status: 'active' }, form)).status).toBe(415);
  });

  test('lists by agent, and by the status that it had to filter itself', async () => {
    const list = async (query: string) => (await api.get(`/sessions/?${query}`)).body.sessions;
    const mine = await list(`agent_id=${AGENT}&limit=10`);
    expect(mine).toHaveLength(3);
    expect(mine[0].id).toBe(id);
    expect((await list('limit=20')).length).toBeGreaterThanOrEqual(3);
    expect((await list(`agent_id=${AGENT}&status=completed`)).map((s: Row) => s.id)).toEqual([id]);
  });

  test('finds crashed sessions and goes on from the checkpoint', async () => {
    const checkpoint = { completed_step: 3, resume_prompt: 'Continue with step 4: testing' };
    const { body: made } = await api.post('/sessions/', { agent_id: AGENT, checkpoint }, json);
    await api.patch(`/sessions/${made.id}`, { status: 'crashed' }, json);
    const { body } = await api.get(`/sessions/?agent_id=${AGENT}&status=crashed`);
    expect(body.sessions.map((s: Row) => s.checkpoint)).toEqual([checkpoint]);
    expect((await api.post(`/sessions/${made.id}/recover`)).body.checkpoint).toEqual(checkpoint);
  });

  test('reads the events it used to get from Redis', async () => {
    const { body } = await api.get(`/sessions/${id}/events`);
    const [created, updated] = body.events;
    expect(created).toMatchObject({
      ...{ event_type: 'session.created', aggregate_type: 'session', aggregate_id: id },
      payload: { agent_id: AGENT, session_type: 'development', runtime_backend: 'local' },
    });
    expect(updated).toMatchObject({
      event_type: 'session.updated',
      payload: { agent_id: AGENT, status: 'active', updates: ['checkpoint'] },
    });
  });
});

describe('a caller of 000, behind its gateway', () => {
  let api: Api;
  let id: string;
  beforeAll(() => {
    api = gated.api.with({ 'X-User-ID': 'user_123', 'X-User-Email': 'a@b.example', 'X-User-Roles': 'admin' });
  });

  test('creates a session with the default time-out', async () => {
    const { status, body } = await api.post('/api/v1/sessions', {
      client_id: 'chrome_extension_v1',
      session_type: 'troubleshooting',
      context: { blast_radius: 'single_database', timeline_start: '2025-11-15T09:00:00Z' },
      metadata: {},
    });
    expect(status).toBe(201);
    expect(body).toMatchObject({
      ...{ user_id: 'user_123', client_id: 'chrome_extension_v1', status: 'active', title: null },
      ...{ timeout_minutes: 180, created_at: time, updated_at: time, last_activity_at: time },
    });
    expect(Date.parse(body.expires_at) - Date.parse(body.last_activity_at)).toBe(180 * 60_000);
    id = body.session_id;
  });

  test('is held to the largest time-out', async () => {
    expect((await api.post('/api/v1/sessions', { timeout_minutes: 481 })).status).toBe(422);
  });

  test('adds messages; the first makes the title', async () => {
    for (const [role, content, metadata] of [
      ['user', 'My database keeps timing out', {}],
      ['assistant', 'Let us look at the connection timeout', { reasoning: '...' }],
      ['system', 'The agent joined', {}],
    ]) {
      const { status, body } = await api.post(`/api/v1/sessions/${id}/messages`, { role, content, metadata });
      expect(status).toBe(201);
      expect(body).toMatchObject({ role, content, metadata, timestamp: time });
    }
    const { body } = await api.get(`/api/v1/sessions/${id}/messages`);
    expect(body.messages.map((message: Row) => message.role)).toEqual(['user', 'assistant', 'system']);
    const full = (await api.get(`/api/v1/sessions/${id}?include=messages`)).body;
    expect(full.title).toBe('My database keeps timing out');
    expect(full.messages).toEqual(body.messages);
  });

  test('updates it, keeps it alive, resumes it on another device, lists it', async () => {
    const { body } = await api.put(`/api/v1/sessions/${id}`, {
      title: 'Timeouts',
      metadata: { severity: 2 },
    });
    expect(body).toMatchObject({ title: 'Timeouts', metadata: { severity: 2 } });
    const beat = await api.post(`/api/v1/sessions/${id}/heartbeat`);
    expect(beat.body).toMatchObject({
      session_id: id,
      status: 'active',
      last_activity_at: time,
      expires_at: time,
    });
    const resumed = await api.post('/api/v1/sessions/resume', { client_id: 'chrome_extension_v1' });
    expect(resumed.body.session_id).toBe(id);
    const list = await api.get('/api/v1/sessions?status=active');
    expect(list.body.sessions.map((session: Row) => session.session_id)).toEqual([id]);
  });

  test('is nobody without X-User-ID, and does not see what is another’s', async () => {
    expect((await gated.api.get(`/api/v1/sessions/${id}`)).status).toBe(401);
    const other = gated.api.with({ 'X-User-ID': 'user_456' });
    // ours: 404, as if it did not exist
    for (const method of ['GET', 'DELETE']) {
      expect((await other.call(method, `/api/v1/sessions/${id}`)).status).toBe(404);
    }
    expect((await other.get('/api/v1/sessions')).body.sessions).toEqual([]);
  });

  test('archives and deletes it; health tells the service’s name', async () => {
    expect((await api.put(`/api/v1/sessions/${id}`, { status: 'archived' })).body.status).toBe('archived');
    expect((await api.delete(`/api/v1/sessions/${id}`)).body.status).toBe('deleted');
    expect((await gated.api.get('/health')).body).toMatchObject({
      service: 'fm-session-service',
      environment: 'development',
    });
  });
});
