import fc from 'fast-check';
import type { Api } from '../setup/api.js';
import { SERVICE_KEY, startApp, type TestApp } from '../setup/app.js';
import { cleanUpAt, insertKept, type Kept, kept, type Step } from '../setup/retention.js';
import { expectedSteps, type Policy } from './retention-oracle.js';

const DAY = 86_400_000;
const OFF = {
  auto_archive_inactive_days: null,
  auto_delete_archived_days: null,
  delete_completed_days: null,
  max_age_days: null,
  purge_deleted_days: null,
  max_sessions_per_user: null,
};
const HUGE = 2_147_483_647;

let first: TestApp;
let app: TestApp;
let service: Api;
beforeAll(async () => {
  first = await startApp({ ROLE: 'api' });
  // a day is 24 hours, whatever the server makes of it
  await first.database.pool.query(
    `do $$ begin execute format('alter database %I set timezone = %L', current_database(), 'America/New_York'); end $$`,
  );
  app = await startApp({}, first);
  service = app.api.service(SERVICE_KEY);
});
afterAll(async () => {
  await app.close();
  await first.close();
});
beforeEach(() => app.database.pool.query(`truncate sessions, session_details, events, jobs`));

const query = async (text: string, values: unknown[] = []) =>
  (await app.database.pool.query(text, values)).rows;

async function setPolicies(inherited: Policy, own: Map<string, Policy>): Promise<void> {
  await query(`delete from retention_policies where user_id <> ''`);
  await query(`update retention_policies set policy = $1 where user_id = ''`, [{ ...OFF, ...inherited }]);
  await query(`insert into retention_policies select key, value, 1, now() from json_each($1::json)`, [
    JSON.stringify(Object.fromEntries(own)),
  ]);
}

const everything = () =>
  query(
    `select to_jsonb(s) as session, to_jsonb(d) as details,
       (select json_agg(e order by e.seq) from events e where e.aggregate_key = s.key) as events
     from sessions s join session_details d using (key) order by s.key`,
  );

/** A dry run, which changes nothing, and a real one tell the same, and that is what is then there. */
async function runBoth(sessions: Kept[], at: number) {
  await insertKept(app.database, sessions);
  const before = await everything();
  const dry = await cleanUpAt(app, service, at, true);
  expect(await everything()).toEqual(before);
  const real = await cleanUpAt(app, service, at, false);
  expect(real).toEqual({ ...dry, dry_run: false });
  const archived = sessions.filter((one) => one.archived !== null).map(({ id }) => id);
  await checkEffects(real.actions, archived);
  return real.actions;
}

const EVENTS = {
  archive: ['session.updated', 'session.archived'],
  delete: ['session.updated', 'session.deleted'],
  purge: ['session.purged'],
};

/** Every session has the events of its one step, and looks like it. */
async function checkEffects(steps: Step[], archivedBefore: string[]): Promise<void> {
  const rows = await query(
    `select coalesce((select e.payload ->> 'session_id' from events e where e.aggregate_key = s.key and e.event_type = 'session.purged'), s.id) as id,
       case when purged_at <= now() then 'purge' when deleted_reason = 'retention' then 'delete' when archived_at is not null and s.id <> all($1::text[]) then 'archive' end as done,
       (select coalesce(json_agg(e.event_type order by e.seq), '[]') from events e where e.aggregate_key = s.key
        and not exists (select from events c where c.aggregate_key = s.key and c.seq = e.seq + (e.event_type = 'session.updated')::int
          and c.event_type in ('session.crashed', 'session.recovered'))) as told,
       event_seq = (select count(*) from events e where e.aggregate_key = s.key) as is_gap_free
     from sessions s order by s.key`,
    [archivedBefore],
  );
  const byId = new Map(steps.map(({ session_id, action }) => [session_id, action]));
  expect(byId.size).toBe(steps.length);
  for (const { id, ...row } of rows) {
    const action = byId.get(id);
    expect({ id, ...row }).toEqual({
      id,
      done: action ?? null,
      told: action ? EVENTS[action] : [],
      is_gap_free: true,
    });
  }
}

