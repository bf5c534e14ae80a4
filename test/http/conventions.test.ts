import { readFileSync } from 'node:fs';
import { type IncomingHttpHeaders, request } from 'node:http';
import { gunzipSync } from 'node:zlib';
import type { Answer, Api } from '../setup/api.js';
import { SERVICE_KEY, startApp, type TestApp } from '../setup/app.js';
import { startService } from '../setup/service.js';
import { api, app, service, useApp, user } from './suite.js';
import { append, at, create, expectOk, expectRefused, fresh, share, TIME, UUID_V7 } from './support.js';

const SESSIONS = '/api/v1/sessions';

useApp({
  SERVICE_API_KEYS: `tests:${SERVICE_KEY},reader[sessions:read]:reader-key-0123456789`,
});

/** An application of its own, configured so, for all tests of a describe. */
function appWith(environment: NodeJS.ProcessEnv): () => TestApp {
  let own: TestApp;
  beforeAll(async () => {
    own = await startApp(environment);
  });
  afterAll(() => own.close());
  return () => own;
}

type Pairs = [name: string, value: string | Buffer][];

interface Raw {
  status: number;
  headers: IncomingHttpHeaders;
  body: Buffer;
}

/** A request with exactly these headers, repeated ones and all; its answer as it came over the wire. */
function send(method: string, path: string, headers: Pairs = [], body?: string): Promise<Raw> {
  const url = new URL(app.url);
  const flat = headers.flatMap(([name, value]) => [
    name,
    Buffer.isBuffer(value) ? value.toString('latin1') : value,
  ]);
  return new Promise((resolve, reject) => {
    const sent = request(
      { host: url.hostname, port: url.port, method, path, headers: ['host', url.host, ...flat] },
      (answer) => {
        const chunks: Buffer[] = [];
        answer.on('data', (chunk) => chunks.push(chunk));
        answer.on('end', () =>
          resolve({ status: answer.statusCode!, headers: answer.headers, body: Buffer.concat(chunks) }),
        );
      },
    );
    sent.on('error', reject);
    sent.end(body);
  });
}

/** The header that names the user. */
const mine = (): Pairs => [['X-User-ID', user]];

/** Who the service takes the caller for: the owner of what he makes. */
async function whoIs(caller: Api): Promise<string | null> {
  return (await create(caller)).user_id;
}

describe('routes', () => {
  it.each([
    ['under the prefix', '/api/v1', ''],
    ['without the prefix', '', ''],
    ['with a trailing slash', '/api/v1', '/'],
    ['without the prefix, with a trailing slash', '', '/'],
  ])('answer %s', async (_, base, slash) => {
    const path = (text: string) => `${base}${text}${slash}`;
    const { session_id: id } = expectOk(await api.post(path('/sessions'), {}), 201);
    const message = expectOk(
      await api.post(path(`/sessions/${id}/messages`), { role: 'user', content: 'x' }),
      201,
    );
    expect(expectOk(await api.get(path(`/sessions/${id}`))).session_id).toBe(id);
    expect(expectOk(await api.get(path('/sessions'))).sessions).toHaveLength(1);
    expect(expectOk(await api.get(path(`/users/${user}/sessions`))).sessions).toHaveLength(1);
    expect(expectOk(await api.get(path(`/sessions/${id}/messages`))).total).toBe(1);
    expectOk(await api.get(path(`/sessions/${id}/messages/${message.message_id}`)));
    expectOk(await api.get(path(`/sessions/${id}/events`)));
    expectOk(await api.get(path('/events')));
    expectOk(await api.put(path(`/sessions/${id}`), { title: 'put' }));
    expectOk(await api.patch(path(`/sessions/${id}`), { title: 'patched' }));
    for (const verb of ['pause', 'resume', 'crash', 'complete', 'archive', 'restore'])
      expectOk(await api.post(path(`/sessions/${id}/${verb}`)));
    expectOk(await api.post(path('/sessions/resume'), { create: true }), 201);
    expectOk(await api.delete(path(`/sessions/${id}`)));
  });

  it('take a query behind a trailing slash', async () => {
    await create(api, { title: 'a' });
    await create(api, { title: 'b' });
    for (const path of ['/sessions/?limit=1', `/users/${user}/sessions/?limit=1`])
      expect(expectOk(await api.get(path))).toMatchObject({ limit: 1, has_more: true });
  });

  it('have the prefix once', async () => {
    for (const path of ['/api/v1/api/v1/sessions', '/api/v2/sessions', '/v1/sessions', '/api/sessions'])
      expectRefused(await api.get(path), 404, 'route_not_found');
  });

  it.each([
    ['GET', '/'],
    ['GET', '/nowhere'],
    ['GET', '/api/v1'],
    ['GET', '/api/v1/'],
    ['GET', '/api/v1/session'],
    ['POST', '/api/v1/sessions/x/nowhere'],
    ['PATCH', '/api/v1/sessions'],
    ['DELETE', '/api/v1/sessions'],
    ['PUT', '/api/v1/sessions/x/messages'],
    ['POST', '/api/v1/events'],
    ['GET', '/api/v1/users/x'],
    ['OPTIONS', '/api/v1/sessions'],
  ])('that are none are a problem: %s %s', async (method, path) => {
    for (const caller of [app.api, api, service]) {
      const answer = await caller.call(method, `${path}?secret=1`);
      expectRefused(answer, 404, 'route_not_found');
      expect(answer.headers.get('content-type')).toMatch(/^application\/problem\+json/);
      expect(answer.body.instance).toBe(path);
    }
  });

  it('answer HEAD like GET, without the body, to the same callers', async () => {
    const { session_id: id } = await create(api);
    const [got, head] = [await send('GET', at(id), mine()), await send('HEAD', at(id), mine())];
    expect({ status: head.status, etag: head.headers.etag }).toEqual({ status: 200, etag: got.headers.etag });
    expect(head.body).toHaveLength(0);
    expect((await send('HEAD', at(id))).status).toBe(401);
    expect((await send('HEAD', at(id), [['X-User-ID', 'stranger']])).status).toBe(404);
  });

  it.each([
    '/api/v1/sessions/%',
    '/api/v1/sessions/%zz',
    '/api/v1/sessions/%c3%28',
    '/sessions/%ff/messages',
  ])('that cannot be decoded are a problem: %s', async (path) => {
    const answer = await send('GET', path, [['X-User-ID', user]]);
    expect(answer.status).toBe(400);
    expect(answer.headers['content-type']).toMatch(/^application\/problem\+json/);
    expect(JSON.parse(answer.body.toString())).toMatchObject({ status: 400, code: 'malformed_request' });
  });
});

