import { Sweeps } from '../../src/jobs/sweeps.js';
import type { Api } from '../setup/api.js';
import { startApp, type TestApp } from '../setup/app.js';
import {
  append,
  at,
  atOnce,
  create,
  eventTypes,
  expectOk,
  expectRefused,
  fresh,
  read,
  silence,
  TIME,
} from './support.js';

let app: TestApp;
let api: Api;

beforeAll(async () => {
  app = await startApp();
});
afterAll(() => app.close());
beforeEach(() => {
  api = app.api.as(fresh());
});

const sweep = () => app.app.get(Sweeps).run();
const silent = (id: string, seconds: number) => silence(app.database, id, seconds);
const beat = (id: string) => api.post(at(id, '/heartbeat'));
const message = { role: 'user', content: 'x' };

/** A session that has been silent for longer than its heartbeat time-out of 30 s. */
async function overdue(more: object = {}): Promise<string> {
  const { session_id } = await create(api, { heartbeat_timeout_seconds: 30, ...more });
  await silent(session_id, 31);
  return session_id;
}

/** Events since the session was made. */
const since = async (id: string) => (await eventTypes(api, id)).slice(1);
const CRASHED = ['session.updated', 'session.crashed'];
const RECOVERED = ['session.updated', 'session.recovered'];

describe('a heartbeat', () => {
  it('renews activity and expiry, and is no edit', async () => {
    const { session_id, version } = await create(api, { timeout_minutes: 5 });
    await silent(session_id, 200);
    const before = await read(api, session_id);
    const alive = expectOk(await beat(session_id));
    expect(alive).toEqual({
      session_id,
      status: 'active',
      last_activity_at: expect.stringMatching(TIME),
      expires_at: expect.stringMatching(TIME),
    });
    expect(Date.parse(alive.last_activity_at) - Date.parse(before.last_activity_at)).toBeGreaterThan(190_000);
    expect(Date.parse(alive.expires_at) - Date.parse(before.expires_at)).toBeGreaterThan(190_000);
    expect(await read(api, session_id)).toMatchObject({ version, last_activity_at: alive.last_activity_at });
    expect(await since(session_id)).toEqual([]);
  });

  it.each(['completed', 'crashed', 'archived'])('is not taken from a session that is %s', async (status) => {
    const { session_id } = await create(api, { status });
    const answer = await beat(session_id);
    expectRefused(answer, 409, 'session_not_open');
    expect(answer.body.session_status).toBe(status);
  });

  it('is taken from a paused one, which silence does not crash', async () => {
    const id = await overdue({ status: 'paused' });
    expect(expectOk(await beat(id)).status).toBe('paused');
    expect(expectOk(await beat(id)).expires_at).toBeNull();
  });

  it('keeps a session from crashing', async () => {
    const { session_id } = await create(api, { heartbeat_timeout_seconds: 30 });
    for (let i = 0; i < 3; i++) {
      await silent(session_id, 29);
      expectOk(await beat(session_id));
    }
    await silent(session_id, 29);
    expect((await read(api, session_id)).status).toBe('active');
  });
});

describe('silence', () => {
  it('crashes a session at once for reads, lists and writes, before any sweep', async () => {
    const id = await overdue({ client_id: 'c' });
    expect(await read(api, id)).toMatchObject({ status: 'crashed', is_active: false, version: 2 });
    const filter = async (status: string) =>
      expectOk(await api.get(`/api/v1/sessions?status=${status}&include_total=true`));
    expect((await filter('crashed')).sessions.map((s: { session_id: string }) => s.session_id)).toEqual([id]);
    expect((await filter('crashed')).total).toBe(1);
    expect((await filter('active')).total).toBe(0);
    expectRefused(await api.post(at(id, '/messages'), message), 409, 'session_not_open');
    expectRefused(await api.post('/api/v1/sessions/resume', { client_id: 'c' }), 404, 'session_not_found');
    expect(await since(id)).toEqual([]);
  });

  it('is written down by a sweep, once, and leaves the last activity as it was', async () => {
    const id = await overdue();
    const before = await read(api, id);
    await sweep();
    await sweep();
    expect(await since(id)).toEqual(CRASHED);
    const after = await read(api, id);
    expect({ ...after, updated_at: before.updated_at }).toEqual(before);
  });

  it('is written down by whatever changes the session next', async () => {
    const id = await overdue();
    expectOk(await api.patch(at(id), { title: 'T' }, { 'if-match': '"2"' }));
    expect(await since(id)).toEqual([...CRASHED, 'session.updated']);
    expect(await read(api, id)).toMatchObject({ status: 'crashed', title: 'T', version: 3 });
  });

  it('is what it was when the session is deleted and restored', async () => {
    const id = await overdue();
    expectOk(await api.delete(at(id)));
    expect(expectOk(await api.post(at(id, '/restore'))).status).toBe('crashed');
  });

  it.each([
    ['before its time runs out crashes it, and what is crashed does not expire', 1, 5, 'crashed'],
    ['after its time ran out changes nothing more', 600, 5, 'deleted'],
  ])('%s', async (_, heartbeat_timeout_seconds, timeout_minutes, status) => {
    const { session_id } = await create(api, {
      heartbeat_timeout_seconds: Math.max(5, heartbeat_timeout_seconds),
      timeout_minutes,
    });
    await silent(session_id, 3600);
    expect((await read(api, session_id, '?include_deleted=true')).status).toBe(status);
    await sweep();
    const { deleted_reason, status: swept } = await read(api, session_id, '?include_deleted=true');
    expect(swept).toBe(status);
    expect(deleted_reason).toBe(status === 'deleted' ? 'expired' : null);
    const types = status === 'deleted' ? ['session.updated', 'session.expired'] : CRASHED;
    expect(await since(session_id)).toEqual(types);
  });

  it.each(['archived', 'completed', 'paused'])('means nothing to a session that is %s', async (status) => {
    const id = await overdue({ status });
    await sweep();
    expect((await read(api, id)).status).toBe(status);
    expect(await since(id)).toEqual([]);
  });

  it.each([4, 86_401, 5.5, '30'])('of %j seconds is refused', async (heartbeat_timeout_seconds) => {
    expectRefused(await api.post('/api/v1/sessions', { heartbeat_timeout_seconds }), 422, 'invalid');
  });
});

