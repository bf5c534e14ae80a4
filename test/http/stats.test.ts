import { Sweeps } from '../../src/jobs/sweeps.js';
import { type Total, TotalsRepository } from '../../src/stats/totals.repository.js';
import { TotalsService } from '../../src/stats/totals.service.js';
import type { Api } from '../setup/api.js';
import { startApp } from '../setup/app.js';
import { eventually } from '../setup/eventually.js';
import { api, app, service, useApp, user } from './suite.js';
import { append, at, atOnce, create, expectOk, fresh, runOut, share, silence, TIME } from './support.js';

const STATS = '/api/v1/sessions/stats';

useApp();

const stats = async (by: Api) => expectOk(await by.get(STATS));
const fold = () => app.app.get(Sweeps).run();
const sum = (totals: Total[], name: 'sessions' | 'messages' | 'tokens') =>
  totals.reduce((all, row) => all + row[name], 0);
const NONE = { active: 0, paused: 0, completed: 0, crashed: 0, archived: 0 };

describe('the summary of a session', () => {
  it('tells its figures', async () => {
    const { session_id, created_at } = await create(api);
    await append(api, session_id, { role: 'user', content: 'x', tokens_used: 10, cost_usd: 0.001 });
    await append(api, session_id, { role: 'assistant', content: 'y', tokens_used: 12, cost_usd: 0.0012 });
    await app.database.pool.query(
      `update sessions set last_activity_at = created_at + interval '90.5 seconds' where id = $1`,
      [session_id],
    );
    const last = new Date(Date.parse(created_at) + 90_500).toISOString();
    expect(expectOk(await api.get(at(session_id, '/summary')))).toEqual({
      ...{ session_id, id: session_id, user_id: user, owner_id: user, status: 'active', is_active: true },
      ...{
        message_count: 2,
        total_tokens: 22,
        total_cost: 0.0022,
        has_memory: false,
        duration_seconds: 90.5,
      },
      ...{ created_at, last_activity_at: last, last_activity: last },
    });
  });
});

describe('statistics of a user', () => {
  it('are empty before there is anything', async () => {
    expect(await stats(api)).toEqual({
      ...{
        total_sessions: 0,
        active_sessions: 0,
        sessions_by_status: NONE,
        total_messages: 0,
        total_tokens: 0,
      },
      ...{ total_cost: 0, average_messages_per_session: 0, as_of: expect.stringMatching(TIME) },
    });
  });

  it('are what he owns, at once, by the status it shows; not what is deleted or shared with him', async () => {
    const message = { role: 'user', content: 'x', tokens_used: 5, cost_usd: 0.1 };
    const ids: string[] = [];
    for (const status of ['active', 'active', 'paused', 'completed', 'crashed', 'archived']) {
      const { session_id } = await create(api, { timeout_minutes: 5, heartbeat_timeout_seconds: 30 });
      await append(api, session_id, message);
      if (status !== 'active') expectOk(await api.patch(at(session_id), { status }));
      ids.push(session_id);
    }
    for (const end of ['delete', 'purge', 'expire', 'silence']) {
      const { session_id } = await create(api, { timeout_minutes: 5, heartbeat_timeout_seconds: 30 });
      await append(api, session_id, message);
      if (end === 'delete') await api.delete(at(session_id));
      if (end === 'purge') await api.delete(at(session_id, '?permanent=true'));
      if (end === 'expire') await runOut(app.database, session_id);
      if (end === 'silence') await silence(app.database, session_id, 40);
    }
    const other = app.api.as(fresh());
    const { session_id: shared } = await create(other);
    await share(app, shared, user, 'manager');
    const expected = {
      total_sessions: 7,
      active_sessions: 2,
      sessions_by_status: { active: 2, paused: 1, completed: 1, crashed: 2, archived: 1 },
      total_messages: 7,
      total_tokens: 35,
      total_cost: 0.7,
      average_messages_per_session: 1,
    };
    expect(await stats(api)).toMatchObject(expected);
    expect(await stats(service.as(user))).toMatchObject(expected);
  });
});

describe('statistics of the service', () => {
  it('are folded by a sweep, and are equal to a recount after every kind of change', async () => {
    const totals = app.app.get(TotalsService, { strict: false });
    const { session_id } = await create(api, { timeout_minutes: 5 });
    const { message_id } = await append(api, session_id, {
      role: 'user',
      content: 'x',
      tokens_used: 7,
      cost_usd: 0.25,
    });
    const changes = [
      async () => undefined,
      () => api.patch(at(session_id, `/messages/${message_id}`), { tokens_used: 9, cost_usd: 0.5 }),
      () => api.delete(at(session_id, `/messages/${message_id}`)),
      () => api.post(at(session_id, '/pause')),
      () => api.post(at(session_id, '/archive')),
      () => api.post(at(session_id, '/restore')),
      () => api.delete(at(session_id)),
      () => api.post(at(session_id, '/restore')),
      () => runOut(app.database, session_id),
      () => api.post(at(session_id, '/restore')),
      () => api.delete(at(session_id, '?permanent=true')),
    ];
    for (const change of changes) {
      await change();
      const recounted = await eventually(
        async () => {
          await fold();
          return { told: await stats(service), is: await app.app.get(TotalsRepository).recount(null) };
        },
        ({ told, is }) =>
          told.total_sessions === sum(is, 'sessions') &&
          told.total_messages === sum(is, 'messages') &&
          told.total_tokens === sum(is, 'tokens'),
      );
      expect(await totals.prove()).toEqual({ folded: recounted.is, recounted: recounted.is });
    }
    const { rowCount } = await app.database.pool.query(
      'select 1 from session_totals t left join sessions s on s.key = t.session_key where s.key is null or s.purged_at is not null',
    );
    expect(rowCount).toBe(0);
  });

  it('tell how far they reach while a transaction is open that may yet write', async () => {
    await fold();
    const open = await app.database.pool.connect();
    await open.query('begin');
    await open.query('select pg_current_xact_id()');
    const { session_id } = await create(api);
    const { created_at } = await append(api, session_id, { role: 'user', content: 'x' });
    await fold();
    const before = await stats(service);
    await open.query('rollback');
    open.release();
    expect(Date.parse(before.as_of)).toBeLessThanOrEqual(Date.parse(created_at));
    const after = await eventually(
      async () => {
        await fold();
        return stats(service);
      },
      ({ as_of }) => Date.parse(as_of) > Date.parse(created_at),
    );
    expect(after.total_sessions).toBe(before.total_sessions + 1);
  });

  it('miss and double nothing while 16 writers append and two processes fold', async () => {
    const second = await startApp({}, app);
    const sweeps = [app, second].map((one) => one.app.get(Sweeps));
    let isWriting = true;
    const folding = sweeps.map(async (sweep) => {
      while (isWriting) await sweep.run();
    });
    await atOnce(16, async (writer) => {
      const mine = app.api.as(fresh(`writer-${writer}`));
      const { session_id } = await create(mine);
      for (let i = 0; i < 20; i++) {
        await append(mine, session_id, {
          role: 'user',
          content: 'x',
          tokens_used: i,
          cost_usd: 0.0000000001,
        });
      }
    });
    isWriting = false;
    await Promise.all(folding);
    const { folded, recounted } = await app.app.get(TotalsService, { strict: false }).prove();
    expect(folded).toEqual(recounted);
    expect(folded.reduce((all, { messages }) => all + messages, 0)).toBeGreaterThanOrEqual(320);
    await second.close();
  });
});