describe('X-Request-ID', () => {
  it.each(['a', 'gateway-4711', '0af7651916cd43dd8448eb211c80319c', 'A_b.c:d-1', 'x'.repeat(128)])(
    'is handed back: %s',
    async (id) => {
      const headers = { 'x-request-id': id };
      expect((await api.get(SESSIONS, { headers })).headers.get('x-request-id')).toBe(id);
      const refused = await api.get(at('missing'), { headers });
      expect(refused.headers.get('x-request-id')).toBe(id);
      expect(refused.body.request_id).toBe(id);
    },
  );

  it.each(['', 'a b', 'x'.repeat(129), '<script>', '"', 'a;b', '{}'])(
    'is made anew for %.20j',
    async (id) => {
      const given = (await api.get(at('missing'), { headers: { 'x-request-id': id } })) as Answer;
      expect(given.headers.get('x-request-id')).toMatch(UUID_V7);
      expect(given.body.request_id).toBe(given.headers.get('x-request-id'));
    },
  );

  it('is another for every request, on every kind of answer', async () => {
    const answers = [
      await api.post(SESSIONS, {}),
      await api.get(SESSIONS),
      await app.api.get(SESSIONS),
      await api.get('/nowhere'),
      await api.get('/health'),
      await api.get('/health/live'),
      await api.call('POST', SESSIONS, { raw: 'x=1', headers: { 'content-type': 'text/plain' } }),
    ];
    const ids = answers.map(({ headers }) => headers.get('x-request-id'));
    for (const id of ids) expect(id).toMatch(UUID_V7);
    expect(new Set(ids).size).toBe(answers.length);
  });
});

/** A request for each status a caller can bring about. */
const ANSWERS: Record<string, (id: string) => Promise<Answer>> = {
  '200 session': (id) => api.get(at(id)),
  '200 list': () => api.get(SESSIONS),
  '200 events': () => api.get('/api/v1/events'),
  '201 session': () => api.post(SESSIONS, {}),
  '201 message': (id) => api.post(at(id, '/messages'), { role: 'user', content: 'x' }),
  '204 deleted': (id) => api.delete(at(id, '?permanent=true')),
  '400 malformed_json': () => api.call('POST', SESSIONS, { raw: '{' }),
  '400 invalid_cursor': () => api.get(`${SESSIONS}?cursor=x`),
  '401 unauthenticated': () => app.api.get(SESSIONS),
  '401 unknown_api_key': () => app.api.service('nobody').get(SESSIONS),
  '403 forbidden': () => api.get('/api/v1/users/somebody-else/sessions'),
  '404 session_not_found': () => api.get(at('missing')),
  '404 message_not_found': (id) => api.get(at(id, '/messages/missing')),
  '404 route_not_found': () => api.get('/nowhere'),
  '409 session_id_taken': (id) => api.post(SESSIONS, { session_id: id }),
  '409 seq_moved': (id) => api.post(at(id, '/messages'), { role: 'user', content: 'x', expected_seq: 9 }),
  '412 version_mismatch': (id) => api.patch(at(id), { title: 'x' }, { 'if-match': '"99"' }),
  '413 too_large': () => api.post(SESSIONS, { metadata: { a: 'x'.repeat(256 * 1024) } }),
  '413 body_too_large': () => api.call('POST', SESSIONS, { raw: ' '.repeat(8 * 1024 * 1024 + 1) }),
  '415 unsupported_media_type': () =>
    api.call('POST', SESSIONS, {
      raw: 'a=1',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
    }),
  '422 invalid': () => api.post(SESSIONS, { tags: 'x' }),
  '422 read_only': (id) => api.patch(at(id), { version: 7 }),
  '422 reserved_id': () => api.post(SESSIONS, { session_id: 'stats' }),
};