describe('auto_recover', () => {
  it('lets the next append recover the session first', async () => {
    const id = await overdue({ auto_recover: true });
    await append(api, id, message);
    expect(await since(id)).toEqual([...CRASHED, ...RECOVERED, 'message.appended', 'session.updated']);
    expect(await read(api, id)).toMatchObject({ status: 'active', message_count: 1, version: 3 });
  });

  it.each([
    ['a heartbeat', (id: string) => beat(id), []],
    ['a sweep', sweep, []],
    ['an edit', (id: string) => api.patch(at(id), { description: 'd' }), ['session.updated']],
    [
      'a checkpoint',
      (id: string) => api.post(at(id, '/checkpoints'), { checkpoint: {} }),
      ['session.updated', 'checkpoint.saved'],
    ],
    ['a recovery by hand', (id: string) => api.post(at(id, '/recover')), []],
  ] as [string, (id: string) => Promise<unknown>, string[]][])('lets %s do so', async (_, act, more) => {
    const id = await overdue({ auto_recover: true });
    await act(id);
    expect(await since(id)).toEqual([...CRASHED, ...RECOVERED, ...more]);
    expect((await read(api, id)).status).toBe('active');
  });

  it('does so three times without a heartbeat between, and after one again', async () => {
    const id = await overdue({ auto_recover: true });
    for (let i = 0; i < 3; i++) {
      await append(api, id, message);
      await silent(id, 31);
    }
    expectRefused(await api.post(at(id, '/messages'), message), 409, 'session_not_open');
    expectRefused(await beat(id), 409, 'session_not_open');
    await sweep();
    expect((await read(api, id)).status).toBe('crashed');
    expectOk(await api.post(at(id, '/recover')));
    expectOk(await beat(id));
    await silent(id, 31);
    await append(api, id, message);
    expect((await since(id)).filter((type) => type === 'session.crashed')).toHaveLength(5);
  });

  it('is done once when 20 appends come at once', async () => {
    const id = await overdue({ auto_recover: true });
    const answers = await atOnce(20, () => api.post(at(id, '/messages'), message));
    expect(answers.map(({ status }) => status)).toEqual(Array(20).fill(201));
    expect((await since(id)).filter((type) => type !== 'message.appended')).toEqual([
      ...[...CRASHED, ...RECOVERED],
      'session.updated',
    ]);
  });
});

describe('recover', () => {
  it('answers exactly the last checkpoint that was saved', async () => {
    const id = await overdue();
    expectOk(await api.post(at(id, '/checkpoints'), { checkpoint: { step: 1, files: ['a.ts'] } }), 201);
    expectOk(await api.patch(at(id), { checkpoint: { step: 2 } }));
    const { session, checkpoint } = expectOk(await api.post(at(id, '/recover')));
    expect(checkpoint).toEqual({ step: 2 });
    expect(session).toMatchObject({ session_id: id, status: 'active', checkpoint: { step: 2 } });
    expect(await read(api, id)).toEqual(session);
  });

  it('answers null where none was saved, and is repeated without effect', async () => {
    const { session_id } = await create(api, { status: 'crashed' });
    const key = { 'idempotency-key': 'k' };
    const first = await api.post(at(session_id, '/recover'), undefined, key);
    expect(expectOk(first).checkpoint).toBeNull();
    for (const headers of [{}, key]) {
      const again = await api.post(at(session_id, '/recover'), undefined, headers);
      expect(expectOk(again)).toEqual(first.body);
    }
    expect(await since(session_id)).toEqual(RECOVERED);
  });

  it.each(['paused', 'completed', 'archived'])('is refused to a session that is %s', async (status) => {
    const { session_id } = await create(api, { status });
    expectRefused(await api.post(at(session_id, '/recover')), 409, 'invalid_transition');
  });
});

describe('a session whose time runs out while a request waits for its row', () => {
  it.each(['append', 'heartbeat', 'edit'])('is not brought back by an %s', async (request) => {
    const { session_id } = await create(api, { timeout_minutes: 5 });
    const holder = await app.database.pool.connect();
    await holder.query('begin');
    await holder.query(
      `update sessions set expires_at = clock_timestamp() + interval '0.5 s' where id = $1`,
      [session_id],
    );
    const waiting =
      request === 'append'
        ? api.post(at(session_id, '/messages'), message)
        : request === 'heartbeat'
          ? beat(session_id)
          : api.patch(at(session_id), { title: 'x' });
    await holder.query('select pg_sleep(0.8)');
    await holder.query('commit');
    holder.release();
    expectRefused(await waiting, 404, 'session_deleted');
    const after = await read(api, session_id, '?include_deleted=true');
    expect(after).toMatchObject({
      status: 'deleted',
      deleted_reason: 'expired',
      message_count: 0,
      title: null,
    });
  });
});
