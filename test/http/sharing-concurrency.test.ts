import type { Answer, Api } from '../setup/api.js';
import { eventually } from '../setup/eventually.js';
import { api, app, service, useApp, user } from './suite.js';
import { append, at, atOnce, create, eventsOf, expectOk, fresh, read, share } from './support.js';

useApp({ DATABASE_POOL_SIZE: '24' });

// biome-ignore lint/suspicious/noExplicitAny: rows of answers
type Row = any;

let id: string;
let guest: string;
let guests: Api;
beforeEach(async () => {
  id = (await create(api)).session_id;
  await append(api, id, { role: 'user', content: 'Hello', message_id: 'm' });
  guest = fresh('guest');
  guests = app.api.as(guest);
});

const shareWith = (users: string[], role: string, by: Api = api, headers = {}) =>
  by.post(at(id, '/share'), { user_ids: users, role }, headers);
const unshare = (name: string, by: Api = api) => by.delete(at(id, `/share/${name}`));
const transfer = (to: string, by: Api = api) => by.post(at(id, '/transfer'), { user_id: to });
const say = (by: Api) => by.post(at(id, '/messages'), { role: 'user', content: 'x' });
const codeOf = ({ status, body }: Answer) => (status < 300 ? status : `${status} ${body.code}`);

/** How many of the service's statements wait for a row. */
const waiting = async (): Promise<number> =>
  (
    await app.database.pool.query(
      `select count(*)::int from pg_stat_activity
       where datname = current_database() and application_name = 'session-service' and wait_event_type = 'Lock'`,
    )
  ).rows[0].count;

/** Lets the requests wait for the session's row until all of them do: the first then goes first, the others, which have begun before it ended, in any order. */
async function inTurn(...requests: (() => Promise<Answer>)[]): Promise<(string | number)[]> {
  const holder = await app.database.pool.connect();
  const answers: Promise<Answer>[] = [];
  try {
    await holder.query('begin');
    await holder.query('select from sessions where id = $1 for update', [id]);
    for (const request of requests) {
      answers.push(request());
      await eventually(waiting, (count) => count === answers.length);
    }
  } finally {
    await holder.query('commit');
    holder.release();
  }
  return (await Promise.all(answers)).map(codeOf);
}

const GONE = '404 session_not_found';
const TOO_SMALL = '403 forbidden';

/** What a member may ask for that waits for the session's row: as which role, and what is answered when that was taken, or he is a viewer now. */
const WRITES: [what: string, role: string, ask: () => Promise<Answer>, asViewer: string | number][] = [
  ['append', 'editor', () => say(guests), TOO_SMALL],
  [
    'append of calls',
    'editor',
    () => guests.post(at(id, '/messages'), { role: 'assistant', tool_calls: [{ id: 'c' }] }),
    TOO_SMALL,
  ],
  ['heartbeat', 'editor', () => guests.post(at(id, '/heartbeat')), TOO_SMALL],
  ['checkpoint', 'editor', () => guests.post(at(id, '/checkpoints'), { checkpoint: {} }), TOO_SMALL],
  ['memory', 'editor', () => guests.put(at(id, '/memory/k'), { value: 1 }), TOO_SMALL],
  ['edit', 'manager', () => guests.patch(at(id), { title: 'T' }), TOO_SMALL],
  ['transition', 'editor', () => guests.post(at(id, '/pause')), TOO_SMALL],
  ['redaction', 'manager', () => guests.delete(at(id, '/messages/m')), TOO_SMALL],
  ['collection', 'manager', () => guests.put(at(id, '/collection'), { vectors: { size: 2 } }), TOO_SMALL],
  ['share', 'manager', () => shareWith(['x'], 'viewer', guests), TOO_SMALL],
  ['unshare', 'manager', () => unshare('friend', guests), TOO_SMALL],
  ['leave', 'viewer', () => unshare(guest, guests), 204],
  ['fork', 'viewer', () => guests.post(at(id, '/fork'), {}), 201],
  [
    'split',
    'manager',
    () => guests.post(at(id, '/split'), { parts: [{ title: 'P', from_seq: 1 }] }),
    TOO_SMALL,
  ],
];