describe.each(Object.keys(ANSWERS))('the answer %s', (name) => {
  const [status, code] = name.split(' ') as [string, string];

  it('is not stored by anybody, and a problem where it refuses', async () => {
    const { session_id: id } = await create(api);
    const answer = await ANSWERS[name]!(id);
    expect(answer.status).toBe(Number(status));
    expect(answer.headers.get('cache-control')).toBe('no-store');
    expect(answer.headers.get('x-request-id')).toMatch(UUID_V7);
    if (answer.status < 400) return;
    expect(answer.headers.get('content-type')).toMatch(/^application\/problem\+json/);
    expect(answer.body).toMatchObject({
      type: expect.stringMatching(new RegExp(`[:/]${code}$`)),
      title: expect.stringMatching(/\S/),
      status: answer.status,
      detail: expect.stringMatching(/\S/),
      instance: expect.stringMatching(/^\/[^?]*$/),
      code,
      request_id: answer.headers.get('x-request-id'),
    });
    expect(answer.headers.has('www-authenticate')).toBe(answer.status === 401);
  });
});

describe('a problem', () => {
  it('lists every fault of a body, with pointers', async () => {
    const answer = await api.post(SESSIONS, { tags: ['', 'ok', 7], title: 1, 'a/b~c': 1, metadata: [] });
    expectRefused(answer, 422, 'invalid');
    expect(answer.body.errors.map((fault: { pointer: string }) => fault.pointer).sort()).toEqual([
      '/a~1b~0c',
      '/metadata',
      '/tags/0',
      '/tags/2',
      '/title',
    ]);
    for (const fault of answer.body.errors) expect(Object.keys(fault).sort()).toEqual(['detail', 'pointer']);
  });

  it.each([
    ['/api/v1/sessions?limit=x', '?limit'],
    ['/api/v1/sessions?order=size', '?order'],
    ['/api/v1/sessions?metadata.a=1&unheard_of=1', '?unheard_of'],
    ['/api/v1/sessions/x?include_deleted=yes', '?include_deleted'],
  ])('names the parameter: %s', async (path, pointer) => {
    await create(api, { session_id: 'x', if_exists: 'return' }).catch(() => undefined);
    const answer = await service.get(path);
    expectRefused(answer, 422, 'invalid');
    expect(answer.body.errors).toEqual([{ pointer, detail: expect.stringMatching(/\S/) }]);
  });

  it('has the path as it was asked for as instance, without the query', async () => {
    expect((await api.get('/sessions/missing/?include_deleted=true')).body.instance).toBe(
      '/sessions/missing/',
    );
    expect((await api.get('/api/v1/sessions/missing')).body.instance).toBe('/api/v1/sessions/missing');
  });

  it('does not give back what was sent', async () => {
    const canary = 'canary-in-a-refused-body';
    for (const raw of [`{"title":"${canary}`, `{"status":"${canary}"}`, `{"metadata":"${canary}"}`]) {
      const answer = await api.call('POST', SESSIONS, { raw });
      expect([400, 422]).toContain(answer.status);
      expect(answer.text).not.toContain(canary);
    }
  });
});

describe('a request that cannot be read as HTTP', () => {
  it('is a problem too: headers that are too large', async () => {
    const answer = await send('GET', SESSIONS, [...mine(), ['X-Large', 'x'.repeat(20_000)]]);
    expect(answer.status).toBe(431);
    expect(answer.headers['content-type']).toMatch(/^application\/problem\+json/);
    expect(JSON.parse(answer.body.toString())).toMatchObject({ status: 431, code: expect.any(String) });
  });
});

describe('what is not known', () => {
  it.each([
    ['POST', () => SESSIONS, {}],
    ['POST', () => `${SESSIONS}/resume`, { create: true }],
    ['PUT', at, { title: 'x' }],
    ['PATCH', at, { title: 'x' }],
    ['POST', (id: string) => at(id, '/messages'), { role: 'user', content: 'x' }],
  ] as [string, (id: string) => string, object][])(
    'is refused in a body: %s %p',
    async (method, path, body) => {
      const before = await create(api);
      const answer = await api.call(method, path(before.session_id), { body: { ...body, unheard_of: 1 } });
      expectRefused(answer, 422, 'invalid');
      expect(answer.body.errors).toEqual([{ pointer: '/unheard_of', detail: expect.any(String) }]);
      expect(expectOk(await api.get(at(before.session_id)))).toEqual(before);
    },
  );

  it('is refused in a message of a batch', async () => {
    const { session_id: id } = await create(api);
    const messages = [
      { role: 'user', content: 'x' },
      { role: 'user', content: 'x', unheard_of: 1 },
    ];
    const answer = await api.post(at(id, '/messages'), { messages });
    expectRefused(answer, 422, 'invalid');
    expect(answer.body.errors[0].pointer).toBe('/messages/1/unheard_of');
  });

  const VERBS = ['pause', 'resume', 'crash', 'complete', 'archive', 'restore'];
  const BODIES: Record<string, object> = {
    'POST /sessions': {},
    'POST /sessions/resume': { create: true },
    'PUT /sessions/{id}': { title: 'x' },
    'PATCH /sessions/{id}': { title: 'x' },
    'POST /sessions/{id}/messages': { role: 'user', content: 'x' },
  };

  it.each([
    ...Object.keys(BODIES),
    ...VERBS.map((verb) => `POST /sessions/{id}/${verb}`),
    'GET /sessions',
    'GET /users/{user}/sessions',
    'GET /events',
    'GET /sessions/{id}',
    'DELETE /sessions/{id}',
    'GET /sessions/{id}/messages',
    'GET /sessions/{id}/messages/{message}',
    'GET /sessions/{id}/events',
  ])('is refused in the query of %s', async (route) => {
    const { session_id: id } = await create(api);
    const { message_id } = await append(api, id, { role: 'system', content: 'x' });
    const before = expectOk(await api.get(at(id)));
    const [method, template] = route.split(' ') as [string, string];
    const path = template.replace('{id}', id).replace('{user}', user).replace('{message}', message_id);
    const answer = await api.call(method, `/api/v1${path}?unheard_of=1`, { body: BODIES[route] });
    expectRefused(answer, 422, 'invalid');
    expect(answer.body.errors).toEqual([{ pointer: '?unheard_of', detail: expect.stringMatching(/\S/) }]);
    expect(expectOk(await api.get(at(id)))).toEqual(before);
  });

  it.each(VERBS)('is refused in a body for %s, which has no fields', async (verb) => {
    const { session_id: id } = await create(api);
    const before = expectOk(await api.get(at(id)));
    expectRefused(await api.post(at(id, `/${verb}`), { unheard_of: 1 }), 422, 'invalid');
    expect(expectOk(await api.get(at(id)))).toEqual(before);
    expectOk(await api.post(at(id, `/${verb}`), {}));
  });
});

