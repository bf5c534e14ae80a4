// Export and import of one large session: their time beside that of a bare copy loop over the same stores, and what memory they take.
import { createReadStream, createWriteStream, mkdtempSync, rmSync, statSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { MessageTransferRepository } from '../dist/src/messages/message-transfer.repository.js';
import {
  backends,
  copyPoints,
  fill,
  forget,
  MOST_IN_POSTGRES,
  measured,
  OWNER,
  openStores,
  start,
} from './large-session.mjs';

const [MESSAGES, POINTS] = [40_000, 100_000];

export async function measureTransfer(postgres, share) {
  console.log(
    `\nExport and import of a session with ${Math.round(MESSAGES * share)} messages of 500 bytes\n`,
  );
  console.log(
    '| vectors in | points of 384 | MB as NDJSON | export s | import s | copy loop s | export : copy | import : copy | memory grew by MB: export | import |',
  );
  console.log('|---|---|---|---|---|---|---|---|---|---|');
  for (const { name, env } of backends()) {
    const most = name === 'PostgreSQL' ? MOST_IN_POSTGRES : POINTS;
    await measureIn(name, env, Math.min(POINTS * share, most), postgres, share);
  }
}

async function measureIn(name, env, points, postgres, share) {
  const folder = mkdtempSync(join(tmpdir(), 'session-service-transfer-'));
  const file = join(folder, 'export.ndjson');
  let service = await start(postgres, env);
  const stores = await openStores(postgres, env);
  try {
    const id = await fill(service, Math.round(MESSAGES * share), points);
    // each by a process that has done nothing before, so that all it takes is seen
    const anew = async () => {
      await service.stop();
      service = await start(postgres, env);
    };
    await anew();
    const exported = await measured(service, () => exportTo(service, id, file));
    await anew();
    const imported = await measured(service, () => importFrom(service, createReadStream(file)));
    const copied = await copyLoop(postgres, stores, id);
    const cells = [name, points, Math.round(statSync(file).size / 1e6)];
    const times = [exported.seconds, imported.seconds, copied].map((seconds) => seconds.toFixed(1));
    const ratios = [exported, imported].map(({ seconds }) => (seconds / copied).toFixed(2));
    console.log(
      `| ${[...cells, ...times, ...ratios, Math.round(exported.grown), Math.round(imported.grown)].join(' | ')} |`,
    );
    for (const one of [id, imported.result.session.session_id]) await forget(service, one);
  } finally {
    await stores.close();
    await service.stop();
    rmSync(folder, { recursive: true });
  }
}

async function exportTo(service, id, file) {
  const headers = { ...OWNER, 'accept-encoding': 'identity' };
  const answer = await fetch(`${service.url}/api/v1/sessions/${id}/export`, { headers });
  await pipeline(Readable.fromWeb(answer.body), createWriteStream(file));
}

/** By Node's own client, which waits while the service does. */
function importFrom(service, source) {
  return new Promise((resolve, reject) => {
    const headers = { ...OWNER, 'content-type': 'application/x-ndjson' };
    const sent = request(`${service.url}/api/v1/sessions/import`, { method: 'POST', headers }, (answer) => {
      let text = '';
      answer.setEncoding('utf8').on('data', (chunk) => {
        text += chunk;
      });
      answer.on('end', () =>
        answer.statusCode === 201 ? resolve(JSON.parse(text)) : reject(new Error(text)),
      );
    });
    sent.on('error', reject);
    source.pipe(sent);
  });
}

/** Reads pages and writes them elsewhere, one after the other, and nothing else. */
async function copyLoop(postgres, { database, vectors }, id) {
  const [session] = await postgres.query(
    `select s.key::int, s.message_count::int as count, c.name from sessions s join collections c on c.session_key = s.key where s.id = $1`,
    [id],
  );
  const messages = new MessageTransferRepository(database);
  const begun = performance.now();
  for (let after = 0; after < session.count; ) {
    const page = await messages.findPage(session.key, after, session.count);
    await database.query({ text: COPY }, [-session.key, JSON.stringify(page)]);
    after = page.at(-1).seq;
  }
  await copyPoints(vectors, session.name, 'bench_copy');
  const seconds = (performance.now() - begun) / 1000;
  await vectors.drop('bench_copy');
  await postgres.query('delete from messages where session_key = $1', [-session.key]);
  return seconds;
}

const COPY = `
  insert into messages (session_key, seq, message_id, role, content, message_type, metadata, bytes, created_at)
  select $1::bigint, seq, message_id, role, content, message_type, metadata, 1, created_at
  from json_to_recordset($2::json) as m(seq bigint, message_id text, role text, content json, message_type text,
    metadata json, created_at timestamptz)`;
