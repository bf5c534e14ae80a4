// What is derived from messages: how fast it is read, found, and made into contexts; and what it costs all others meanwhile.
import { setTimeout } from 'node:timers/promises';
import { SearchRepository } from '../dist/src/search/search.repository.js';
import { SESSION, script, sent } from './own-sql.mjs';

const USERS = 500;
const SECONDS = 4;
const CONNECTIONS = 16;

/** `m-1…`: 4 sessions of 100 messages for each user, of 70 words out of 20,000, some common and some rare. */
const MESSAGES = `
  with vocabulary as materialized (
    select array_agg(substr(md5(n::text), 1, 3 + n % 7) order by n) as words from generate_series(0, 19999) n
  ), session as (
    insert into sessions (id, user_id, session_type, runtime_backend, state, legal_hold, version, message_count,
      total_tokens, total_cost, last_call_seq, title_seq, event_seq, event_tx, auto_recover, created_at, last_activity_at)
    select 'm-' || n, 'reader-' || n % ${USERS}, 'conversation', 'unknown', 'active', false, 1, 100, 0, 0, 0, 1, 0, 0, false, now(), now()
    from generate_series(1, ${4 * USERS}) n
    returning *
  ), detail as (
    insert into session_details (key, user_id, title, tags, metadata, context, configuration, conversation_data,
      runtime_metadata, session_summary, created_at, updated_at)
    select key, user_id, id, '{}', '{}', '{}', '{}', '{}', '{}', '', created_at, created_at from session
  )
  insert into messages (session_key, seq, message_id, user_id, role, content, message_type, metadata, bytes, created_at)
  select s.key, n, 'm-' || n, s.user_id, 'user', to_json(t.text || ' common rare' || n), 'chat', '{}', 450, now()
  from session s cross join generate_series(1, 100) n cross join lateral (
    select string_agg((select words from vocabulary)[1 + floor(20000 * power(random(), 3))::int], ' ') as text
    from generate_series(1, 70) k where k > -n) t`;

export async function measureDerived(postgres, service, load) {
  await postgres.query(MESSAGES);
  await postgres.query('vacuum analyze messages');
  await measureReading(postgres);
  await measureSearch(postgres, service, load);
  await measureContexts(postgres, service, load);
  await measureStalls(service);
}

/** Messages a second that are read for search and for summaries, with nothing else to do. */
async function measureReading(postgres) {
  const left = async () => (await postgres.query('select count(*)::int as n from derived_due'))[0].n;
  const begun = Date.now();
  await postgres.query(
    `insert into derived_due (place_key, from_seq, to_seq) select key, 1, 100 from sessions where id like 'm-%'`,
  );
  while ((await left()) > 0) await setTimeout(100);
  const [{ n, size }] = await postgres.query(
    `select count(*)::int as n, pg_size_pretty(pg_relation_size('message_texts_words')) as size from message_texts`,
  );
  await postgres.query('vacuum analyze message_texts');
  const rate = Math.round(n / ((Date.now() - begun) / 1000));
  console.log(`\n${n} messages read for search, ${rate} a second; the index has ${size}`);
}

async function measureSearch(postgres, service, load) {
  const QUERIES = {
    'a common word': 'common',
    'a rare word': 'rare77',
    'two words': 'common rare7',
    misspelt: 'comnon',
  };
  console.log(
    '\n| search of 200,000 messages of 500 users | /s | p50 ms | p99 ms | own SQL /s | of own SQL |',
  );
  console.log('|---|---|---|---|---|---|');
  for (const [name, query] of Object.entries(QUERIES)) {
    const request = () => ({
      ...{
        user: `reader-${Math.floor(Math.random() * USERS)}`,
        method: 'POST',
        path: '/api/v1/search/messages',
      },
      body: { query },
    });
    const of = {
      of: 'messages',
      user: `reader-${SESSION}`,
      places: null,
      filters: [null, null, null],
      limit: 20,
    };
    const own =
      name === 'misspelt'
        ? 0
        : await postgres.pgbench(
            'search.own',
            script(
              await sent(SearchRepository, (r) =>
                r.rank(
                  of,
                  query
                    .split(' ')
                    .map((word) => `"${word}"`)
                    .join(' '),
                  null,
                ),
              ),
              USERS,
            ),
            SECONDS,
            CONNECTIONS,
          );
    await load(service, { request }, 2);
    const { rate, p50, p99 } = await load(service, { request }, SECONDS);
    const ratio = own ? (rate / own).toFixed(2) : '';
    console.log(`| ${[name, Math.round(rate), p50, p99, Math.round(own) || '', ratio].join(' | ')} |`);
  }
}