describe('limit', () => {
  it.each([
    ['/api/v1/sessions', 50, 200],
    ['/api/v1/users/{user}/sessions', 50, 200],
    ['/api/v1/sessions/{id}/messages', 100, 1000],
    ['/api/v1/sessions/{id}/events', 50, 200],
    ['/api/v1/events', 50, 200],
  ])('of %s is %i by default, at most %i, and echoed', async (template, usual, most) => {
    const { session_id: id } = await create(api);
    const path = template.replace('{user}', user).replace('{id}', id);
    expect(expectOk(await api.get(path)).limit).toBe(usual);
    for (const [asked, echoed] of [
      [1, 1],
      [most, most],
      [most + 1, most],
      [999_999_999, most],
    ])
      expect(expectOk(await api.get(`${path}?limit=${asked}`)).limit).toBe(echoed);
    for (const wrong of ['0', '-1', 'x', '1.5', '', '1e2'])
      expectRefused(await api.get(`${path}?limit=${wrong}`), 422, 'invalid');
  });
});

describe('the caller', () => {
  it('is the user in X-User-ID', async () => expect(await whoIs(api)).toBe(user));

  it('is nobody without a credential', async () => {
    expectRefused(await app.api.get(SESSIONS), 401, 'unauthenticated');
    expectRefused(await app.api.call('POST', SESSIONS, { raw: '{' }), 401, 'unauthenticated');
    expectRefused(await app.api.get(at('x')), 401, 'unauthenticated');
  });

  it.each([
    ['X-API-Key', 'x-api-key', SERVICE_KEY],
    ['a bearer token', 'authorization', `Bearer ${SERVICE_KEY}`],
    ['a bearer token in lower case', 'authorization', `bearer ${SERVICE_KEY}`],
  ])('is the service with its key in %s, narrowed by X-User-ID', async (_, name, value) => {
    const { session_id: id } = await create(api);
    const { session_id: other } = await create(app.api.as(fresh()));
    const keyed = app.api.with({ [name]: value });
    expectOk(await keyed.get(at(id)));
    expectOk(await keyed.get(at(other)));
    expect(await whoIs(keyed.as(user))).toBe(user);
    expectOk(await keyed.as(user).get(at(id)));
    expectRefused(await keyed.as(user).get(at(other)), 404, 'session_not_found');
    expectRefused(await keyed.post(SESSIONS, {}), 422, 'owner_required');
    expectRefused(await keyed.as(user).patch(at(id), { legal_hold: true }), 403, 'forbidden');
  });

  it.each(['nobody', '', `${SERVICE_KEY}x`, SERVICE_KEY.slice(0, -1), SERVICE_KEY.toUpperCase()])(
    'is unknown with the X-API-Key %j, with a user beside it too',
    async (key) => {
      expectRefused(await app.api.service(key).get(SESSIONS), 401, 'unknown_api_key');
      expectRefused(await api.service(key).get(SESSIONS), 401, 'unknown_api_key');
    },
  );

  it('is unknown with another bearer token, but the user where one is named', async () => {
    const authorization = 'Bearer eyJhbGciOiJub25lIn0.e30.';
    expectRefused(await app.api.with({ authorization }).get(SESSIONS), 401, 'unknown_api_key');
    expect(await whoIs(api.with({ authorization }))).toBe(user);
    expectRefused(await api.with({ authorization }).get('/api/v1/users/other/sessions'), 403, 'forbidden');
  });

  it.each(['Basic dXNlcjpwYXNz', SERVICE_KEY, `Basic ${SERVICE_KEY}`])(
    'is nobody with Authorization: %s, and the user where one is named',
    async (authorization) => {
      expectRefused(await app.api.with({ authorization }).get(SESSIONS), 401, 'unauthenticated');
      expect(await whoIs(api.with({ authorization }))).toBe(user);
    },
  );

  it('may do what the scopes of the key say', async () => {
    const reader = app.api.service('reader-key-0123456789');
    const { session_id: id } = await create(api);
    expectOk(await reader.get(at(id)));
    expectRefused(await reader.patch(at(id), { title: 'x' }), 403, 'forbidden');
    expectRefused(await reader.as(user).patch(at(id), { title: 'x' }), 403, 'forbidden');
    expectRefused(await reader.get('/api/v1/events'), 403, 'forbidden');
  });

  it('gets nothing by X-User-Email, X-User-Roles, nor by names in query or body', async () => {
    const { session_id: id } = await create(app.api.as('somebody'));
    const claims = { 'x-user-email': 'somebody@example.com', 'x-user-roles': 'admin,service,owner' };
    expectRefused(await api.with(claims).get(at(id)), 404, 'session_not_found');
    expectRefused(await app.api.with(claims).get(at(id)), 401, 'unauthenticated');
    expectRefused(await api.get(`${SESSIONS}?user_id=somebody`), 403, 'forbidden');
    expectRefused(await api.post(SESSIONS, { user_id: 'somebody' }), 403, 'forbidden');
    expectRefused(await api.post(`${SESSIONS}/resume`, { user_id: 'somebody' }), 403, 'forbidden');
  });

  it('is told that he may not before what is wrong with his input', async () => {
    const { session_id: id } = await create(api);
    await share(app, id, 'viewer', 'viewer');
    const wrong = { role: 'nobody', unheard_of: 1 };
    for (const [caller, status] of [
      [app.api, 401],
      [app.api.as('stranger'), 404],
      [app.api.as('viewer'), 403],
      [api, 422],
    ] as [Api, number][]) {
      expect((await caller.post(at(id, '/messages'), wrong)).status).toBe(status);
      expect((await caller.patch(at(id), wrong)).status).toBe(status);
    }
  });
});

