import { startApp, type TestApp } from '../setup/app.js';
import { FakeModels, type Trouble } from '../setup/fake-models.js';
import { freePort } from '../setup/service.js';
import { expectOk } from './support.js';

let models: FakeModels;
/** Holds the database, and has no models. */
let plain: TestApp;
beforeAll(async () => {
  models = await FakeModels.start();
  plain = await startApp();
});
afterAll(async () => {
  await plain.close();
  await models.close();
});
beforeEach(() => {
  models.trouble = null;
  models.listed = 0;
});

/** What a service tells that uses these servers: it asks each of them only once. */
async function told(environment: NodeJS.ProcessEnv, path = '/health') {
  const app = await startApp(environment, plain);
  try {
    return expectOk(await app.api.get(path));
  } finally {
    await app.close();
  }
}

const embedder = async () => (await told({ EMBEDDINGS_URL: models.url })).dependencies.embedder;

test('without models nothing is told of any', async () => {
  const { status, dependencies } = expectOk(await plain.api.get('/health'));
  expect(status).toBe('ok');
  expect(Object.keys(dependencies)).toEqual(['postgres']);
});

test('the embedder and the summarizer are told of, and asked with their keys', async () => {
  models.authorizations.clear();
  const up = { status: 'up', latency_ms: expect.any(Number) };
  expect(
    await told({
      EMBEDDINGS_URL: models.url,
      EMBEDDINGS_API_KEY: 'sesame',
      SUMMARIZER_URL: `${models.url}/`,
      SUMMARIZER_API_KEY: 'simsim',
    }),
  ).toMatchObject({ status: 'ok', dependencies: { embedder: up, summarizer: up } });
  expect(models.authorizations).toEqual(new Set(['Bearer sesame', 'Bearer simsim']));
  expect(models.listed).toBe(2);
});

test('many who ask at once, and one after another, share one answer', async () => {
  const app = await startApp({ EMBEDDINGS_URL: models.url }, plain);
  try {
    await Promise.all(Array.from({ length: 10 }, () => app.api.get('/health')));
    expect(models.listed).toBe(1);
    models.trouble = { kind: 'status', status: 503 };
    // said again within the time of an answer, or found out after it
    const { embedder } = expectOk(await app.api.get('/health')).dependencies;
    expect(embedder.status).toBe(models.listed === 1 ? 'up' : 'down');
  } finally {
    await app.close();
  }
});

const STATES: [string, Trouble, object][] = [
  [
    'refuses the key',
    { kind: 'status', status: 401 },
    { status: 'down', reason: 'it refuses the key (401)' },
  ],
  ['forbids', { kind: 'status', status: 403 }, { status: 'down', reason: 'it refuses the key (403)' }],
  ['fails', { kind: 'status', status: 502 }, { status: 'down', reason: 'it answers 502' }],
  ['is silent', { kind: 'silence' }, { status: 'down', reason: 'it does not answer within 2 s' }],
  ['has no list of models', { kind: 'status', status: 404 }, { status: 'up' }],
  ['is busy', { kind: 'status', status: 429 }, { status: 'up' }],
  ['answers no JSON', { kind: 'garbage', body: '<html>' }, { status: 'up' }],
];

test.each(STATES)('a server that %s', async (_, trouble, state) => {
  models.trouble = trouble;
  expect(await embedder()).toEqual({ ...state, latency_ms: expect.any(Number) });
});

test('a server that is not there makes it degraded, with 200, and readiness says nothing of it', async () => {
  const environment = { SUMMARIZER_URL: `http://127.0.0.1:${await freePort()}/v1` };
  expect(await told(environment)).toMatchObject({
    status: 'degraded',
    dependencies: { summarizer: { status: 'down', reason: 'it cannot be reached (ECONNREFUSED)' } },
  });
  const ready = await told(environment, '/health/ready');
  expect(ready.status).toBe('ok');
  expect(Object.keys(ready.dependencies)).toEqual(['postgres']);
});
