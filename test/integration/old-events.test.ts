import { Sweeps } from '../../src/jobs/sweeps.js';
import { atOnce } from '../http/support.js';
import { SERVICE_KEY, startApp, type TestApp } from '../setup/app.js';
import { eventually } from '../setup/eventually.js';

let app: TestApp;
beforeEach(async () => {
  app = await startApp();
});
afterEach(() => app.close());

const sql = async (text: string, values: unknown[] = []) =>
  (await app.database.pool.query(text, values)).rows;
const alice = () => app.api.as('alice');
const make = async (messages: number) => {
  const { session_id: id } = (await alice().post('/sessions', { title: 'T' })).body;
  for (let i = 0; i < messages; i++)
    await alice().post(`/sessions/${id}/messages`, { role: 'user', content: 'x' });
  return id as string;
};
const seqs = async (id: string) =>
  (
    await sql(
      'select e.seq::int from events e join sessions s on s.key = e.aggregate_key where s.id = $1 order by 1',
      [id],
    )
  ).map(({ seq }) => seq);
const sweep = () => app.app.get(Sweeps).run();
const age = (days: number) => sql(`update events set created_at = now() - make_interval(days => $1)`, [days]);
/** What the followers of the stream have read. */
const followers = () => sql(`select name from stream_positions where name <> 'removed' order by name`);

/** Sweeps until it is so: what is settled may wait for a transaction elsewhere. */
const sweptUntil = <T>(look: () => Promise<T>, isSo: (seen: T) => boolean) =>
  eventually(async () => {
    await sweep();
    return look();
  }, isSo);

test('events go after their days, not before', async () => {
  const id = await make(3);
  await age(29);
  await sweptUntil(
    () =>
      sql(`select 1 from stream_positions p where name = 'derived' and (select max(tx) from events) <= tx`),
    (rows) => rows.length === 1,
  );
  expect(await seqs(id)).toEqual([1, 2, 3, 4]);
  await age(31);
  await sweptUntil(
    () => seqs(id),
    (left) => left.length === 0,
  );
  await alice().post(`/sessions/${id}/messages`, { role: 'user', content: 'x' });
  expect(await seqs(id)).toEqual([5]);
  const { body } = await alice().get(`/sessions/${id}/events`);
  expect(body.events.map(({ seq }: { seq: number }) => seq)).toEqual([5]);
  expect((await alice().get(`/sessions/${id}/events?after=3`)).body.code).toBe('events_gone');
  expect((await alice().get(`/sessions/${id}/events?after=4`)).status).toBe(200);
});

test.each(['service_totals', 'derived', 'message_sums'])('what %s has not read stays', async (follower) => {
  expect(await followers()).toContainEqual({ name: follower });
  const id = await make(3);
  await age(31);
  const [place] = await sql(
    `select e.tx, e.position from events e join sessions s on s.key = e.aggregate_key where s.id = $1 and e.seq = 2`,
    [id],
  );
  const holder = await app.database.pool.connect();
  try {
    // a follower that lags: it has read so far, and its place is held
    await holder.query('begin');
    await holder.query('select from stream_positions where name = $1 for update', [follower]);
    await holder.query('update stream_positions set tx = $2, position = $3 where name = $1', [
      follower,
      place.tx,
      place.position,
    ]);
    await holder.query('commit; begin');
    await holder.query('select from stream_positions where name = $1 for update', [follower]);
    await sweptUntil(
      () => seqs(id),
      (left) => left[0] === 3,
    );
    await sweep();
    expect(await seqs(id)).toEqual([3, 4]);
    await holder.query('commit');
  } finally {
    holder.release();
  }
  await sweptUntil(
    () => seqs(id),
    (left) => left.length === 0,
  );
});

test('those of a held session stay; later they go as a whole, without a gap', async () => {
  const [held, free] = [await make(2), await make(2)];
  const hold = (legal_hold: boolean) =>
    app.api.service(SERVICE_KEY).patch(`/sessions/${held}`, { legal_hold });
  expect((await hold(true)).status).toBe(200);
  await age(31);
  await sweptUntil(
    () => seqs(free),
    (left) => left.length === 0,
  );
  expect(await seqs(held)).toEqual([1, 2, 3, 4]);
  expect((await hold(false)).status).toBe(200);
  await sql(`update events set created_at = now() - interval '31 days' where seq = 5`);
  await sweptUntil(
    () => seqs(held),
    (left) => left.length === 0,
  );
  expect((await alice().get(`/sessions/${held}/events?after=0`)).body.code).toBe('events_gone');
});

test('the pages of all events begin behind what was removed, also where some of a held session are left', async () => {
  const [held, free] = [await make(5), await make(1)];
  const hold = await app.api.service(SERVICE_KEY).patch(`/sessions/${held}`, { legal_hold: true });
  expect(hold.status).toBe(200);
  await age(31);
  await make(2);
  await sweptUntil(
    () => seqs(free),
    (left) => left.length === 0,
  );
  const service = app.api.service(SERVICE_KEY);
  const told: string[] = [];
  let query = '?limit=2';
  while (query !== '') {
    const { status, body } = await service.get(`/events${query}`);
    expect(status).toBe(200);
    for (const { event_type } of body.events) told.push(event_type);
    query = body.has_more ? `?limit=2&cursor=${body.next_cursor}` : '';
  }
  expect(told).toEqual(['session.created', 'message.appended', 'message.appended']);
  const ofHeld = (await service.get(`/sessions/${held}/events`)).body.events;
  expect(ofHeld.map(({ seq }: { seq: number }) => seq)).toEqual([1, 2, 3, 4, 5, 6, 7]);
});

test('two processes at once, and many events: each goes once, also what tells of sessions that are gone', async () => {
  const other = await startApp({}, app);
  const ids = await Promise.all([make(1), make(1)]);
  await alice().delete(`/sessions/${ids[0]}?permanent=true`);
  await sql(
    `with s as (update sessions set event_seq = event_seq + 6000 where id = $1 returning key, event_tx)
     insert into events (aggregate_key, seq, event_type, payload, tx, created_at)
     select key, n + 2, 'session.updated', '{}', event_tx, now() from s, generate_series(1, 6000) n`,
    [ids[1]],
  );
  await age(31);
  await eventually(
    async () => {
      await atOnce(2, (i) => [app, other][i]!.app.get(Sweeps).run());
      return sql('select event_type from events');
    },
    (rows) => rows.length === 0,
  );
  await other.close();
});