describe('X-User-ID', () => {
  const key: Pairs = [['X-API-Key', SERVICE_KEY]];

  it.each([
    [
      'twice',
      [
        ['X-User-ID', 'ann'],
        ['X-User-ID', 'bob'],
      ],
    ],
    [
      'twice the same',
      [
        ['X-User-ID', 'ann'],
        ['X-User-ID', 'ann'],
      ],
    ],
    [
      'twice in other case',
      [
        ['X-User-ID', 'ann'],
        ['x-user-id', 'ann'],
      ],
    ],
    [
      'twice, once empty',
      [
        ['X-User-ID', ''],
        ['X-User-ID', 'ann'],
      ],
    ],
    ['empty', [['X-User-ID', '']]],
    ['blank', [['X-User-ID', '   ']]],
    ['of 256 characters', [['X-User-ID', 'x'.repeat(256)]]],
    ['with a tab', [['X-User-ID', 'a\tb']]],
    ['with a C1 control', [['X-User-ID', Buffer.from('a\u0085b')]]],
    ['with a zero-width space', [['X-User-ID', Buffer.from('a\u200bb')]]],
    ['with a line separator', [['X-User-ID', Buffer.from('a\u2028b')]]],
    ['in latin1', [['X-User-ID', Buffer.from([0x4a, 0xfc, 0x72])]]],
    ['cut in the midst of a character', [['X-User-ID', Buffer.from([0x61, 0xf0, 0x9f, 0x98])]]],
    ['of an encoded surrogate', [['X-User-ID', Buffer.from([0xed, 0xa0, 0x80])]]],
  ] as [string, Pairs][])('%s is refused, beside a key too', async (_, headers) => {
    for (const all of [headers, [...headers, ...key]]) {
      const answer = await send('GET', SESSIONS, all);
      expect(answer.status).toBe(401);
      expect(JSON.parse(answer.body.toString()).code).toBe('invalid_user_id');
    }
  });

  it.each([
    'ann@example.com',
    'Ann Lee',
    'a, b',
    'jürgen',
    '李雷',
    'مرحبا',
    '🦊🦊',
    'a/b?c#d%20e',
    'x'.repeat(255),
    '🦊'.repeat(255),
  ])('has any printable name: %.20s', async (name) => {
    const own = app.api.as(name);
    const made = await create(own);
    expect(made).toMatchObject({ user_id: name, owner_id: name });
    const path = `/api/v1/users/${encodeURIComponent(name)}/sessions`;
    for (const caller of [own, service])
      expect(expectOk(await caller.get(path)).sessions.map((row: { id: string }) => row.id)).toContain(
        made.session_id,
      );
    const named = await create(service, { user_id: name });
    expectOk(await own.get(at(named.session_id)));
  });

  it('tells names apart that only look the same', async () => {
    const [composed, decomposed] = ['jos\u00e9', 'jose\u0301'];
    const { session_id: id } = await create(app.api.as(composed));
    expectOk(await app.api.as(composed).get(at(id)));
    for (const name of [decomposed, 'JOS\u00c9', 'jose'])
      expectRefused(await app.api.as(name).get(at(id)), 404, 'session_not_found');
  });
});