/** Contexts of 4,000 tokens, of a short session and of a long one. */
async function measureContexts(postgres, service, load) {
  console.log(
    '\n| context of 4,000 tokens | messages of the session | /s | p50 ms | p99 ms |\n|---|---|---|---|---|',
  );
  for (const strategy of ['recent', 'pinned', 'summarize']) {
    for (const size of [1_000, 100_000]) {
      const id = `window-${strategy}-${size}`;
      await postgres.query(
        `with s as (
           insert into sessions (id, user_id, session_type, runtime_backend, state, legal_hold, version, message_count,
             total_tokens, total_cost, last_call_seq, title_seq, event_seq, event_tx, auto_recover, created_at, last_activity_at)
           values ('${id}', 'reader-0', 'conversation', 'unknown', 'active', false, 1, ${size}, 0, 0, 0, 1, 0, 0, false, now(), now())
           returning key
         )
         insert into messages (session_key, seq, message_id, user_id, role, content, message_type, metadata, bytes, created_at)
         select s.key, n, 'w-' || n, 'reader-0', case when n % 2 = 0 then 'assistant' else 'user' end,
           to_json('Message ' || n || repeat(' lorem ipsum', 20)), 'chat', '{}', 260, now()
         from s, generate_series(1, ${size}) n`,
      );
      const request = () => ({
        ...{ user: 'reader-0', method: 'POST', path: `/api/v1/sessions/${id}/context` },
        body: { max_tokens: 4000, strategy },
      });
      await load(service, { request }, 2);
      const { rate, p50, p99 } = await load(service, { request }, SECONDS);
      console.log(`| ${[strategy, size, Math.round(rate), p50, p99].join(' | ')} |`);
    }
  }
}

const HUGE = {
  'letters without a space': 'x'.repeat(1_000_000),
  Chinese: Array.from({ length: 330_000 }, (_, n) => String.fromCharCode(0x4e00 + ((n * 7919) % 8000))).join(
    '',
  ),
};

/** The longest that the process answered nobody, as it says itself, while a megabyte was appended, read for search, counted. */
async function measureStalls(service) {
  const headers = { 'x-user-id': 'huge', 'content-type': 'application/json' };
  const ask = async (method, path, body) => {
    const answer = await fetch(`${service.url}/api/v1${path}`, {
      method,
      headers,
      body: body && JSON.stringify(body),
    });
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status}`);
    return answer.json();
  };
  const lag = async () => {
    const text = await (await fetch(`${service.url}/metrics`)).text();
    return Math.round(1000 * Number(/^nodejs_eventloop_lag_max_seconds\S* (\S+)$/m.exec(text)[1]));
  };
  console.log(
    '\n| a megabyte of | appended | read for search | counted | counting took ms |\n|---|---|---|---|---|',
  );
  for (const [name, content] of Object.entries(HUGE)) {
    const { session_id } = await ask('POST', '/sessions', {});
    const stalls = [];
    await lag();
    await ask('POST', `/sessions/${session_id}/messages`, {
      messages: [
        { role: 'user', content },
        { role: 'user', content: 'behind' },
      ],
    });
    stalls.push(await lag());
    while ((await ask('POST', '/search/messages', { query: 'behind', session_id })).hits.length === 0)
      await setTimeout(200);
    stalls.push(await lag());
    const begun = Date.now();
    await ask('POST', `/sessions/${session_id}/context`, { max_tokens: 1000 });
    const took = Date.now() - begun;
    stalls.push(await lag());
    console.log(`| ${[name, ...stalls.map((ms) => `${ms} ms`), took].join(' | ')} |`);
  }
}
