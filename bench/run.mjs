// npm run bench: the product's hot paths beside what PostgreSQL alone does, in turns, in one run.
// Options: --seconds 4 (a measurement), --rounds 3, --warm 10 (seconds of each case before it counts), --only append,list,
// --growth 10000,100000,1000000, --derived (search over 200,000 messages, contexts of long sessions, a megabyte without a space),
// --vectors (points in PostgreSQL, and in the Qdrant that QDRANT_URL names),
// --transfer 1 (nothing but export and import of a session of 40,000 messages and 100,000 points, or of this share of it),
// --merge 1 (nothing but a merge of two sessions of 20,000 messages and 50,000 points each, or of this share of it)
import { parseArgs } from 'node:util';
import autocannon from 'autocannon';
import { newId } from '../dist/src/common/ids.js';
import { MessagesRepository } from '../dist/src/messages/messages.repository.js';
import { LivenessRepository } from '../dist/src/sessions/liveness.repository.js';
import { SessionListRepository } from '../dist/src/sessions/session-list.repository.js';
import { SessionsRepository } from '../dist/src/sessions/sessions.repository.js';
import { measureDerived } from './derived.mjs';
import { FLOOR_TABLES, floors } from './floors.mjs';
import { SESSION, script, sent, UNIQUE } from './own-sql.mjs';
import { startPostgres } from './postgres.mjs';
import { measureMerge } from './restructure.mjs';
import { addMessages, seed } from './seed.mjs';
import { startBare, startService } from './service.mjs';
import { measureTransfer } from './transfer.mjs';
import { measureVectors } from './vectors.mjs';

const CONNECTIONS = 16;
const SESSIONS = 2_000;
const MESSAGES = 60;
const { values: options } = parseArgs({
  options: {
    seconds: { type: 'string', default: '4' },
    rounds: { type: 'string', default: '3' },
    warm: { type: 'string', default: '10' },
    only: { type: 'string' },
    growth: { type: 'string' },
    derived: { type: 'boolean' },
    vectors: { type: 'boolean' },
    transfer: { type: 'string' },
    merge: { type: 'string' },
  },
});
const seconds = Number(options.seconds);

const content = 'lorem ipsum '.repeat(32);
const message = { role: 'user', content };
const batch = { messages: Array.from({ length: 100 }, () => message) };
const any = () => Math.floor(Math.random() * SESSIONS);
const of = (i, method, under, body) => ({
  user: `u-${i % 100}`,
  method,
  path: `/api/v1/sessions/s-${i}${under}`,
  body,
});

/** One of the facts of one of the users. */
function fact() {
  const [user, key] = [any() % 100, any() % 20];
  return { user: `u-${user}`, path: `/api/v1/users/u-${user}/memory/fact-${key}` };
}

/** As `prepare` makes it of one message. */
const prepared = (count) => ({
  messages: Array.from({ length: count }, (_, index) => ({
    ...{ position: index + 1, message_id: UNIQUE, request_digest: null, user_id: 'u', role: 'user', content },
    ...{
      message_type: 'chat',
      tool_calls: null,
      tool_call_id: null,
      answers_position: null,
      name: null,
      model: null,
    },
    ...{ tokens_used: null, cost_usd: null, metadata: {}, bytes: 390 },
  })),
  ...{
    expectedSeq: null,
    title: { text: 'lorem ipsum', position: 1 },
    calls: [],
    answered: [],
    pointers: [],
  },
});
const newest = {
  ...{
    descending: true,
    afterSeq: 0,
    beforeSeq: null,
    role: null,
    messageType: null,
    offset: 0,
    isByOffset: false,
    limit: 50,
  },
};
const newSession = {
  ...{
    id: UNIQUE,
    user_id: 'u',
    agent_id: null,
    client_id: null,
    session_type: 'conversation',
    runtime_backend: 'unknown',
  },
  ...{
    state: 'active',
    wants_collection: false,
    archived: false,
    legal_hold: false,
    title_seq: null,
    timeout_minutes: null,
    title: '',
  },
  ...{
    description: null,
    tags: [],
    metadata: {},
    context: {},
    configuration: {},
    conversation_data: {},
    checkpoint: null,
  },
  ...{ runtime_metadata: {}, heartbeat_timeout_seconds: null, auto_recover: false },
};
const someones = {
  query: { order: '-last_activity_at' },
  user: 'u-1',
  page: { limit: 50, after: null, offset: null },
};

