import { newId } from '../../src/common/ids.js';
import { SchedulesRepository } from '../../src/jobs/schedules.repository.js';
import { insertJob } from '../http/support.js';
import { startApp, type TestApp } from '../setup/app.js';
import { eventually } from '../setup/eventually.js';

const CRON = '17 3 * * *';

let app: TestApp;
let schedules: SchedulesRepository;
beforeAll(async () => {
  app = await startApp();
  schedules = app.app.get(SchedulesRepository);
});
afterAll(() => app.close());

const query = async (text: string, values: unknown[] = []) =>
  (await app.database.pool.query(text, values)).rows;
const passTime = (name: string) => query('update schedules set due_at = now() where name = $1', [name]);
const takenOf = async (name: string, cron = CRON) =>
  (await Promise.all(Array.from({ length: 16 }, () => schedules.take(name, cron)))).filter(Boolean).length;
const next = async (name: string) =>
  (
    await query(
      `select due_at > now() as is_later, to_char(due_at at time zone 'UTC', 'HH24:MI:SS.MS') as at from schedules where name = $1`,
      [name],
    )
  )[0];

test('one that is new waits for its next time; when it is due one of many gets it', async () => {
  expect(await takenOf('new')).toBe(0);
  expect(await next('new')).toEqual({ is_later: true, at: '03:17:00.000' });
  await passTime('new');
  expect(await takenOf('new')).toBe(1);
  await schedules.done('new', CRON);
  expect(await next('new')).toEqual({ is_later: true, at: '03:17:00.000' });
  expect(await takenOf('new')).toBe(0);
});

test('one that was taken by a process that ended is due again', async () => {
  await schedules.take('lost', CRON);
  await passTime('lost');
  expect(await takenOf('lost')).toBe(1);
  expect(await takenOf('lost')).toBe(0);
  await passTime('lost');
  expect(await takenOf('lost')).toBe(1);
});

test('other times hold from now on', async () => {
  await schedules.take('moved', CRON);
  await passTime('moved');
  expect(await takenOf('moved', '0 12 * * *')).toBe(0);
  expect(await next('moved')).toEqual({ is_later: true, at: '12:00:00.000' });
});

test('a process does by itself what is due, and notes the next time', async () => {
  const other = await startApp({ SWEEP_SECONDS: '1' }, app);
  await insertJob(app.database, newId(), 'old', 'succeeded');
  await query(`update jobs set finished_at = now() - interval '31 days'`);
  const name = 'jobs that ended long ago';
  await eventually(
    async () => {
      await passTime(name);
      return query(`select from jobs where user_id = 'old'`);
    },
    (rows) => rows.length === 0,
  );
  await eventually(
    () => next(name),
    (row) => row?.at === '02:47:00.000',
  );
  await other.close();
});
