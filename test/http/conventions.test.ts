import { request } from 'node:http';
import { type Answer, type Api } from '../setup/api.js';
import { SERVICE_KEY, startApp, type TestApp } from '../setup/app.js';
import { startService } from '../setup/service.js';

const GATEWAY = 'a-gateway-secret-0123';
const READ_KEY = 'read-only-key-0123456789';

let app: TestApp;
let guarded: TestApp;
let open: TestApp;
beforeAll(async () => {
  app = await startApp();
  guarded = await startApp({
    GATEWAY_SECRET: GATEWAY,
    CORS_ORIGINS: 'https://app.example',
    SERVICE_API_KEYS: `tests:${SERVICE_KEY},reader[sessions:read]:${READ_KEY}`,
  });
  open = await startApp({ AUTH_MODE: 'none', CORS_ORIGINS: '*' });
});
afterAll(() => Promise.all([app.close(), guarded.close(), open.close()]));

const alice = (): Api => app.api.as('alice');
const refusal = ({ status, body }: Answer) => [status, body?.code];

/** A request with raw headers, which `fetch` would join or refuse. */
const rawStatus = (url: string, headers: string[]): Promise<number> =>
  new Promise((resolve, reject) => {
    const call = request(url, (response) => resolve(response.resume().statusCode!));
    for (let i = 0; i < headers.length; i += 2) {
      const same = headers.filter((_, at) => at % 2 === 1 && headers[at - 1] === headers[i]);
      call.setHeader(headers[i]!, same.length > 1 ? same : same[0]!);
    }
    call.on('error', reject).end();
  });

test('the same routes answer with and without the prefix and a trailing slash', async () => {
  const { body } = await alice().post('/api/v1/sessions/', { session_id: 'routes' });
  for (const path of [
    '/sessions/routes',
    '/sessions/routes/',
    '/api/v1/sessions/routes',
    '/api/v1/sessions/routes/',
  ]) {
    expect((await alice().get(path)).body).toEqual(body);
  }
  expect((await alice().get('/users/alice/sessions')).body.sessions).toHaveLength(1);
});

test('every answer bears a request id and is not to be stored', async () => {
  const given = await alice().get('/sessions', { headers: { 'x-request-id': 'from-the-gateway.1' } });
  expect(given.headers.get('x-request-id')).toBe('from-the-gateway.1');
  const odd = await alice().get('/sessions', { headers: { 'x-request-id': 'a b"c' } });
  expect(odd.headers.get('x-request-id')).toMatch(/^[0-9a-f-]{36}$/);
  for (const answer of [given, odd, await alice().get('/sessions/none')]) {
    expect(answer.headers.get('cache-control')).toBe('no-store');
    expect(answer.headers.get('x-content-type-options')).toBe('nosniff');
  }
});

test('a problem tells what, where and which request', async () => {
  const { status, body, headers } = await alice().get('/api/v1/sessions/none?include_deleted=true');
  expect(headers.get('content-type')).toMatch(/^application\/problem\+json/);
  expect(body).toEqual({
    type: 'urn:session-service:problem:session_not_found',
    title: 'Not found',
    status,
    detail: 'There is no such session.',
    instance: '/api/v1/sessions/none',
    code: 'session_not_found',
    request_id: headers.get('x-request-id'),
  });
  expect(refusal(await alice().get('/nowhere'))).toEqual([404, 'route_not_found']);
});

test('large answers are compressed, small ones are not', async () => {
  const large = await alice().get('/openapi.json', { headers: { 'accept-encoding': 'gzip' } });
  expect(large.headers.get('content-encoding')).toBe('gzip');
  expect((await alice().get('/health/live')).headers.get('content-encoding')).toBeNull();
});

test('the documentation is served', async () => {
  const page = await fetch(`${app.url}/docs`);
  expect([page.status, page.headers.get('content-type')]).toEqual([
    200,
    expect.stringContaining('text/html'),
  ]);
  expect((await fetch(`${app.url}/docs/swagger-ui-bundle.js`)).status).toBe(200);
});

test('CORS is off, for a list of origins, or for all', async () => {
  const allowed = async (at: TestApp, origin: string) =>
    (await at.api.as('alice').get('/health/live', { headers: { origin } })).headers.get(
      'access-control-allow-origin',
    );
  expect(await allowed(app, 'https://app.example')).toBeNull();
  expect(await allowed(guarded, 'https://app.example')).toBe('https://app.example');
  expect(await allowed(guarded, 'https://evil.example')).toBeNull();
  expect(await allowed(open, 'https://any.example')).toBe('*');
});

