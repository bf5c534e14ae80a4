import type { Api } from '../setup/api.js';
import { eventually } from '../setup/eventually.js';
import { openStream, type Stream } from '../setup/sse.js';
import { api, app, service, useApp } from './suite.js';
import { append, at, create, expectOk, fresh } from './support.js';

/** Which changes end the streams of whom. Nobody does jobs here, so a session that one has taken stays busy. */

useApp({ ROLE: 'api' });

const say = { role: 'user', content: 'x' };
const opened: Stream[] = [];
let id: string;
let guest: string;
let guests: Api;
let ofSession: Stream;
let ofAll: Stream;

const open = async (path: string): Promise<Stream> => {
  const stream = await openStream(app.url + path, { 'x-user-id': guest });
  opened.push(stream);
  await eventually(
    async () => stream.comments,
    (comments) => comments > 0,
  );
  return stream;
};

beforeEach(async () => {
  id = (await create(api, { title: 'T' })).session_id;
  await append(api, id, say);
  guest = fresh('guest');
  guests = app.api.as(guest);
  expectOk(await api.post(at(id, '/share'), { user_ids: [guest], role: 'viewer' }));
  ofSession = await open(at(id, '/events'));
  ofAll = await open('/api/v1/events');
});
afterEach(() => {
  for (const stream of opened.splice(0)) stream.leave();
});

const seqs = ({ events }: Stream) =>
  events.filter(({ data }) => data.aggregate_id === id).map(({ data }) => data.seq);
/** What he is told last: of a session of his own, made after all else. */
const whenAllIsTold = async () => {
  const { session_id: last } = await create(guests, { title: 'last' });
  await eventually(
    async () => ofAll.events.map(({ data }) => data.aggregate_id),
    (ids) => ids.includes(last),
  );
};
const occupy = async () => {
  expectOk(await api.post(at(id, '/split'), { parts: [{ title: 'P', from_seq: 1 }] }), 202);
};
const unshare = async (by: Api) => expectOk(await by.delete(at(id, `/share/${guest}`)), 204);

test.each<[what: string, end: () => Promise<unknown>]>([
  ['his role is taken away', () => unshare(api)],
  ['he leaves', () => unshare(guests)],
  ['his role is taken away while a job has the session', () => occupy().then(() => unshare(api))],
  ['he leaves while a job has the session', () => occupy().then(() => unshare(guests))],
  ['the session is gone for good', async () => expectOk(await api.delete(at(id, '?permanent=true')), 204)],
])('a reader hears nothing more once %s', async (_, end) => {
  await append(api, id, say);
  await ofSession.until(1);
  await eventually(
    async () => seqs(ofAll).at(-1),
    (seq) => seq === 4,
  );
  await end();
  await ofSession.ended;
  const after = await service.post(at(id, '/messages'), say);
  expect([201, 404, 409]).toContain(after.status);
  await whenAllIsTold();
  expect(seqs(ofSession)).toEqual([4]);
  expect(seqs(ofAll).at(-1)).toBe(4);
});

test.each<[what: string, change: () => Promise<unknown>]>([
  [
    'his role is another',
    async () => expectOk(await api.post(at(id, '/share'), { user_ids: [guest], role: 'editor' })),
  ],
  [
    'the session is given to him',
    async () => expectOk(await api.post(at(id, '/transfer'), { user_id: guest })),
  ],
  [
    'the session is given to another',
    async () => expectOk(await api.post(at(id, '/transfer'), { user_id: fresh('heir') })),
  ],
  [
    'the session is deleted and comes back',
    async () => {
      expectOk(await api.delete(at(id)));
      expectOk(await api.post(at(id, '/restore')));
    },
  ],
])('a reader hears all of it when %s', async (_, change) => {
  await change();
  await append(service, id, say);
  const { event_seq } = (
    await app.database.pool.query('select event_seq::int from sessions where id = $1', [id])
  ).rows[0];
  const all = Array.from({ length: event_seq - 3 }, (_, i) => i + 4);
  await ofSession.until(all.length);
  await eventually(
    async () => seqs(ofAll).at(-1),
    (seq) => seq === event_seq,
  );
  expect(seqs(ofSession)).toEqual(all);
  expect(seqs(ofAll).filter((seq) => seq > 3)).toEqual(all);
  expect(ofSession.isEnded).toBe(false);
});
