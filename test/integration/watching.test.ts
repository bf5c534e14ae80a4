import { NewsRepository } from '../../src/feed/news.repository.js';
import { startApp, type TestApp } from '../setup/app.js';
import { eventually } from '../setup/eventually.js';
import { openStream, type Stream } from '../setup/sse.js';

let app: TestApp;
beforeAll(async () => {
  app = await startApp();
});
afterAll(() => app.close());

const make = async (user: string): Promise<string> =>
  (await app.api.as(user).post('/sessions', { title: 'T' })).body.session_id;
const follow = (user: string) => openStream(`${app.url}/events`, { 'x-user-id': user });
const whenOpen = (stream: Stream) =>
  eventually(
    async () => stream.comments,
    (comments) => comments > 0,
  );
const sessionsIn = ({ events }: Stream) =>
  events.filter(({ type }) => type === 'session.created').map(({ data }) => data.aggregate_id);

/** Until everything that has been written can be read in the stream of all. */
const whenSettled = () =>
  eventually(
    async () =>
      (
        await app.database.pool.query(
          `select from events e, event_clock c where e.tx >= pg_snapshot_xmin(pg_current_snapshot())::text::bigint + c.ahead`,
        )
      ).rowCount,
    (unsettled) => unsettled === 0,
  );

test('who comes while news is being looked for loses none of it', async () => {
  const news = app.app.get(NewsRepository, { strict: false });
  const since = news.since.bind(news);
  const first = await follow('bob');
  await whenOpen(first);
  let letGo: () => void = () => undefined;
  let isHeld = false;
  // one look that takes its time on the way to PostgreSQL
  news.since = async (...asked) => {
    if (!isHeld) {
      isHeld = true;
      await new Promise<void>((resolve) => {
        letGo = resolve;
      });
    }
    return since(...asked);
  };
  try {
    await eventually(
      async () => isHeld,
      (held) => held,
    );
    const late = await follow('alice');
    await whenOpen(late);
    // he has looked by himself, and found nothing
    const mine = await make('alice');
    await whenSettled();
    letGo();
    // what is told to others moves his place on, with the next sign of life
    await make('bob');
    await eventually(
      async () => sessionsIn(first).length,
      (count) => count === 1,
    );
    await eventually(
      async () => late.comments > 1 || late.events.length > 0,
      (isHeard) => isHeard,
    );
    const last = await make('alice');
    await eventually(
      async () => sessionsIn(late),
      (ids) => ids.includes(last),
    );
    expect(sessionsIn(late)).toEqual([mine, last]);
    late.leave();
  } finally {
    letGo();
    first.leave();
    news.since = since;
  }
}, 60_000);
