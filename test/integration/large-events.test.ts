import { FeedRepository } from '../../src/feed/feed.repository.js';
import { PORTION } from '../../src/feed/reading.js';
import { SERVICE_KEY, startApp, type TestApp } from '../setup/app.js';
import { eventually } from '../setup/eventually.js';
import { openStream, type StreamEvent } from '../setup/sse.js';

/** Sharing with a hundred users of long names makes events of 100 kB: pages of them must not fill the memory. */
const [LARGE, SIZE] = [150, 100_000];
/** What an answer holds, and one event more. */
const PAGE_BYTES = 8 * 1024 * 1024 + SIZE + 1000;

let app: TestApp;
let id: string;
beforeAll(async () => {
  app = await startApp();
  id = (await app.api.as('alice').post('/sessions', { title: 'T' })).body.session_id;
  await app.database.pool.query(
    `with s as (update sessions set event_seq = event_seq + $2 where id = $1 returning key, event_tx)
     insert into events (aggregate_key, seq, event_type, payload, tx, created_at)
     select key, n + 1, 'session.shared', jsonb_build_object('user_ids', array[repeat('x', $3)]), event_tx, now()
     from s, generate_series(1, $2) n`,
    [id, LARGE, SIZE],
  );
  await eventually(
    async () => (await find()).rows.length,
    (count) => count > 0,
  );
});
afterAll(() => app.close());

const numbers = Array.from({ length: LARGE + 1 }, (_, i) => i + 1);
const feed = () => app.app.get(FeedRepository, { strict: false });
const find = () => feed().findOfAll('alice', [0, 0], PORTION);
const bytesOf = (rows: object[]) => JSON.stringify(rows).length;

test.each(['/events', 'its own'])('pages of %s hold so many bytes, and lose nothing', async (which) => {
  const path = which === '/events' ? which : `/sessions/${id}/events`;
  const seqs: number[] = [];
  for (let cursor = ''; ; ) {
    const { body, status, text } = await app.api.as('alice').get(`${path}?limit=200${cursor}`);
    expect(status).toBe(200);
    expect(text.length).toBeLessThan(PAGE_BYTES);
    seqs.push(...body.events.map(({ seq }: { seq: number }) => seq));
    if (!body.has_more) break;
    cursor = `&cursor=${body.next_cursor}`;
  }
  expect(seqs).toEqual(numbers);
});

test('a stream reads less at once, and tells everything', async () => {
  const most = PORTION.bytes + SIZE + 1000;
  expect(bytesOf((await find()).rows)).toBeLessThan(most);
  expect(bytesOf((await feed().findOfSession(id, 'alice', 0, PORTION)).rows)).toBeLessThan(most);
  const { body } = await app.api.service(SERVICE_KEY).get('/events?limit=1');
  const starts: [path: string, after: string, first: number][] = [
    [`/sessions/${id}/events`, '0', 1],
    ['/events', body.position, 2],
  ];
  for (const [path, after, first] of starts) {
    const stream = await openStream(app.url + path, { 'x-user-id': 'alice', 'last-event-id': after });
    await stream.until(LARGE + 2 - first);
    const seqs = stream.events.map(({ data }: StreamEvent) => data.seq);
    expect(seqs).toEqual(numbers.slice(first - 1));
    stream.leave();
  }
});