describe.each(WRITES)(
  'a request that waits behind what takes away the right to it: %s',
  (_, role, ask, asViewer) => {
    beforeEach(async () => {
      await share(app, id, 'friend', 'viewer');
      await share(app, id, guest, role);
    });

    it('behind the end of the membership', async () => {
      const count = (await eventsOf(api, id)).length;
      expect(await inTurn(() => unshare(guest), ask)).toEqual([204, GONE]);
      expect((await eventsOf(api, id)).length).toBe(count + 1);
    });

    it('behind a smaller role', async () => {
      const isViewer = role === 'viewer';
      const [first, then] = await inTurn(() => shareWith([guest], 'viewer'), ask);
      expect([first, then]).toEqual([200, isViewer ? asViewer : TOO_SMALL]);
    });
  },
);

describe('a transfer', () => {
  it('before a transfer: who is not the owner any more does not transfer', async () => {
    expect(
      await inTurn(
        () => transfer(guest),
        () => transfer(fresh()),
      ),
    ).toEqual([200, TOO_SMALL]);
    expect((await read(guests, id)).user_id).toBe(guest);
  });

  it('before what its old owner asks: he is a manager then', async () => {
    const answers = await inTurn(
      () => transfer(guest),
      () => say(api),
      () => api.patch(at(id), { title: 'T' }),
      () => shareWith(['x'], 'editor'),
      () => shareWith(['x'], 'manager'),
      () => api.delete(at(id)),
      () => shareWith([guest], 'viewer'),
    );
    expect(answers).toEqual([200, 201, 200, 200, TOO_SMALL, TOO_SMALL, '422 is_owner']);
  });

  it('before what its new owner asks: he is the owner then', async () => {
    await share(app, id, guest, 'viewer');
    const answers = await inTurn(
      () => transfer(guest),
      () => guests.post(at(id, '/checkpoints'), { checkpoint: {} }),
      () => guests.patch(at(id), { title: 'T' }),
      () => shareWith([user], 'viewer', guests),
    );
    expect(answers).toEqual([200, 201, 200, 200]);
  });

  it('behind a share with the heir: he is no member of his own session', async () => {
    expect(
      await inTurn(
        () => shareWith([guest], 'editor'),
        () => transfer(guest),
      ),
    ).toEqual([200, 200]);
    expect((await listed(guests)).map(({ user_id, role }) => [user_id, role])).toEqual([
      [guest, 'owner'],
      [user, 'manager'],
    ]);
  });

  it('before a share with the heir: he is the owner', async () => {
    expect(
      await inTurn(
        () => transfer(guest),
        () => shareWith([guest], 'editor', service),
      ),
    ).toEqual([200, '422 is_owner']);
  });
});

it('a member who is made more while he waits is what he is then', async () => {
  await share(app, id, guest, 'viewer');
  const save = () => guests.post(at(id, '/checkpoints'), { checkpoint: {} });
  expect(await inTurn(() => shareWith([guest], 'editor'), save)).toEqual([200, 201]);
});

it('an edit before an append by a member takes nothing from him', async () => {
  await share(app, id, guest, 'editor');
  const edit = (title: string) => () => api.patch(at(id), { title });
  expect(
    await inTurn(
      edit('1'),
      () => say(guests),
      edit('2'),
      () => say(guests),
    ),
  ).toEqual([200, 201, 200, 201]);
});

it('two managers who share at once follow one another', async () => {
  await share(app, id, 'm1', 'manager');
  await share(app, id, 'm2', 'manager');
  const { version } = await read(api, id);
  const by = (name: string) => app.api.as(name);
  const answers = await inTurn(
    () => shareWith(['x', 'y'], 'viewer', by('m1')),
    () => shareWith(['y', 'z'], 'editor', by('m2')),
    () => shareWith(['y', 'z'], 'editor', by('m1')),
  );
  expect(answers).toEqual([200, 200, 200]);
  const roles = (await listed(api)).map(({ user_id, role }) => `${user_id} ${role}`);
  expect(roles).toEqual([`${user} owner`, 'm1 manager', 'm2 manager', 'x viewer', 'y editor', 'z editor']);
  expect((await read(api, id)).version).toBe(version + 2);
});

it('20 twins under one Idempotency-Key share once', async () => {
  const key = { 'idempotency-key': fresh('key') };
  const answers = await atOnce(20, () => shareWith(['x', 'y'], 'viewer', api, key));
  expect(new Set(answers.map(({ status, text }) => `${status} ${text}`)).size).toBe(1);
  expect((await eventsOf(api, id)).filter((e) => e.event_type === 'session.shared')).toHaveLength(1);
  expect((await read(api, id)).version).toBe(2);
});

