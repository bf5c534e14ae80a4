import type { Api } from '../setup/api.js';
import { append, at, create, expectOk, walkByCursor } from './support.js';

// biome-ignore lint/suspicious/noExplicitAny: rows of answers of every shape
export type Row = any;

export const WAIT = { prefer: 'wait=60' };
export const SHAPE = { vectors: { size: 2, distance: 'euclid' } };

export const said = (role: string, content: string, rest: object = {}) => ({ role, content, ...rest });
export const call = (...ids: string[]) => ({
  role: 'assistant',
  tool_calls: ids.map((id) => ({ id, type: 'function', function: { name: 'f', arguments: '{}' } })),
});
export const result = (id: string, content: string) => said('tool', content, { tool_call_id: id });
export const point = (id: number | string, vector: number[] | object, payload: object = {}) => ({
  ...{ id, vector, payload },
});

export const session = async (by: Api, fields: object = {}): Promise<string> =>
  (await create(by, fields)).session_id;
export const say = (by: Api, id: string, ...messages: object[]): Promise<Row> => append(by, id, { messages });
export const put = async (by: Api, id: string, ...points: Row[]) =>
  expectOk(await by.put(at(id, '/points'), { points }));
export const remember = async (by: Api, id: string, key: string, value: unknown) =>
  expectOk(await by.put(at(id, `/memory/${key}`), { value }), 201);

/** Every message, oldest first. */
export const history = (by: Api, id: string): Promise<Row[]> =>
  walkByCursor(by, at(id, '/messages'), 'messages', { limit: 1000 }, false);

/** Every point, with its vectors, in the order of ids. */
export async function pointsOf(by: Api, id: string): Promise<Row[]> {
  const points: Row[] = [];
  for (let cursor: string | null = null; ; ) {
    const body = { with_vector: true, limit: 1000, ...(cursor && { cursor }) };
    const page: Row = expectOk(await by.post(at(id, '/points/scroll'), body));
    points.push(...page.points);
    if (!page.has_more) return points;
    cursor = page.next_cursor;
  }
}

export const split = (by: Api, id: string, body: object, headers: Record<string, string> = {}) =>
  by.post(at(id, '/split'), body, { ...WAIT, ...headers });
export const merge = (by: Api, body: object, headers: Record<string, string> = {}) =>
  by.post('/api/v1/sessions/merge', body, { ...WAIT, ...headers });

/** What became of a job that succeeds. */
export function resultOf(answer: Awaited<ReturnType<typeof split>>): Row {
  const job = expectOk(answer);
  expect(job).toMatchObject({ state: 'succeeded', error: null });
  return job.result;
}