/** name → the request, the floor it is held against, its own SQL, what one request counts for, and the ratio to reach */
const CASES = {
  create: {
    request: () => ({ user: 'u-1', method: 'POST', path: '/api/v1/sessions', body: { session_id: newId() } }),
    own: () =>
      sent(SessionsRepository, (r) => r.insert(newSession, [{ type: 'session.created', payload: {} }], null)),
  },
  get: {
    request: () => of(any(), 'GET', ''),
    own: () => sent(SessionsRepository, (r) => r.find(`s-${SESSION}`, null)),
    goal: 0.5,
  },
  append: {
    request: () => of(any(), 'POST', '/messages', message),
    own: () =>
      sent(MessagesRepository, (r) => r.append(`s-${SESSION}`, null, prepared(1)).catch(() => undefined)),
    goal: 0.6,
  },
  hotAppend: {
    request: () => ({
      user: `u-${SESSIONS % 100}`,
      method: 'POST',
      path: '/api/v1/sessions/hot/messages',
      body: message,
    }),
    own: () => sent(MessagesRepository, (r) => r.append('hot', null, prepared(1)).catch(() => undefined)),
    goal: 0.8,
  },
  batch: {
    request: () => of(any(), 'POST', '/messages', batch),
    own: () =>
      sent(MessagesRepository, (r) => r.append(`s-${SESSION}`, null, prepared(100)).catch(() => undefined)),
    unit: 100,
  },
  list: {
    request: () => of(any(), 'GET', '/messages?order=desc&limit=50'),
    own: () => sent(MessagesRepository, (r) => r.findPage(`s-${SESSION}`, null, newest)),
    goal: 0.4,
  },
  userList: {
    request: () => ({ user: `u-${any() % 100}`, method: 'GET', path: '/api/v1/sessions?limit=20' }),
    own: () => sent(SessionListRepository, (r) => r.findPage(someones)),
    floor: 'list',
  },
  heartbeat: {
    request: () => of(any(), 'POST', '/heartbeat'),
    own: () => sent(LivenessRepository, (r) => r.beat(`s-${SESSION}`, null)),
    goal: 0.6,
  },
};

CASES.memorySave = {
  request: () => ({ ...fact(), method: 'PUT', body: { value: { likes: content.slice(0, 100) } } }),
  floor: 'create',
};
CASES.memoryGet = { request: () => ({ ...fact(), method: 'GET' }), floor: 'get' };

/** The same, asked of a server that does nothing but the statement of the floor. */
const BARE = {
  get: () => ({ method: 'GET', path: '/get' }),
  append: () => ({ method: 'POST', path: '/append', body: message }),
  list: () => ({ method: 'GET', path: '/list' }),
  heartbeat: () => ({ method: 'POST', path: '/heartbeat' }),
};

/** Requests a second over HTTP, with what they took. */
async function load(service, { request }, duration = seconds) {
  const before = { cpu: service.cpu(), at: Date.now() };
  const setupRequest = (call) => {
    const { user, method, path, body } = request();
    const headers = {
      ...(user && { 'x-user-id': user }),
      ...(body && { 'content-type': 'application/json' }),
    };
    return { ...call, method, path, headers, body: body && JSON.stringify(body) };
  };
  const result = await autocannon({
    ...{ url: service.url, connections: CONNECTIONS, duration, requests: [{ setupRequest }] },
  });
  if (result.non2xx || result.errors) throw new Error(`${result.non2xx} refused, ${result.errors} failed`);
  const took = (Date.now() - before.at) / 1000;
  const cpu = (service.cpu() - before.cpu) / took;
  return { rate: result.requests.total / took, p50: result.latency.p50, p99: result.latency.p99, cpu };
}

const median = (numbers) => numbers.sort((a, b) => a - b)[Math.floor(numbers.length / 2)];
const medians = (rounds) =>
  Object.fromEntries(
    Object.keys(rounds[0]).map((name) => [name, median(rounds.map((round) => round[name]))]),
  );

/** Every fact that is asked for is there. */
async function keepFacts(service) {
  for (let user = 0; user < 100; user++) {
    const headers = { 'x-user-id': `u-${user}`, 'content-type': 'application/json' };
    const put = (key) =>
      fetch(`${service.url}/api/v1/users/u-${user}/memory/fact-${key}`, {
        ...{ method: 'PUT', headers, body: '{"value":0}' },
      });
    await Promise.all(Array.from({ length: 20 }, (_, key) => put(key)));
  }
}

