import { at, create, expectOk } from '../http/support.js';
import { startApp, type TestApp } from '../setup/app.js';

/** Each caller’s; the issue asks for a thousand: STATS_INCREMENTS=1000. */
const INCREMENTS = Number(process.env.STATS_INCREMENTS ?? 40);
const CALLERS = 32;

const apps: TestApp[] = [];
beforeAll(async () => {
  apps.push(await startApp());
  apps.push(await startApp({}, apps[0]));
});
afterAll(async () => {
  for (const app of apps.reverse()) await app.close();
});

const pick = (n: number) => Math.floor(Math.random() * n);

test(`${CALLERS} callers × ${INCREMENTS} increments with retries under keys, through two processes: exact`, async () => {
  const { session_id: id } = await create(apps[0]!.api.as('alice'));
  const expected: Record<string, number> = { all: 0 };
  let [tokens, retries, replays, unavailable] = [0, 0, 0, 0];
  const send = async (path: string, body: object, key: string) => {
    // who hears nothing in time asks again, of whichever process, before or after the answer
    const times = pick(3) === 0 ? 2 + pick(2) : 1;
    retries += times - 1;
    const put = async () => {
      for (;;) {
        const answer = await apps[pick(2)]!.api.as('alice').put(at(id, path), body, {
          'idempotency-key': key,
        });
        // on a slow machine a connection may be waited for too long: the key is there for that
        if (answer.status !== 503) return answer;
        unavailable++;
      }
    };
    const answers = pick(2) ? await Promise.all(Array.from({ length: times }, put)) : [];
    while (answers.length < times) answers.push(await put());
    for (const answer of answers) expectOk(answer);
    replays += answers.filter(({ headers }) => headers.has('idempotency-replayed')).length;
  };
  const caller = async (_: unknown, n: number) => {
    for (let i = 0; i < INCREMENTS; i++) {
      if (i % 10 === 9) {
        tokens += i;
        const body = { model_type: 'llm', model_name: `m-${n % 3}`, tokens: i, cost_usd: 0.1 };
        await send('/model-usage', body, `m-${n}-${i}`);
        continue;
      }
      const [name, value] = [`c_${pick(5)}`, pick(100) - 50];
      expected[name] = (expected[name] ?? 0) + value;
      expected.all!++;
      await send('/stats', { counters: { all: 1, [name]: value } }, `c-${n}-${i}`);
    }
  };
  const begun = Date.now();
  await Promise.all(Array.from({ length: CALLERS }, caller));
  const seconds = (Date.now() - begun) / 1000;

  const told = expectOk(await apps[1]!.api.as('alice').get(at(id, '/stats')));
  expect(told.counters).toEqual(expected);
  const reports = CALLERS * Math.floor(INCREMENTS / 10);
  const sum = (name: string) =>
    told.model_usage.totals.reduce((all: number, one: Record<string, number>) => all + one[name]!, 0);
  expect([sum('calls'), sum('tokens')]).toEqual([reports, tokens]);
  expect(sum('cost_usd')).toBeCloseTo(reports / 10, 8);
  expect(replays).toBe(retries);
  console.log(
    `${CALLERS} × ${INCREMENTS} and ${retries} retries (${unavailable} times 503) in ${seconds.toFixed(1)} s: ` +
      `${Math.round((CALLERS * INCREMENTS + retries) / seconds)} a second to one session`,
  );
}, 900_000);