test.each<[string, () => Api, unknown[]]>([
  ['nobody', () => app.api, [401, 'unauthenticated']],
  ['a user', () => alice(), [200, undefined]],
  [
    'a user behind a bearer token of his own',
    () => alice().with({ authorization: 'Bearer eyJ.abc' }),
    [200, undefined],
  ],
  [
    'an unknown bearer alone',
    () => app.api.with({ authorization: 'Bearer eyJ.abc' }),
    [401, 'unknown_api_key'],
  ],
  [
    'an unknown X-API-Key, even beside a user',
    () => alice().service('x'.repeat(20)),
    [401, 'unknown_api_key'],
  ],
  ['a service by X-API-Key', () => app.api.service(SERVICE_KEY), [200, undefined]],
  ['a service by bearer', () => app.api.with({ authorization: `Bearer ${SERVICE_KEY}` }), [200, undefined]],
  ['a user without the gateway', () => guarded.api.as('alice'), [401, 'unknown_gateway']],
  [
    'a user by the gateway',
    () => guarded.api.as('alice').with({ 'x-gateway-secret': GATEWAY }),
    [200, undefined],
  ],
  ['a service needs no gateway', () => guarded.api.service(SERVICE_KEY), [200, undefined]],
  ['a key with the scope', () => guarded.api.service(READ_KEY), [200, undefined]],
  ['everybody, where AUTH_MODE is none', () => open.api, [200, undefined]],
])('%s', async (_, caller, expected) => {
  expect(refusal(await caller().get('/sessions'))).toEqual(expected);
});

test('a key without the scope is forbidden', async () => {
  expect(refusal(await guarded.api.service(READ_KEY).post('/sessions', { user_id: 'x' }))).toEqual([
    403,
    'forbidden',
  ]);
  expect(refusal(await guarded.api.service(READ_KEY).get('/events'))).toEqual([403, 'forbidden']);
});

test('X-User-ID is there once, and not empty', async () => {
  expect(await rawStatus(`${app.url}/sessions`, ['X-User-ID', 'alice', 'X-User-ID', 'bob'])).toBe(401);
  expect(await rawStatus(`${app.url}/sessions`, ['X-User-ID', ''])).toBe(401);
  expect(await rawStatus(`${app.url}/sessions`, ['X-User-ID', 'alice'])).toBe(200);
});

test('a service sees everything, and with a user beside it what that user sees', async () => {
  await alice().post('/sessions', { session_id: 'hers' });
  const service = app.api.service(SERVICE_KEY);
  expect((await service.get('/sessions/hers')).status).toBe(200);
  expect((await service.as('alice').get('/sessions/hers')).status).toBe(200);
  expect((await service.as('bob').get('/sessions/hers')).status).toBe(404);
});

test('a user’s name in the header is the one in the path', async () => {
  const name = 'José 田中';
  await app.api.as(name).post('/sessions', { session_id: 'utf8' });
  const { body } = await app.api.as(name).get(`/users/${encodeURIComponent(name)}/sessions`);
  expect(body.sessions).toMatchObject([{ session_id: 'utf8', user_id: name, owner_id: name }]);
  expect(refusal(await alice().get(`/users/${encodeURIComponent(name)}/sessions`))).toEqual([
    403,
    'forbidden',
  ]);
});

test('a limit above the largest is clamped and echoed', async () => {
  expect((await alice().get('/sessions?limit=100000')).body.limit).toBe(200);
  expect((await alice().get('/sessions/hers/messages?limit=100000')).body.limit).toBe(1000);
});

test('a merge patch is for PATCH', async () => {
  const headers = { 'content-type': 'application/merge-patch+json' };
  expect((await alice().call('PATCH', '/sessions/hers', { body: { title: 'a' }, headers })).status).toBe(200);
  expect((await alice().call('PUT', '/sessions/hers', { body: { title: 'a' }, headers })).status).toBe(415);
});

test('the log of the process holds no contents', async () => {
  const service = await startService({ DATABASE_URL: app.database.url, LOG_LEVEL: 'trace' });
  const user = service.api.as('carol');
  const { body } = await user.post('/sessions', { title: 'canary', metadata: { canary: 'canary' } });
  await user.post(`/sessions/${body.session_id}/messages`, { role: 'user', content: 'canary' });
  await user.post(`/sessions/${body.session_id}/messages`, { role: 'user', content: ['canary'] });
  await user.get('/sessions?q=canary&metadata.canary=canary');
  service.kill('SIGTERM');
  await service.exited;
  expect(service.output()).toContain('"route":"/sessions/:session_id/messages"');
  expect(service.output()).not.toContain('canary');
});
