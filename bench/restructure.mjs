// Merge of two large sessions: its time beside that of a bare copy loop over the same stores, and what memory it takes.
import {
  backends,
  call,
  copyPoints,
  fill,
  forget,
  MOST_IN_POSTGRES,
  measured,
  openStores,
  SIZE,
  start,
} from './large-session.mjs';

const [MESSAGES, POINTS, PAGE] = [20_000, 50_000, 1000];

export async function measureMerge(postgres, share) {
  const messages = Math.round(MESSAGES * share);
  console.log(
    `\nMerge of two sessions, each with ${messages} messages of 500 bytes and points of ${SIZE} numbers\n`,
  );
  console.log('| vectors in | points of each | merge s | copy loop s | merge : copy | memory grew by MB |');
  console.log('|---|---|---|---|---|---|');
  for (const { name, env } of backends()) {
    const most = name === 'PostgreSQL' ? MOST_IN_POSTGRES / 2 : POINTS;
    await measureIn(name, env, messages, Math.min(POINTS * share, most), postgres);
  }
}

async function measureIn(name, env, messages, points, postgres) {
  const service = await start(postgres, env);
  const stores = await openStores(postgres, env);
  try {
    const ids = [await fill(service, messages, points), await fill(service, messages, points, points)];
    const copied = await copyLoop(postgres, stores, ids);
    const merged = await measured(service, () => merge(service, ids));
    const cells = [merged.seconds.toFixed(1), copied.toFixed(1), (merged.seconds / copied).toFixed(2)];
    console.log(`| ${[name, points, ...cells, Math.round(merged.grown)].join(' | ')} |`);
    for (const id of [...ids, merged.result.session_id]) await forget(service, id);
  } finally {
    await stores.close();
    await service.stop();
  }
}

async function merge(service, session_ids) {
  let job = await call(service, 'POST', '/api/v1/sessions/merge', { session_ids });
  while (job.finished_at === null) {
    await new Promise((resolve) => setTimeout(resolve, 100));
    job = await call(service, 'GET', `/api/v1/jobs/${job.job_id}`);
  }
  if (job.state !== 'succeeded') throw new Error(JSON.stringify(job));
  return job.result;
}

/** Pages are copied, one after the other, and nothing else. */
async function copyLoop(postgres, { database, vectors }, ids) {
  const sessions = await postgres.query(
    `select s.key::int, s.message_count::int as count, c.name from sessions s join collections c on c.session_key = s.key
     where s.id = any($1) order by s.key`,
    [ids],
  );
  const target = -sessions[0].key;
  const begun = performance.now();
  let copied = 0;
  for (const { key, count } of sessions)
    for (let after = 0; after < count; after += PAGE, copied += PAGE)
      await database.query({ text: COPY }, [key, target, after, after + PAGE, copied - after]);
  for (const { name } of sessions) await copyPoints(vectors, name, 'bench_copy');
  const seconds = (performance.now() - begun) / 1000;
  await vectors.drop('bench_copy');
  await postgres.query('delete from messages where session_key = $1', [target]);
  return seconds;
}

const COPY = `
  insert into messages (session_key, seq, message_id, role, content, message_type, metadata, bytes, created_at)
  select $2::bigint, seq + $5::bigint, message_id, role, content, message_type, metadata, bytes, created_at
  from messages where session_key = $1 and seq > $3::bigint and seq <= $4::bigint order by seq`;