describe('with AUTH_MODE=none', () => {
  const open = appWith({ AUTH_MODE: 'none', SERVICE_API_KEYS: '' });

  it('every caller is a service, narrowed by X-User-ID', async () => {
    const everybody = open().api;
    const { session_id: ann } = await create(everybody.as('ann'));
    const { session_id: bob } = await create(everybody, { user_id: 'bob', legal_hold: true });
    expect(expectOk(await everybody.get(SESSIONS)).sessions).toHaveLength(2);
    expectOk(await everybody.get('/api/v1/users/bob/sessions'));
    expect(
      expectOk(await everybody.as('ann').get(SESSIONS)).sessions.map((row: { id: string }) => row.id),
    ).toEqual([ann]);
    expectRefused(await everybody.as('ann').get(at(bob)), 404, 'session_not_found');
    expectRefused(await everybody.as('ann').get('/api/v1/users/bob/sessions'), 403, 'forbidden');
    expectRefused(await everybody.post(SESSIONS, {}), 422, 'owner_required');
  });

  it('still refuses an empty X-User-ID, which must not widen', async () => {
    expectRefused(await open().api.with({ 'x-user-id': '' }).get(SESSIONS), 401, 'invalid_user_id');
  });
});

describe('with GATEWAY_SECRET', () => {
  const secret = 'gateway-secret-0123456789';
  const guarded = appWith({ GATEWAY_SECRET: secret });

  it('X-User-ID is taken from the gateway only', async () => {
    const ann = guarded().api.as('ann');
    for (const wrong of ['', 'x', `${secret}x`, secret.toUpperCase()])
      expectRefused(await ann.with({ 'x-gateway-secret': wrong }).get(SESSIONS), 401, 'unknown_gateway');
    expectRefused(await ann.get(SESSIONS), 401, 'unknown_gateway');
    expectRefused(await ann.with({ authorization: 'Bearer x' }).get(SESSIONS), 401, 'unknown_gateway');
    expect(await whoIs(ann.with({ 'x-gateway-secret': secret }))).toBe('ann');
  });

  it('the secret alone names nobody', async () => {
    expectRefused(
      await guarded().api.with({ 'x-gateway-secret': secret }).get(SESSIONS),
      401,
      'unauthenticated',
    );
  });

  it('a service proves itself by its key', async () => {
    expectOk(await guarded().api.service(SERVICE_KEY).get(SESSIONS));
    expect(await whoIs(guarded().api.service(SERVICE_KEY).as('bob'))).toBe('bob');
    expectOk(await guarded().api.get('/health'));
  });
});

describe('media types', () => {
  const WRITES: [string, (id: string) => string][] = [
    ['POST', () => SESSIONS],
    ['POST', () => `${SESSIONS}/resume`],
    ['PUT', at],
    ['POST', (id) => at(id, '/messages')],
    ['POST', (id) => at(id, '/pause')],
  ];

  it.each([
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'text/plain',
    'text/json',
    'application/xml',
    'application/merge-patch+json',
  ])('%s is refused by POST and PUT', async (type) => {
    const before = await create(api);
    for (const [method, path] of WRITES) {
      const answer = await api.call(method, path(before.session_id), {
        raw: '{"title":"x"}',
        headers: { 'content-type': type },
      });
      expectRefused(answer, 415, 'unsupported_media_type');
    }
    expect(expectOk(await api.get(at(before.session_id)))).toEqual(before);
  });

  it.each(['application/json', 'application/json; charset=utf-8', 'application/merge-patch+json'])(
    '%s is taken by PATCH',
    async (type) => {
      const { session_id: id } = await create(api, { context: { a: 1, b: 2 } });
      const body = { context: { a: null, c: 3 } };
      const answer = await api.call('PATCH', at(id), { body, headers: { 'content-type': type } });
      expect(expectOk(answer).context).toEqual({ b: 2, c: 3 });
    },
  );

  it('need not be named where there is no body', async () => {
    const { session_id: id } = await create(api);
    for (const path of [SESSIONS, at(id, '/pause')])
      expect((await send('POST', path, [...mine(), ['Content-Length', '0']])).status).toBeLessThan(300);
  });

  it('may be named where there is no body', async () => {
    const { session_id: id } = await create(api);
    for (const path of [SESSIONS, at(id, '/pause')])
      expect((await api.post(path, undefined, { 'content-type': 'application/json' })).status).toBeLessThan(
        300,
      );
  });

  it('a body without one is refused', async () => {
    expect(
      (
        await send(
          'POST',
          SESSIONS,
          [
            ['X-User-ID', user],
            ['Content-Length', '2'],
          ],
          '{}',
        )
      ).status,
    ).toBe(415);
  });

  it.each(['{', '', ' ', 'null', '[]', '"x"', '7', '{"title":"\\u0000"}', '{"title":"\\ud800"}'])(
    'a body that is JSON in name only is refused: %j',
    async (raw) => {
      const { session_id: id } = await create(api);
      const answer = await api.call('POST', at(id, '/messages'), { raw });
      expect([400, 422]).toContain(answer.status);
      expect(expectOk(await api.get(at(id))).message_count).toBe(0);
    },
  );
});