it('the cap holds under 40 at once', async () => {
  await app.database.pool.query(
    `insert into members (session_key, user_id, role, added_at)
     select key, 'm-' || n, 'viewer', now() from sessions, generate_series(1, 980) n where id = $1`,
    [id],
  );
  const answers = await atOnce(40, (n) => shareWith([`new-${n}`], 'viewer'));
  expect(answers.filter(({ status }) => status === 200)).toHaveLength(20);
  expect(answers.filter(({ status }) => status === 409)).toHaveLength(20);
});

it('whatever happens at once, nobody did what he might not do then, and the events tell it all', async () => {
  const names = Array.from({ length: 6 }, () => fresh('p'));
  const apis = [api, ...names.map((name) => app.api.as(name))];
  const everybody = [user, ...names];
  const random = randomOf(4711);
  const pick = <T>(list: T[]): T => list[Math.floor(random() * list.length)]!;
  const answers = await atOnce(12, async () => {
    const statuses: number[] = [];
    for (let step = 0; step < 25; step++) {
      const by = pick([...apis, service]);
      const what = random();
      const answer =
        what < 0.3
          ? await shareWith([pick(everybody), pick(everybody)], pick(['viewer', 'editor', 'manager']), by)
          : what < 0.5
            ? await unshare(pick(everybody), by)
            : what < 0.6
              ? await transfer(pick(everybody), by)
              : await say(by);
      statuses.push(answer.status);
    }
    return statuses;
  });
  expect(answers.flat().filter((status) => ![200, 201, 204, 403, 404, 422].includes(status))).toEqual([]);
  const events = await eventsOf(service, id);
  expect(await listedRoles()).toEqual(replay(events, await authors()));
  const edits = events.filter((e) =>
    ['session.shared', 'session.unshared', 'session.transferred'].includes(e.event_type),
  );
  expect((await read(service, id)).version).toBe(1 + edits.length);
  expect(edits.length).toBeGreaterThan(10);
});

const listed = async (by: Api): Promise<Row[]> =>
  expectOk(await by.get(at(id, '/collaborators'))).collaborators;
const listedRoles = async () =>
  new Map<string, string>((await listed(service)).map(({ user_id, role }) => [user_id, role]));
/** seq of a message → who wrote it */
const authors = async () =>
  new Map<number, string>(
    expectOk(await service.get(at(id, '/messages?limit=1000'))).messages.map(({ seq, user_id }: Row) => [
      seq,
      user_id,
    ]),
  );

/** What everybody is after these events; each of them by somebody who might do that then, as far as they tell. */
function replay(events: Row[], authors: Map<number, string>): Map<string, string> {
  const roles = new Map([[user, 'owner']]);
  const may = (who: string | null, ...allowed: string[]) =>
    who === null || expect(allowed).toContain(roles.get(who));
  for (const { event_type, payload } of events) {
    if (event_type === 'message.appended' && payload.from_seq > 1) {
      const author = authors.get(payload.from_seq)!;
      may(author, 'editor', 'manager', 'owner');
    } else if (event_type === 'session.shared') {
      const isManagers =
        payload.role === 'manager' || payload.user_ids.some((name: string) => roles.get(name) === 'manager');
      may(payload.added_by, 'owner', ...(isManagers ? [] : ['manager']));
      for (const name of payload.user_ids) {
        expect(roles.get(name)).not.toBe('owner');
        roles.set(name, payload.role);
      }
    } else if (event_type === 'session.unshared') {
      const [name] = payload.user_ids;
      if (payload.removed_by !== name)
        may(payload.removed_by, 'owner', ...(roles.get(name) === 'manager' ? [] : ['manager']));
      expect(roles.delete(name)).toBe(true);
    } else if (event_type === 'session.transferred') {
      may(payload.transferred_by, 'owner');
      expect(roles.get(payload.previous_user_id)).toBe('owner');
      roles.set(payload.previous_user_id, 'manager');
      roles.set(payload.user_id, 'owner');
    }
  }
  return roles;
}

/** The same numbers for the same seed (mulberry32). */
function randomOf(seed: number): () => number {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}
