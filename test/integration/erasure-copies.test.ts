import { CopiedFieldsRepository } from '../../src/sessions/copied-fields.repository.js';
import { SessionErasureRepository } from '../../src/sessions/session-erasure.repository.js';
import { said, say, session } from '../http/histories.js';
import { app, service, useApp, user } from '../http/suite.js';
import { at, expectOk, fresh, read } from '../http/support.js';

useApp({ ROLE: 'api' });

const LINKS = 5_000;

/** Of one session, each a fork of the one before: the first by somebody else. */
async function insertChain(from: string, owner: string): Promise<void> {
  const link = (n: string) => `'${owner}-' || ${n}`;
  const { rows } = await app.database.pool.query('select max(key)::int as key from sessions');
  const last = rows[0].key;
  await app.database.pool.query(
    `insert into sessions (key, id, user_id, session_type, runtime_backend, state, legal_hold, version, message_count, total_tokens, total_cost,
       last_call_seq, event_seq, event_tx, auto_recover, created_at, last_activity_at)
     select ${last} + n, ${link('n')}, '${owner}', 'conversation', 'unknown', 'active', false, 1, 0, 0, 0, 0, 0, 0, false, now(), now()
     from generate_series(1, ${LINKS}) n`,
  );
  await app.database.pool.query(
    `insert into session_details (key, user_id, title, tags, metadata, context, configuration, conversation_data, runtime_metadata,
       session_summary, lineage, created_at, updated_at)
     select ${last} + n, '${owner}', 'of ' || n, array['kept', 'canary'], '{}', '{}', '{}', '{}', '{}', '',
       json_build_object('kind', 'fork', 'session_id', case when n = 1 then $1 else ${link('n - 1')} end), now(), now()
     from generate_series(1, ${LINKS}) n`,
    [from],
  );
  await app.database.pool.query(
    `select setval(pg_get_serial_sequence('sessions', 'key'), ${last + LINKS + 1})`,
  );
}

test('what is from a user’s session at whatever remove is found, in a long chain and in a circle', async () => {
  const copies = app.app.get(CopiedFieldsRepository, { strict: false });
  const alice = app.api.as(user);
  const own = await session(alice, { tags: ['canary'] });
  const owner = fresh('bob');
  await insertChain(own, owner);
  const other = await session(app.api.as(owner));
  const found: number[] = [];
  for (let after = 0; ; ) {
    const page = await copies.find(user, after, Number.MAX_SAFE_INTEGER, 5_000);
    if (page.last === null) break;
    found.push(...page.found);
    after = page.last;
  }
  expect(found).toHaveLength(LINKS);
  const end = found.at(-1)!;
  expect(await copies.clear(end, user, [])).toEqual(['tags']);
  expect(await read(service, `${owner}-${LINKS}`)).toMatchObject({ tags: ['kept'] });

  const ownKey = Math.min(...found) - 1;
  expect(await copies.findNew([ownKey], end - 1)).toEqual([end]);
  // whoever imports may say that a session is from one that is from it
  await app.database.pool.query(
    `update session_details set lineage = json_build_object('session_id', $1::text) where key = $2`,
    [`${owner}-${LINKS}`, found[0]],
  );
  expect((await copies.find(user, found[0]! - 1, end, LINKS)).found).toEqual([]);
  expect(expectOk(await service.get(`/sessions/${other}`)).lineage).toBeNull();
});

test('a session made after the erasure began is older when he copied into it what he had said before', async () => {
  const sessions = app.app.get(SessionErasureRepository, { strict: false });
  const alice = app.api.as(user);
  const before = await session(alice);
  await say(alice, before, said('user', 'word'));
  const { rows } = await app.database.pool.query('select clock_timestamp()::text as now');
  const fork = async (range: object) =>
    expectOk(await alice.post(at(before, '/fork'), range), 201).session_id;
  const ids = [await fork({}), await fork({ up_to_seq: 0 }), await session(alice)];
  await say(alice, ids[2]!, said('user', 'new'));
  const keys = await Promise.all(ids.map(keyOf));
  const removed = await sessions.removeOwn(keys, user, rows[0].now);
  expect(removed.map(({ is_old }) => is_old)).toEqual([true, false, false]);
});

const keyOf = async (id: string): Promise<number> =>
  (await app.database.pool.query('select key::int from sessions where id = $1', [id])).rows[0].key;