describe('gzip', () => {
  it('is used when asked for, where it pays', async () => {
    const { session_id: id } = await create(api);
    const content = 'All work and no play. '.repeat(200);
    await append(api, id, { role: 'user', content });
    const path = at(id, '/messages');
    const packed = await send('GET', path, [...mine(), ['Accept-Encoding', 'gzip']]);
    const plain = await send('GET', path, mine());
    expect(packed.headers['content-encoding']).toBe('gzip');
    expect(packed.headers.vary?.toLowerCase()).toContain('accept-encoding');
    expect(packed.headers['content-type']).toMatch(/^application\/json/);
    expect(packed.body.length).toBeLessThan(plain.body.length);
    expect(plain.headers['content-encoding']).toBeUndefined();
    expect(JSON.parse(gunzipSync(packed.body).toString())).toEqual(JSON.parse(plain.body.toString()));
    const small = await send('GET', at('missing'), [...mine(), ['Accept-Encoding', 'gzip']]);
    expect(small.headers['content-encoding']).toBeUndefined();
  });
});

/** The CORS headers of an answer, by a preflight or a plain request, as a browser sends them. */
async function corsOf(own: TestApp, origin: string, method: 'OPTIONS' | 'GET') {
  const asks = {
    'access-control-request-method': 'PATCH',
    'access-control-request-headers': 'content-type,if-match,idempotency-key,x-user-id',
  };
  const headers = { origin, ...(method === 'OPTIONS' ? asks : { 'x-user-id': 'ann' }) };
  const answer = await fetch(own.url + SESSIONS, { method, headers });
  await answer.text();
  const list = (name: string) => (answer.headers.get(name) ?? '').toLowerCase().split(/, */).filter(Boolean);
  return {
    status: answer.status,
    origin: answer.headers.get('access-control-allow-origin'),
    credentials: answer.headers.get('access-control-allow-credentials'),
    methods: list('access-control-allow-methods'),
    headers: list('access-control-allow-headers'),
    exposed: list('access-control-expose-headers'),
    vary: list('vary'),
  };
}

describe('CORS', () => {
  const listed = appWith({ CORS_ORIGINS: 'https://app.example, https://other.example' });
  const all = appWith({ CORS_ORIGINS: '*' });

  it('is off by default', async () => {
    expect(await corsOf(app, 'https://app.example', 'GET')).toMatchObject({ status: 200, origin: null });
    expect(await corsOf(app, 'https://app.example', 'OPTIONS')).toMatchObject({
      status: 404,
      origin: null,
      methods: [],
    });
  });

  it.each(['https://app.example', 'https://other.example'])('lets a listed origin in: %s', async (origin) => {
    const preflight = await corsOf(listed(), origin, 'OPTIONS');
    expect(preflight).toMatchObject({ status: 204, origin });
    expect(preflight.methods).toEqual(expect.arrayContaining(['get', 'post', 'put', 'patch', 'delete']));
    expect(preflight.headers).toEqual(
      expect.arrayContaining(['content-type', 'if-match', 'idempotency-key', 'x-user-id']),
    );
    const plain = await corsOf(listed(), origin, 'GET');
    expect(plain).toMatchObject({ status: 200, origin });
    expect(plain.exposed).toEqual(
      expect.arrayContaining(['etag', 'location', 'retry-after', 'x-request-id', 'idempotency-replayed']),
    );
    expect(plain.vary).toContain('origin');
  });

  it.each(['https://evil.example', 'http://app.example', 'https://app.example.evil.example', 'null'])(
    'lets no other in: %s',
    async (origin) => {
      for (const method of ['GET', 'OPTIONS'] as const)
        expect((await corsOf(listed(), origin, method)).origin).toBeNull();
    },
  );

  it('lets everybody in by *, without credentials', async () => {
    for (const method of ['GET', 'OPTIONS'] as const)
      expect(await corsOf(all(), 'https://anywhere.example', method)).toMatchObject({
        origin: '*',
        credentials: null,
      });
  });

  it('is told on refusals too, so that a page can read them', async () => {
    const answer = await fetch(listed().url + SESSIONS, { headers: { origin: 'https://app.example' } });
    expect(answer.status).toBe(401);
    expect(answer.headers.get('access-control-allow-origin')).toBe('https://app.example');
  });
});

describe('without a credential, without a prefix', () => {
  it.each(['/docs', '/docs/'])('%s is a page, with all it loads', async (where) => {
    const page = await fetch(app.url + where);
    const html = await page.text();
    expect(page.status).toBe(200);
    expect(page.headers.get('content-type')).toMatch(/^text\/html/);
    expect(html).toContain('Session Service');
    const parts = [...html.matchAll(/(?:src|href)="([^"]+\.(?:js|css))"/g)].map(([, path]) => path!);
    expect(parts.length).toBeGreaterThan(0);
    for (const path of parts) {
      const part = await fetch(new URL(path, app.url + where));
      expect({ path, status: part.status, empty: (await part.text()) === '' }).toEqual({
        path,
        status: 200,
        empty: false,
      });
    }
  });

  it('/openapi.json is the contract', async () => {
    expect(expectOk(await app.api.get('/openapi.json'))).toEqual(
      JSON.parse(readFileSync('openapi.json', 'utf8')),
    );
  });

  it('/health tells the state and latency of dependencies', async () => {
    for (const path of ['/health', '/health/ready'])
      expect(expectOk(await app.api.get(path))).toMatchObject({
        status: 'ok',
        service: 'session-service',
        environment: 'development',
        dependencies: { postgres: { status: 'up', latency_ms: expect.any(Number) } },
      });
    expect(expectOk(await app.api.get('/health/live'))).toEqual({ status: 'ok' });
  });

  it('/metrics is Prometheus text, by route and not by path', async () => {
    const { session_id: id } = await create(api);
    expectOk(await api.get(at(id)));
    const answer = await app.api.get('/metrics');
    expect(answer.status).toBe(200);
    expect(answer.headers.get('content-type')).toMatch(/^text\/plain/);
    expect(answer.text).toMatch(
      /http_request_duration_seconds_count\{method="GET",route="\/sessions\/:session_id",status="200"\} \d+/,
    );
    for (const word of [id, user]) expect(answer.text).not.toContain(word);
  });
});

