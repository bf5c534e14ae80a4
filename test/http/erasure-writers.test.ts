import { setTimeout as pause } from 'node:timers/promises';
import { history, merge, type Row, remember, said, say, session } from './histories.js';
import { app, service, useApp, user } from './suite.js';
import { at, expectOk, fresh, share } from './support.js';

useApp();

const WORD = 'before-the-erasure';

/** Requests of each kind: the erasure shares its process with all of them. */
const MOST = 60;

/** Goes on until it is told to stop, whatever it is answered. */
async function keepOn(work: (n: number) => Promise<unknown>, isOver: () => boolean): Promise<number> {
  let n = 0;
  while (!isOver() && n < MOST) await work(n++);
  return n;
}

/** Where what was said before is still said. */
async function saying(): Promise<string[]> {
  const { rows } = await app.database.pool.query(
    `select 'message ' || s.id || ' ' || m.seq as what from messages m join sessions s on s.key = m.session_key where m.content::text like $1
     union all select 'entry ' || key from memory_entries where value::text like $1
     union all select 'version of ' || entry_key from memory_versions where value::text like $1
     union all select 'fields of ' || key from session_details d where d::text like $1`,
    [`%${WORD}%`],
  );
  return rows.map(({ what }) => what);
}

test('what was written before is gone, however much is written, copied, shared, transferred and merged meanwhile', async () => {
  const bob = app.api.as(fresh('bob'));
  const alice = app.api.as(user);
  const shared: string[] = [];
  for (let n = 0; n < 6; n++) {
    const id = await session(bob);
    await share(app, id, user, 'editor');
    await say(alice, id, ...Array.from({ length: 20 }, (_, m) => said('user', `${WORD} ${m}`)));
    await remember(alice, id, 'k', WORD);
    shared.push(id);
  }
  const own: string[] = [];
  for (let n = 0; n < 6; n++) {
    const id = await session(alice, { metadata: { word: WORD } });
    await say(alice, id, said('user', WORD));
    await share(app, id, 'carol', 'viewer');
    own.push(id);
  }
  let isOver = false;
  const over = () => isOver;
  const pick = (ids: string[], n: number) => ids[n % ids.length]!;
  const writers = [
    keepOn((n) => alice.post(at(pick(shared, n), '/messages'), said('user', `meanwhile ${n}`)), over),
    keepOn((n) => alice.post(at(pick(own, n), '/messages'), said('user', `meanwhile ${n}`)), over),
    keepOn((n) => alice.post('/sessions', { title: `meanwhile ${n}` }), over),
    keepOn((n) => alice.put(`/users/${user}/memory/k-${n}`, { value: 'meanwhile' }), over),
    keepOn((n) => bob.post(at(pick(shared, n), '/fork'), {}), over),
    keepOn((n) => app.api.as('carol').post(at(pick(own, n), '/fork'), {}), over),
    keepOn((n) => service.patch(at(pick(own, n)), { client_id: `meanwhile-${n}` }), over),
    keepOn(
      (n) => merge(bob, { session_ids: [pick(shared, n), pick(shared, n + 1)], archive_sources: false }),
      over,
    ),
  ];
  const { job_id } = expectOk(await alice.delete(`/users/${user}/data`), 202);
  let job: Row;
  do {
    job = expectOk(await alice.get(`/jobs/${job_id}`));
    await pause(100);
  } while (job.state === 'queued' || job.state === 'running');
  isOver = true;
  const counts = await Promise.all(writers);
  console.log(
    `passes: ${job.result?.passes}, attempts: ${job.attempts}, beside ${counts.join(' + ')} requests`,
  );
  expect(job).toMatchObject({ state: 'succeeded', result: { remaining: 0 } });
  expect(await saying()).toEqual([]);
  for (const id of shared) expect((await history(bob, id)).filter(({ seq }) => seq <= 20)).toHaveLength(20);
}, 180_000);