async function compare(postgres, service, bare) {
  const scripts = floors(SESSIONS);
  const names = options.only?.split(',') ?? Object.keys(CASES);
  const rounds = Object.fromEntries(names.map((name) => [name, []]));
  if (names.includes('memoryGet')) await keepFacts(service);
  for (const name of names) await load(service, CASES[name], Number(options.warm));
  for (let round = 0; round < Number(options.rounds); round++) {
    for (const name of names) {
      const { floor = name, own, unit = 1 } = CASES[name];
      const floorRate = await postgres.pgbench(`${floor}.floor`, scripts[floor], seconds, CONNECTIONS);
      const ownRate = own
        ? await postgres.pgbench(`${name}.own`, script(await own(), SESSIONS), seconds, CONNECTIONS)
        : 0;
      const bareRate = BARE[name] ? (await load(bare, { request: BARE[name] })).rate : 0;
      const measured = await load(service, CASES[name]);
      rounds[name].push({
        ...measured,
        rate: measured.rate * unit,
        floor: floorRate * unit,
        own: ownRate * unit,
        bare: bareRate,
      });
    }
  }
  const heads = [
    'case',
    '/s',
    'p50 ms',
    'p99 ms',
    'CPU',
    'floor /s',
    'own SQL /s',
    'bare /s',
    'of the floor',
    'to reach',
  ];
  console.log(`\n| ${[...heads, 'of bare'].join(' | ')} |\n|${'---|'.repeat(heads.length + 1)}`);
  for (const name of names) {
    const { rate, p50, p99, cpu, floor, own, bare: bareRate } = medians(rounds[name]);
    const cells = [
      name,
      Math.round(rate),
      p50,
      p99,
      cpu.toFixed(2),
      Math.round(floor),
      Math.round(own) || '',
    ];
    const ratios = [
      (rate / floor).toFixed(2),
      CASES[name].goal ?? '',
      bareRate && (rate / bareRate).toFixed(2),
    ];
    console.log(
      `| ${[...cells, Math.round(bareRate) || '', ...ratios].map((cell) => cell || '').join(' | ')} |`,
    );
  }
  console.log(`\npeak memory of the service: ${Math.round(service.peakMemory())} MB`);
}

/** How long an append and a list take when so many messages are there, in one session and around it. */
async function grow(postgres, service, sizes) {
  console.log('\n| messages | append p50 ms | p99 | list p50 ms | p99 |\n|---|---|---|---|---|');
  let there = SESSIONS * MESSAGES;
  for (const [index, size] of sizes.entries()) {
    const id = `grown-${index}`;
    const { status } = await fetch(`${service.url}/api/v1/sessions`, {
      ...{ method: 'POST', headers: { 'x-user-id': 'grower', 'content-type': 'application/json' } },
      body: JSON.stringify({ session_id: id }),
    });
    if (status !== 201) throw new Error(`no session to grow: ${status}`);
    const more = Math.max(1, size - (index === 0 ? 0 : there));
    await addMessages(postgres, `id = '${id}'`, more);
    await postgres.query('update sessions set message_count = $1 where id = $2', [more, id]);
    there = size;
    const path = `/api/v1/sessions/${id}/messages`;
    const append = await load(service, {
      request: () => ({ user: 'grower', method: 'POST', path, body: message }),
    });
    const list = await load(service, {
      request: () => ({
        user: 'grower',
        method: 'GET',
        path: `${path}?limit=50&after_seq=${Math.floor(more / 2)}`,
      }),
    });
    console.log(`| ${size} | ${append.p50} | ${append.p99} | ${list.p50} | ${list.p99} |`);
  }
}

const postgres = await startPostgres(5717);
let service;
let bare;
try {
  for (const name of [
    'server_version',
    'fsync',
    'synchronous_commit',
    'full_page_writes',
    'shared_buffers',
  ]) {
    console.log(`${name} = ${(await postgres.query(`select current_setting('${name}') as value`))[0].value}`);
  }
  if (options.transfer) await measureTransfer(postgres, Number(options.transfer));
  if (options.merge) await measureMerge(postgres, Number(options.merge));
  if (!options.transfer && !options.merge) await measureAll();
} finally {
  await service?.stop();
  await bare?.stop();
  await postgres.stop();
}

async function measureAll() {
  service = await startService(postgres.url, 8717);
  for (const sql of FLOOR_TABLES(SESSIONS, MESSAGES)
    .split(';')
    .filter((text) => text.trim()))
    await postgres.query(sql);
  await seed(postgres, { sessions: SESSIONS, messages: MESSAGES });
  console.log(
    `Node ${process.version}, ${CONNECTIONS} connections, ${options.rounds} rounds of ${seconds} s, medians`,
  );
  bare = await startBare(postgres.url, 8718, SESSIONS);
  await compare(postgres, service, bare);
  if (options.derived) await measureDerived(postgres, service, load);
  if (options.vectors) await measureVectors(postgres, load);
  if (options.growth) await grow(postgres, service, options.growth.split(',').map(Number));
}