describe('the shape of answers', () => {
  it('is snake_case, with times in UTC with milliseconds', async () => {
    const { session_id: id } = await create(api, { timeout_minutes: 5 });
    await append(api, id, { role: 'user', content: 'x' });
    const rows = [
      expectOk(await api.get(at(id))),
      expectOk(await api.get(at(id, '/messages'))).messages[0],
      expectOk(await api.get(at(id, '/events'))).events[0],
    ];
    for (const row of rows) {
      for (const [name, value] of Object.entries(row)) {
        expect(name).toMatch(/^[a-z]+(_[a-z]+)*$/);
        if (/_at$|^timestamp$|^last_activity$/.test(name) && value !== null) expect(value).toMatch(TIME);
      }
    }
    expect(rows[0].expires_at).toMatch(TIME);
  });

  it('has the older names beside ours', async () => {
    const session = await create(api, { name: 'Older', id: `older-${user}` });
    expect(session).toMatchObject({
      session_id: `older-${user}`,
      id: session.session_id,
      title: 'Older',
      name: 'Older',
      owner_id: session.user_id,
      last_activity: session.last_activity_at,
    });
    const message = await append(api, session.id, { role: 'user', content: 'x' });
    expect(message.timestamp).toBe(message.created_at);
  });
});

describe('the log', () => {
  it('holds no contents and no secrets, at trace level too', async () => {
    const canary = (place: string) => `canary${place}canary`;
    const secret = 'canary-gateway-secret';
    const own = await startService({
      DATABASE_URL: app.database.url,
      LOG_LEVEL: 'trace',
      GATEWAY_SECRET: secret,
    });
    try {
      const caller = own.api.as('log-reader').with({
        'x-gateway-secret': secret,
        authorization: `Bearer ${canary('Token')}`,
        'idempotency-key': canary('Key'),
        cookie: `session=${canary('Cookie')}`,
      });
      const document = { [canary('Member')]: canary('Value') };
      const documents = ['context', 'metadata', 'configuration', 'conversation_data', 'runtime_metadata'];
      const session = {
        title: canary('Title'),
        description: canary('Description'),
        tags: [canary('Tag')],
        checkpoint: document,
        ...Object.fromEntries(documents.map((name) => [name, document])),
      };
      const message = {
        role: 'assistant',
        content: canary('Content'),
        name: canary('Name'),
        metadata: document,
        tool_calls: [{ id: 'call', function: { arguments: canary('Arguments') } }],
      };
      const { session_id: id } = await create(caller, session);
      await append(caller, id, message);
      expectRefused(
        await caller.post(at(id, '/messages'), { ...message, content: canary('Other') }),
        422,
        'key_reused',
      );
      expectOk(await caller.patch(at(id), { title: canary('Edit') }));
      expectOk(await caller.get(at(id, '/messages')));
      expectOk(await caller.get(`${SESSIONS}?q=${canary('Query')}&metadata.a=${canary('Filter')}`));
      const bad = [
        () => caller.call('POST', SESSIONS, { raw: `{"title":"${canary('Broken')}` }),
        () => caller.post(SESSIONS, { status: canary('Status') }),
        () => caller.post(SESSIONS, { title: `${canary('Nul')}\0` }),
        () => caller.post(SESSIONS, { metadata: { a: canary('Large').repeat(50_000) } }),
        () => caller.get(`${SESSIONS}?cursor=${canary('Cursor')}`),
        () => caller.get(`/nowhere?q=${canary('Nowhere')}`),
        () => own.api.service(canary('ApiKey')).get(SESSIONS),
        () =>
          own.api
            .as('log-reader')
            .with({ 'x-gateway-secret': canary('Gateway') })
            .get(SESSIONS),
      ];
      for (const request of bad) expect((await request()).status).toBeGreaterThanOrEqual(400);
      // a statement that PostgreSQL itself refuses, quoting the row
      await app.database.pool.query(
        'alter table session_details add constraint no_canaries check (description not like $$%Refused%$$) not valid',
      );
      const broken = await caller
        .with({ 'idempotency-key': canary('Second') })
        .post(SESSIONS, { description: canary('Refused') });
      await app.database.pool.query('alter table session_details drop constraint no_canaries');
      expect(broken.status).toBe(500);
      expect(broken.text).not.toMatch(/canary|no_canaries|session_details/);
      own.kill('SIGTERM');
      expect(await own.exited).toBe(0);
      const lines = own.output().trim().split('\n');
      expect(lines.filter((line) => line.includes('"msg":"request"')).length).toBeGreaterThan(bad.length);
      expect(lines.filter((line) => /canary[A-Z]|canary-gateway-secret/.test(line))).toEqual([]);
      expect(own.output()).not.toContain(SERVICE_KEY);
    } finally {
      own.kill('SIGKILL');
    }
  });
});