describe('every rule at its edges', () => {
  const since = (at: number): Record<string, Partial<Kept>[]> => ({
    auto_archive_inactive_days: (['active', 'paused', 'completed', 'crashed'] as const).map((state) => ({
      state,
      activity: at,
    })),
    auto_delete_archived_days: [{ archived: at }, { archived: at, state: 'completed' }],
    delete_completed_days: [{ state: 'completed', completed: at }],
    max_age_days: [
      ...(['active', 'paused', 'completed', 'crashed'] as const).map((state) => ({ state, created: at })),
      { created: at, archived: at + 1 },
    ],
    purge_deleted_days: [{ deleted: at }, { deleted: at, archived: at - 1 }, { expires: at }],
  });
  const rules = Object.keys(since(0));
  const days = [0, 1, 7, 30, 365, 36_500];

  test.each(['of the user', 'of the service'])(
    'a day, a millisecond before and after, by a policy %s',
    async (whose) => {
      const at = Date.now();
      for (const n of whose === 'of the user' ? [days] : days.map((one) => [one])) {
        await query('truncate sessions, session_details, events, jobs');
        const own = new Map<string, Policy>();
        const sessions: Kept[] = [];
        const due: string[] = [];
        for (const rule of rules)
          for (const count of n)
            for (const late of [-1, 0, 1]) {
              const user = `${rule}-${count}-${late}`;
              if (whose === 'of the user') own.set(user, { ...OFF, [rule]: count });
              else own.set(user, Object.fromEntries(Object.entries(OFF).filter(([name]) => name !== rule)));
              for (const [which, fields] of since(at - count * DAY - late)[rule]!.entries()) {
                const id = `${user}-${which}`;
                // what is used at this very moment is due by none of the others
                sessions.push(kept(id, user, at + 1, fields));
                if (late >= 0) due.push(id);
              }
            }
        await setPolicies(Object.fromEntries(rules.map((rule) => [rule, n[0]!])), own);
        const steps = await runBoth(sessions, at);
        expect(steps.map(({ session_id }) => session_id).sort()).toEqual(due.sort());
        for (const { session_id, rule, due_since } of steps) {
          const [name, , late] = /^(\w+)-(\d+)-(\d)-\d$/.exec(session_id)!.slice(1);
          expect({ rule, due_since }).toEqual({
            rule: name,
            due_since: new Date(at - Number(late)).toISOString(),
          });
        }
      }
    },
  );

  test('null is off, huge never comes, and neither reaches for times that there are not', async () => {
    const at = Date.now();
    const own = new Map<string, Policy>();
    const sessions: Kept[] = [];
    for (const rule of [...rules, 'max_sessions_per_user'])
      for (const value of [null, HUGE, 1_000_001]) {
        const user = `${rule}-${value}`;
        own.set(user, { ...OFF, [rule]: value });
        for (const [which, fields] of Object.values(since(0)).flat().entries())
          sessions.push(kept(`${user}-${which}`, user, 0, fields));
      }
    // null wins over what would be inherited
    await setPolicies({ max_age_days: 0, purge_deleted_days: 0, max_sessions_per_user: 0 }, own);
    expect(await runBoth(sessions, at)).toEqual([]);
    await setPolicies({}, new Map([...own.keys()].map((user) => [user, { max_age_days: 1_000_000 }])));
    await query('truncate sessions, session_details, events, jobs');
    expect(await runBoth(sessions, at)).toEqual([]);
  });

  test('a rule is for its own states only', async () => {
    const at = Date.now();
    const statuses: Record<string, Partial<Kept>> = {
      ...{ active: {}, paused: { state: 'paused' }, crashed: { state: 'crashed' } },
      completed: { state: 'completed', completed: 0 },
      archived: { archived: 0, state: 'completed', completed: 0 },
      deleted: { deleted: 0, archived: 0, state: 'completed', completed: 0 },
      expired: { expires: 0 },
      ...{ held: { held: true }, busy: { busy: true }, hidden: { hidden: true } },
    };
    const own = new Map<string, Policy>(rules.map((rule) => [rule, { ...OFF, [rule]: 0 }]));
    await setPolicies({}, own);
    const sessions = rules.flatMap((rule) =>
      Object.entries(statuses).map(([status, fields]) => kept(`${rule} ${status}`, rule, 0, fields)),
    );
    const steps = await runBoth(sessions, at);
    const reached = (rule: string) =>
      steps.filter((step) => step.rule === rule).map((step) => step.session_id.split(' ')[1]);
    const open = ['active', 'paused', 'crashed', 'completed'];
    expect(Object.fromEntries(rules.map((rule) => [rule, reached(rule)]))).toEqual({
      auto_archive_inactive_days: open,
      auto_delete_archived_days: ['archived'],
      delete_completed_days: ['completed'],
      max_age_days: [...open, 'archived'],
      purge_deleted_days: ['deleted', 'expired'],
    });
  });
});

