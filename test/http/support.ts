import { Sweeps } from '../../src/jobs/sweeps.js';
import type { Answer, Api } from '../setup/api.js';
import { SERVICE_KEY, type TestApp } from '../setup/app.js';
import type { TestDatabase } from '../setup/database.js';
import { eventually } from '../setup/eventually.js';

// biome-ignore lint/suspicious/noExplicitAny: rows of answers of every shape
type Row = any;

export const UUID_V7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
export const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

let count = 0;

/** A name that nothing else in this file uses. */
export const fresh = (what = 'user') => `${what}-${++count}`;

/** Path of a session, or of something under it. */
export const at = (id: string, under = '') => `/api/v1/sessions/${encodeURIComponent(id)}${under}`;

/** What a refusal says to programs. */
export function expectRefused(answer: Answer, status: number, code: string): void {
  expect({ status: answer.status, code: answer.body?.code }).toEqual({ status, code });
}

export function expectOk(answer: Answer, status = 200): Row {
  if (answer.status !== status)
    throw new Error(`expected ${status}, got ${answer.status}: ${answer.text.slice(0, 500)}`);
  return answer.body;
}

/** Makes a session; answers it. */
export const create = async (api: Api, body: object = {}): Promise<Row> =>
  expectOk(await api.post('/api/v1/sessions', body), 201);

export const read = async (api: Api, id: string, query = ''): Promise<Row> =>
  expectOk(await api.get(at(id, query)));

/** Appends one message, or a batch; answers what the service does. */
export const append = async (api: Api, id: string, body: object): Promise<Row> =>
  expectOk(await api.post(at(id, '/messages'), body), 201);

/** Every event of a session, oldest first. */
export async function eventsOf(api: Api, id: string): Promise<Row[]> {
  const page = expectOk(await api.get(at(id, '/events?limit=1000')));
  expect(page.has_more).toBe(false);
  return page.events;
}

export const eventTypes = async (api: Api, id: string): Promise<string[]> =>
  (await eventsOf(api, id)).map((event) => event.event_type);

/** Query text of these members; an array repeats its member. */
export function query(members: Record<string, unknown>): string {
  const pairs = Object.entries(members).flatMap(([name, value]) =>
    (Array.isArray(value) ? value : [value]).map((one): [string, string] => [name, String(one)]),
  );
  return pairs.length ? `?${new URLSearchParams(pairs)}` : '';
}

/** All rows of a list, page by page, along its cursors. Every page but the last must be full. */
export async function walkByCursor(
  api: Api,
  path: string,
  noun: string,
  params: Record<string, unknown>,
  isFull = true,
): Promise<Row[]> {
  const rows: Row[] = [];
  for (let cursor: string | null = null; ; ) {
    const page: Row = expectOk(await api.get(path + query({ ...params, ...(cursor && { cursor }) })));
    rows.push(...page[noun]);
    expect(page.has_more).toBe(page.next_cursor !== null);
    if (!page.has_more) return rows;
    if (isFull) expect(page[noun]).toHaveLength(Number(params.limit));
    cursor = page.next_cursor;
  }
}

/** All rows of a list by `offset`, or by `page`. */
export async function walkByNumber(
  api: Api,
  path: string,
  noun: string,
  params: Record<string, unknown>,
  size: number,
  by: 'offset' | 'page',
): Promise<Row[]> {
  const rows: Row[] = [];
  for (let number = 0; ; number++) {
    const where =
      by === 'page' ? { page: number + 1, page_size: size } : { offset: number * size, limit: size };
    const page: Row = expectOk(await api.get(path + query({ ...params, ...where })));
    expect(page).toMatchObject(where);
    rows.push(...page[noun]);
    if (!page.has_more) return rows;
  }
}

/** Lets the time of a session run out, as if it had lain untouched. */
export async function runOut(database: TestDatabase, id: string): Promise<void> {
  const { rowCount } = await database.pool.query(
    `update sessions set expires_at = date_trunc('milliseconds', now()) - interval '1 second' where id = $1`,
    [id],
  );
  expect(rowCount).toBe(1);
}

/** Lets a session have been silent for so long: every clock in its row goes back. */
export async function silence(database: TestDatabase, id: string, seconds: number): Promise<void> {
  const { rowCount } = await database.pool.query(
    `update sessions set last_activity_at = last_activity_at - make_interval(secs => $2),
       created_at = created_at - make_interval(secs => $2),
       expires_at = expires_at - make_interval(secs => $2), overdue_at = overdue_at - make_interval(secs => $2)
     where id = $1`,
    [id, seconds],
  );
  expect(rowCount).toBe(1);
}

/** Makes somebody a collaborator; the owner is not asked. */
export async function share({ api }: TestApp, id: string, user: string, role: string): Promise<void> {
  expectOk(await api.service(SERVICE_KEY).post(at(id, '/share'), { user_ids: [user], role }));
}

/** So many calls at the same moment. */
export const atOnce = <T>(times: number, work: (index: number) => Promise<T>): Promise<T[]> =>
  Promise.all(Array.from({ length: times }, (_, index) => work(index)));

/** Everything that is derived is up to date. */
export const deriveAll = ({ app, database }: TestApp) =>
  eventually(
    async () => {
      await app.get(Sweeps).run();
      const { rows } = await database.pool.query(
        `select from events e, stream_positions p where p.name = 'derived' and (e.tx, e.position) > (p.tx, p.position) limit 1`,
      );
      return rows.length;
    },
    (left) => left === 0,
  );

/** A job as it would be in the database, without anybody to do it. */
export async function insertJob(
  database: TestDatabase,
  id: string,
  user: string | null,
  state = 'queued',
  kind = 'summarize',
): Promise<void> {
  const isOver = ['succeeded', 'failed', 'cancelled'].includes(state);
  await database.pool.query(
    `insert into jobs (job_id, kind, user_id, session_ids, input, state, done, attempts, failures, max_failures, due_at,
       cancel_requested, created_at, finished_at, error_code, error_detail)
     values ($1, $2, $3, '{s-1}', '{}', $4, 0, 0, 0, 5, case when not $5 then now() + interval '1 day' end, false, now(), case when $5 then now() end,
       case $4 when 'failed' then 'internal' end, case $4 when 'failed' then 'Something broke.' end)`,
    [id, kind, user, state, isOver],
  );
}
