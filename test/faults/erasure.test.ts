import {
  call,
  history,
  point,
  put,
  type Row,
  remember,
  result,
  SHAPE,
  said,
  say,
  session,
} from '../http/histories.js';
import { at, eventsOf, expectOk, fresh, read, share } from '../http/support.js';
import type { Api } from '../setup/api.js';
import type { TestApp } from '../setup/app.js';
import { eventually } from '../setup/eventually.js';
import { namesIn } from '../setup/names-in.js';
import { drawn } from './drawn.js';
import type { Place } from './gate.js';
import { type Queue, Stage } from './stage.js';

const WORD = 'qxcanary';

/** A user with something of everything, and a session of somebody else with what both wrote. */
async function live(app: TestApp, who: string, bob: Api): Promise<string> {
  const alice = app.api.as(who);
  for (const n of [1, 2]) {
    const own = await session(alice, { session_id: `${who}-${n}`, title: WORD, configuration: SHAPE });
    await say(alice, own, said('user', WORD), call('c'), result('c', WORD));
    await remember(alice, own, WORD, WORD);
    await put(alice, own, point(1, [1, 2], { [WORD]: who }));
  }
  expectOk(await alice.put(`/users/${who}/memory/${WORD}`, { value: WORD }), 201);
  const theirs = await session(bob, { tags: ['theirs'] });
  await share(app, theirs, who, 'editor');
  await share(app, theirs, 'carol', 'viewer');
  await app.database.pool.query('update members set added_by = $1 where user_id = $2', [who, 'carol']);
  await say(alice, theirs, said('user', `${WORD}. More of it.`), call('c-1'));
  await say(bob, theirs, result('c-1', 'kept'), said('user', 'kept'));
  await remember(alice, theirs, WORD, WORD);
  await remember(bob, theirs, 'kept', 1);
  await app.database.pool.query(
    `update events set payload = payload || jsonb_build_object('user_ids', array[$2::text]) where seq = 1
       and aggregate_key = (select key from sessions where id = $1)`,
    [theirs, who],
  );
  return theirs;
}

/** What is left of the session, with nothing that differs from run to run. */
async function leftOf(app: TestApp, bob: Api, id: string): Promise<Row> {
  const { created_at, updated_at, last_activity_at, last_activity, ...rest } = await read(bob, id);
  const left = {
    session: rest,
    messages: (await history(bob, id)).map(({ message_id, created_at, timestamp, ...row }) => ({
      ...row,
      redacted_at: row.redacted_at !== null,
    })),
    memory: expectOk(await bob.get(at(id, '/memory'))).entries.map(({ key, value }: Row) => [key, value]),
    events: (await eventsOf(bob, id)).map(
      ({ event_type, payload: { message_id, memory_id, ...payload } }) => [event_type, payload],
    ),
    members: (
      await app.database.pool.query(
        'select m.user_id, m.added_by from members m join sessions s on s.key = m.session_key where s.id = $1',
        [id],
      )
    ).rows,
  };
  const text = JSON.stringify(left).replaceAll(id, 'theirs').replaceAll(bobIs, 'bob');
  return JSON.parse(text.replaceAll(/erased-[0-9a-f-]{36}/g, 'erased'));
}
let bobIs = '';

const update = (table: string, when: string): Place => ({ table, on: 'update', when });
const told = (type: string): Place => ({ table: 'events', on: 'insert', when: `new.event_type = '${type}'` });
const job = (when: string) => update('jobs', `new.kind = 'erasure' and ${when}`);
const inPhase = (name: string, pass = 1) =>
  job(`new.cursor ->> 'phase' = '${name}' and (new.cursor ->> 'pass')::int = ${pass}`);

const PLACES: [what: string, place: Place][] = [
  ['begins', job('old.cursor is null and new.cursor is not null')],
  ['takes sessions away', update('sessions', 'old.purged_at is null and new.purged_at is not null')],
  ['has taken them', job(`jsonb_array_length(new.cursor -> 'batch') = 2`)],
  ['has removed the rows of one', job(`jsonb_array_length(new.cursor -> 'batch') = 1`)],
  ['leaves a session', told('session.unshared')],
  ['replaces who added a member', update('members', 'new.added_by is distinct from old.added_by')],
  ['redacts', update('messages', 'old.redacted_at is null and new.redacted_at is not null')],
  ['has redacted', job(`new.cursor ->> 'redacted' is not null`)],
  ['removes memory', told('memory.deleted')],
  ['rewrites the log', update('events', 'new.payload <> old.payload')],
  ['comes to what is kept for him', inPhase('user')],
  ['walks again', inPhase('sessions', 2)],
  ['comes to the stores', job(`new.cursor ->> 'phase' = 'vectors'`)],
  ['forgets whom it was about', job('old.user_id <> new.user_id')],
  ['writes that it is done', job(`new.state = 'succeeded'`)],
];

describe.each<Queue>(['PostgreSQL', 'Redis'])('with the queue in %s', (queue) => {
  let stage: Stage;
  let app: TestApp;
  let undisturbed: Row;
  const ask = async (who: string) =>
    expectOk(await app.api.as(who).delete(`/users/${who}/data`), 202).job_id as string;

  async function expectNothingLeft(who: string): Promise<void> {
    await eventually(
      () => namesIn(app.database, `${who}|${WORD}`),
      (rows) => rows.length === 0,
    );
  }

  beforeAll(async () => {
    stage = await Stage.open(queue);
    app = stage.app;
    const who = fresh('zq-undisturbed-');
    bobIs = fresh('bob');
    const theirs = await live(app, who, app.api.as(bobIs));
    const id = await ask(who);
    expect(await stage.over(app.api.as(who), id)).toMatchObject({ state: 'succeeded', attempts: 1 });
    await expectNothingLeft(who);
    undisturbed = await leftOf(app, app.api.as(bobIs), theirs);
    expect(JSON.stringify(undisturbed)).toContain('kept');
  }, 180_000);
  afterAll(() => stage.close());

  // the queue only tells of a job: with another one a few of the places are enough
  const tried = drawn(`erasure with the queue in ${queue}`, PLACES, queue === 'Redis' ? 8 : 4);
  test.each(
    tried.flatMap(([what, place], index) => [
      [what, 'is lost', place] as const,
      ...(place.table === 'jobs' && index % 2 === 0
        ? [[what, 'is written all the same', place] as const]
        : []),
    ]),
  )(
    'an erasure whose worker is killed when it %s, which %s, comes out as ever',
    async (_what, fate, place) => {
      const who = `${fresh('zq-user-')}-x`;
      bobIs = fresh('bob');
      const bob = app.api.as(bobIs);
      const theirs = await live(app, who, bob);
      const id = await stage.killAt(place, () => ask(who), fate);
      await stage.startWorker();
      const ended = await stage.overAfterKill(app.api.as(who), id);
      expect(ended).toMatchObject({ state: 'succeeded', error: null });
      expect(ended.result).toMatchObject({
        ...{
          deleted: { sessions: 2, messages: 6, memory: 2, memberships: 1, jobs: 0 },
          redacted: { messages: 2 },
        },
        ...{ held: { session_ids: [] }, remaining: 0 },
      });
      await expectNothingLeft(who);
      expect(await leftOf(app, bob, theirs)).toEqual(undisturbed);
    },
    120_000,
  );
});