test('random sessions under random policies: what an oracle says, dry and real', async () => {
  const at = Date.now();
  const USERS = ['ann', 'ben', 'cat', 'dan', 'eve', 'fay', null];
  const limit = fc.oneof(
    { weight: 4, arbitrary: fc.integer({ min: 0, max: 4 }) },
    fc.constantFrom(null, 30, HUGE),
  );
  const policy = fc.record(Object.fromEntries(Object.keys(OFF).map((name) => [name, limit])), {
    requiredKeys: [],
  });
  // around the edges of days, and sometimes after the run began
  const time = fc
    .tuple(fc.integer({ min: 0, max: 5 }), fc.constantFrom(-1, 0, 1, 3_600_000))
    .map(([days, ms]) => at - days * DAY - ms);
  const maybe = (chance: number) => fc.option(time, { freq: chance, nil: null });
  const rarely = fc.integer({ min: 0, max: 9 }).map((n) => n === 0);
  const session = fc.record({
    user: fc.constantFrom(...USERS),
    state: fc.constantFrom('active', 'active', 'paused', 'completed', 'crashed'),
    ...{ created: time, activity: time, archived: maybe(4), deleted: maybe(5) },
    ...{ expires: maybe(6), overdue: maybe(6), completedAt: time },
    ...{ recovers: fc.boolean(), held: rarely, busy: rarely, hidden: rarely },
  });
  const world = fc.record({
    inherited: policy,
    own: fc.array(policy, { minLength: 3, maxLength: 3 }),
    sessions: fc.array(session, { minLength: 30, maxLength: 80 }),
  });
  let steps = 0;
  await fc.assert(
    fc.asyncProperty(world, async ({ inherited, own, sessions }) => {
      await query('truncate sessions, session_details, events, jobs');
      const service = { ...OFF, ...inherited };
      const users = new Map(own.map((one, n): [string, Policy] => [USERS[n]!, one as Policy]));
      await setPolicies(service, users);
      const all = sessions.map(({ completedAt, ...one }, n) =>
        kept(`s-${n}`, one.user, at, {
          ...(one as Partial<Kept>),
          completed: one.state === 'completed' ? completedAt : null,
          expires: one.state === 'active' || one.state === 'paused' ? one.expires : null,
          overdue: one.state === 'active' ? one.overdue : null,
        }),
      );
      const policyOf = (user: string | null) => ({ ...service, ...users.get(user ?? '') }) as Policy;
      const real = await runBoth(all, at);
      expect(real).toEqual(expectedSteps(all, policyOf, at));
      steps += real.length;
    }),
    { numRuns: 40, endOnFailure: true },
  );
  console.log(`${steps} steps in 40 worlds`);
}, 180_000);
