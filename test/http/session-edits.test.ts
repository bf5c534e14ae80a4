import { api, app, service, useApp } from './suite.js';
import {
  append,
  at,
  atOnce,
  create,
  eventTypes,
  expectOk,
  expectRefused,
  fresh,
  read,
  share,
} from './support.js';

const SESSIONS = '/api/v1/sessions';
const DOCUMENTS = ['context', 'metadata', 'configuration', 'conversation_data', 'runtime_metadata'];

useApp();

const edit = (method: string, id: string, body: unknown, headers?: Record<string, string>) =>
  api.call(method, at(id), { body, headers });

/** Every member that can be taken away, with a value of its own. */
const REMOVABLE = {
  title: 'x',
  description: 'x',
  session_type: 'research',
  tags: ['a'],
  context: { a: 1 },
  metadata: { a: 1 },
  configuration: { a: 1 },
  conversation_data: { a: 1 },
  checkpoint: { a: 1 },
  runtime_backend: 'local',
  runtime_metadata: { a: 1 },
  client_id: 'web',
  agent_id: 'a',
  timeout_minutes: 30,
  heartbeat_timeout_seconds: 30,
  auto_recover: true,
};

it('takes null in a new session for a member that is not given', async () => {
  const nothing = Object.fromEntries(Object.keys(REMOVABLE).map((member) => [member, null]));
  const { session_id, id, created_at, updated_at, last_activity, last_activity_at, ...given } = await create(
    api,
    nothing,
  );
  expect(await create(api)).toMatchObject(given);
});

describe.each(['PUT', 'PATCH'])('%s of a session', (method) => {
  it.each(Object.entries(REMOVABLE))('takes %s away by null', async (member, value) => {
    const plain = await create(api);
    const { session_id } = await create(api, { [member]: value });
    const after = expectOk(await edit(method, session_id, { [member]: null }));
    expect(after[member]).toEqual(plain[member]);
    expect(after.version).toBe(2);
    expect(expectOk(await edit(method, session_id, { [member]: null })).version).toBe(2);
  });

  it.each([
    ['title', 'New', 'Ü 🚀'],
    ['description', 'New', null],
    ['session_type', 'research', 'x'],
    ['status', 'paused', 'active'],
    ['tags', ['b', 'a'], []],
    ['context', { a: 1 }, { a: 2 }],
    ['metadata', { a: 1 }, { a: 2 }],
    ['configuration', { a: 1 }, { a: 2 }],
    ['conversation_data', { a: 1 }, { a: 2 }],
    ['runtime_metadata', { a: 1 }, { a: 2 }],
    ['checkpoint', { a: 1 }, null],
    ['runtime_backend', 'local', 'kubernetes'],
    ['client_id', 'web', null],
    ['agent_id', 'a', null],
    ['timeout_minutes', 30, 60],
  ])('sets %s, and nothing else', async (member, first, second) => {
    const before = await create(api, { title: 'Old', tags: ['old'], context: { a: 0 } });
    for (const [value, version] of [
      [first, 2],
      [second, 3],
    ]) {
      const answer = await edit(method, before.session_id, { [member as string]: value });
      const after = expectOk(answer);
      expect(after).toMatchObject({ [member as string]: value, version });
      expect(answer.headers.get('etag')).toBe(`"${version}"`);
      expect(await read(api, before.session_id)).toEqual(after);
      const changed = Object.keys(after).filter(
        (name) => JSON.stringify(after[name]) !== JSON.stringify(before[name]),
      );
      const allowed = [member, 'version', 'updated_at', 'last_activity_at', 'last_activity'];
      const derived: Record<string, string[]> = {
        title: ['name'],
        status: ['is_active'],
        timeout_minutes: ['expires_at'],
      };
      expect([...allowed, ...(derived[member as string] ?? [])]).toEqual(expect.arrayContaining(changed));
    }
  });

  it('sets several at once as one edit', async () => {
    const { session_id } = await create(api);
    const body = { title: 'T', tags: ['x'], status: 'completed', metadata: { m: 1 } };
    expect(expectOk(await edit(method, session_id, body))).toMatchObject({ ...body, version: 2 });
  });

  it('changes nothing when nothing is new', async () => {
    const given = {
      title: 'T',
      tags: ['x'],
      metadata: { a: 1, b: { c: [1] } },
      context: { y: 1 },
      checkpoint: { s: 1 },
      agent_id: 'a',
      timeout_minutes: 5,
    };
    const before = await create(api, given);
    for (const body of [{}, given, { status: 'active' }]) {
      const answer = await edit(method, before.session_id, body);
      expect(expectOk(answer)).toEqual(before);
      expect(answer.headers.get('etag')).toBe('"1"');
    }
    expect(await eventTypes(api, before.session_id)).toEqual(['session.created', 'checkpoint.saved']);
  });

  it('renews activity and the time of the edit', async () => {
    const { session_id } = await create(api);
    await app.database.pool.query(
      `with s as (update sessions set last_activity_at = '2020-01-01' where id = $1 returning key)
       update session_details set updated_at = '2020-01-01' where key = (select key from s)`,
      [session_id],
    );
    const after = expectOk(await edit(method, session_id, { title: 'x' }));
    expect(after.updated_at > '2021').toBe(true);
    expect(after.last_activity_at > '2021').toBe(true);
  });

  it.each([
    'session_id',
    'id',
    'user_id',
    'owner_id',
    'is_active',
    'message_count',
    'total_tokens',
    'total_cost',
    'session_summary',
    'collection',
    'expires_at',
    'lineage',
    'version',
    'created_at',
    'updated_at',
    'last_activity_at',
    'last_activity',
    'archived_at',
    'deleted_at',
    'deleted_reason',
  ])('answers read_only for %s', async (member) => {
    const session = await create(api);
    const answer = await edit(method, session.session_id, { title: 'x', [member]: session[member] ?? 1 });
    expectRefused(answer, 422, 'read_only');
    expect(await read(api, session.session_id)).toEqual(session);
  });

  it('keeps a repeated tag once', async () => {
    const { session_id } = await create(api, { tags: ['a', 'b', 'a'] });
    expect((await read(api, session_id)).tags).toEqual(['a', 'b']);
    expect(expectOk(await edit(method, session_id, { tags: ['c', 'a', 'c'] })).tags).toEqual(['c', 'a']);
  });

  it.each([
    ['title', 1],
    ['title', 'x'.repeat(501)],
    ['tags', 'x'],
    ['tags', [1]],
    ['tags', Array.from({ length: 51 }, (_, i) => `${i}`)],
    ['tags', ['x'.repeat(101)]],
    ['tags', ['']],
    ['context', []],
    ['metadata', 'x'],
    ['checkpoint', []],
    ['status', 'deleted'],
    ['runtime_backend', 'docker'],
    ['timeout_minutes', 525_601],
    ['timeout_minutes', 0],
    ['client_id', ' x'],
    ['if_exists', 'return'],
    ['unheard_of', 1],
  ])('refuses the %s %.40j', async (member, value) => {
    const session = await create(api);
    const answer = await edit(method, session.session_id, { description: 'x', [member]: value });
    expectRefused(answer, 422, 'invalid');
    expect(answer.body.errors[0].pointer).toMatch(new RegExp(`^/${member}`));
    expect(await read(api, session.session_id)).toEqual(session);
  });

  it.each([
    ['NUL', { title: 'a\0b' }, '/title'],
    ['NUL inside a document', { context: { a: [{ b: '\0' }] } }, '/context/a/0/b'],
    ['too deep a document', { metadata: nested(64) }, undefined],
  ])('refuses %s', async (_, body, pointer) => {
    const session = await create(api);
    const answer = await edit(method, session.session_id, body);
    expectRefused(answer, 422, 'invalid');
    if (pointer) expect(answer.body.errors[0].pointer).toBe(pointer);
    expect(await read(api, session.session_id)).toEqual(session);
  });

  it('refuses a lone surrogate', async () => {
    const { session_id } = await create(api);
    const raw = '{"metadata":{"x/y":"\\ud800"}}';
    const answer = await api.call(method, at(session_id), { raw });
    expectRefused(answer, 422, 'invalid');
    expect(answer.body.errors[0].pointer).toBe('/metadata/x~1y');
  });

  it('keeps a document 64 levels deep', async () => {
    const { session_id } = await create(api);
    const metadata = nested(63);
    expect(expectOk(await edit(method, session_id, { metadata })).metadata).toEqual(metadata);
  });

  it.each(['title', 'name'])('takes %s', async (member) => {
    const { session_id } = await create(api);
    const after = expectOk(await edit(method, session_id, { [member]: 'T' }));
    expect(after).toMatchObject({ title: 'T', name: 'T' });
  });

  it('takes the title away', async () => {
    const { session_id } = await create(api, { title: 'T' });
    expect(expectOk(await edit(method, session_id, { title: null }))).toMatchObject({
      title: null,
      name: null,
    });
  });

  it.each(['deleted', 'gone for good', 'another’s'])('finds nothing that is %s', async (kind) => {
    const { session_id } = await create(kind === 'another’s' ? app.api.as(fresh()) : api);
    if (kind === 'deleted') await api.delete(at(session_id));
    if (kind === 'gone for good') await api.delete(at(session_id, '?permanent=true'));
    const code = kind === 'deleted' ? 'session_deleted' : 'session_not_found';
    expectRefused(await edit(method, session_id, { title: 'x' }), 404, code);
    expectRefused(await edit(method, session_id, { title: 5 }), 404, code);
    expectRefused(await edit(method, session_id, { unheard_of: 5 }), 404, code);
  });

  it('lets each role edit what it may', async () => {
    const { session_id } = await create(api);
    const allowed: Record<string, [object, number][]> = {
      viewer: [
        [{ title: 'v' }, 403],
        [{ status: 'paused' }, 403],
        [{ checkpoint: { v: 1 } }, 403],
      ],
      editor: [
        [{ title: 'e' }, 403],
        [{ metadata: { e: 1 } }, 403],
        [{ status: 'archived' }, 403],
        [{ checkpoint: { e: 1 }, tags: ['e'] }, 403],
        [{ status: 'paused' }, 200],
        [{ checkpoint: { e: 1 }, status: 'active' }, 200],
      ],
      manager: [
        [{ title: 'm', metadata: { m: 1 } }, 200],
        [{ status: 'archived' }, 200],
        [{ status: 'active' }, 200],
        [{ legal_hold: true }, 403],
      ],
    };
    for (const [role, cases] of Object.entries(allowed)) {
      const member = fresh(role);
      await share(app, session_id, member, role);
      for (const [body, status] of cases) {
        const answer = await app.api.as(member).call(method, at(session_id), { body });
        expect([role, body, answer.status]).toEqual([role, body, status]);
      }
    }
    expectRefused(await edit(method, session_id, { legal_hold: true }), 403, 'forbidden');
    expectOk(await service.call(method, at(session_id), { body: { legal_hold: true } }));
  });
});

function nested(levels: number): object {
  let value: object = {};
  for (let level = 1; level < levels; level++) value = { a: value };
  return value;
}

describe('PUT of a document', () => {
  it.each(DOCUMENTS)('replaces %s whole', async (name) => {
    const { session_id } = await create(api, { [name]: { a: 1, b: { c: 1, d: 2 } } });
    const put = expectOk(await api.put(at(session_id), { [name]: { b: { c: 3 }, n: null } }));
    expect(put[name]).toEqual({ b: { c: 3 }, n: null });
    expect(expectOk(await api.put(at(session_id), { [name]: {} }))[name]).toEqual({});
  });
});

describe('PATCH of a document', () => {
  it.each(DOCUMENTS)('merges into %s', async (name) => {
    const { session_id } = await create(api, { [name]: { a: 1, b: { c: 1, d: 2 }, l: [1, { x: 1 }] } });
    const merged = expectOk(
      await api.patch(at(session_id), { [name]: { a: null, b: { c: 3, e: {} }, l: [2] } }),
    );
    expect(merged[name]).toEqual({ b: { c: 3, d: 2, e: {} }, l: [2] });
  });

  it('replaces a checkpoint whole', async () => {
    const { session_id } = await create(api, { checkpoint: { a: 1, b: { c: 1 } } });
    const patched = expectOk(await api.patch(at(session_id), { checkpoint: { b: { d: 2 }, n: null } }));
    expect(patched.checkpoint).toEqual({ b: { d: 2 }, n: null });
    expect(expectOk(await api.patch(at(session_id), { checkpoint: null })).checkpoint).toBeNull();
  });

  it('replaces tags whole', async () => {
    const { session_id } = await create(api, { tags: ['a', 'b'] });
    expect(expectOk(await api.patch(at(session_id), { tags: ['c'] })).tags).toEqual(['c']);
  });

  it('takes application/merge-patch+json, PUT and POST do not', async () => {
    const { session_id } = await create(api, { context: { a: 1 } });
    const call = { body: { context: { b: 2 } }, headers: { 'content-type': 'application/merge-patch+json' } };
    const patched = await api.call('PATCH', at(session_id), call);
    expect(expectOk(patched).context).toEqual({ a: 1, b: 2 });
    expectRefused(await api.call('PUT', at(session_id), call), 415, 'unsupported_media_type');
    expectRefused(await api.call('POST', SESSIONS, call), 415, 'unsupported_media_type');
  });

  /** RFC 7396, appendix A: original, patch, result; `undefined` stands for a member that is gone. */
  const APPENDIX_A: [unknown, unknown, unknown][] = [
    [{ a: 'b' }, { a: 'c' }, { a: 'c' }],
    [{ a: 'b' }, { b: 'c' }, { a: 'b', b: 'c' }],
    [{ a: 'b' }, { a: null }, {}],
    [{ a: 'b', b: 'c' }, { a: null }, { b: 'c' }],
    [{ a: ['b'] }, { a: 'c' }, { a: 'c' }],
    [{ a: 'c' }, { a: ['b'] }, { a: ['b'] }],
    [{ a: { b: 'c' } }, { a: { b: 'd', c: null } }, { a: { b: 'd' } }],
    [{ a: [{ b: 'c' }] }, { a: [1] }, { a: [1] }],
    [
      ['a', 'b'],
      ['c', 'd'],
      ['c', 'd'],
    ],
    [{ a: 'b' }, ['c'], ['c']],
    [{ a: 'foo' }, null, undefined],
    [{ a: 'foo' }, 'bar', 'bar'],
    [{ e: null }, { a: 1 }, { e: null, a: 1 }],
    [[1, 2], { a: 'b', c: null }, { a: 'b' }],
    [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
  ];

  it.each(APPENDIX_A)('merges %j with %j', async (original, patch, result) => {
    const { session_id } = await create(api, { context: { member: original, other: 1 } });
    const { context } = expectOk(await api.patch(at(session_id), { context: { member: patch } }));
    expect(context).toEqual(result === undefined ? { other: 1 } : { member: result, other: 1 });
  });

  const isObject = (value: unknown) => value !== null && typeof value === 'object' && !Array.isArray(value);

  it.each(APPENDIX_A.filter(([original, patch]) => isObject(original) && isObject(patch)))(
    'merges %j with %j at the top',
    async (original, patch, result) => {
      const { session_id } = await create(api, { context: original });
      expect(expectOk(await api.patch(at(session_id), { context: patch })).context).toEqual(result);
    },
  );

  it('is not led astray by names that objects have anyway', async () => {
    const { session_id } = await create(api);
    const context = { constructor: { a: 1 }, toString: { b: 1 }, hasOwnProperty: 1 };
    expect(expectOk(await api.patch(at(session_id), { context })).context).toEqual(context);
  });

  it('loses none of 20 merges at once', async () => {
    const { session_id } = await create(api);
    await atOnce(20, (i) => api.patch(at(session_id), { metadata: { [`k${i}`]: i } }));
    const after = await read(api, session_id);
    expect(Object.keys(after.metadata)).toHaveLength(20);
    expect(after.version).toBe(21);
  });
});

describe('sizes', () => {
  /** A document of exactly so many bytes as JSON. */
  const sized = (bytes: number) => ({ x: 'x'.repeat(bytes - '{"x":""}'.length) });
  const KIB = 1024;
  const limits: [string, number][] = [
    ...DOCUMENTS.map((name): [string, number] => [name, 256 * KIB]),
    ['checkpoint', 1024 * KIB],
  ];

  it.each(limits)('takes a %s of %i bytes, and no more', async (name, bytes) => {
    const { session_id } = await create(api, { [name]: sized(bytes) });
    const before = await read(api, session_id);
    for (const answer of [
      await api.post(SESSIONS, { [name]: sized(bytes + 1) }),
      await api.put(at(session_id), { [name]: sized(bytes + 1) }),
      await api.patch(at(session_id), { [name]: sized(bytes + 1) }),
    ]) {
      expectRefused(answer, 413, 'too_large');
      expect(answer.body.detail).toContain(name);
    }
    expect(await read(api, session_id)).toEqual(before);
    expectOk(await api.put(at(session_id), { [name]: sized(bytes) }));
  });

  it('counts bytes, not characters', async () => {
    expectRefused(await api.post(SESSIONS, { metadata: { x: 'é'.repeat(140_000) } }), 413, 'too_large');
  });

  it.each(DOCUMENTS)('counts %s after the merge', async (name) => {
    const { session_id } = await create(api, { [name]: { a: 'x'.repeat(200 * KIB) } });
    const answer = await api.patch(at(session_id), { [name]: { b: 'x'.repeat(100 * KIB) } });
    expectRefused(answer, 413, 'too_large');
    expect((await read(api, session_id)).version).toBe(1);
    const swapped = await api.patch(at(session_id), { [name]: { a: null, b: 'x'.repeat(100 * KIB) } });
    expect(Object.keys(expectOk(swapped)[name])).toEqual(['b']);
  });

  it('tells a stranger nothing of sizes', async () => {
    const { session_id } = await create(api);
    const large = { metadata: sized(257 * KIB) };
    expectRefused(await app.api.as(fresh()).patch(at(session_id), large), 404, 'session_not_found');
  });

  it('takes a title of 500 characters and 50 tags of 100', async () => {
    const body = {
      title: 'x'.repeat(500),
      tags: Array.from({ length: 50 }, (_, i) => `${i}`.padEnd(100, 't')),
    };
    expect(await create(api, body)).toMatchObject(body);
  });

  it('refuses a body beyond BODY_LIMIT_MB', async () => {
    const { session_id } = await create(api);
    const large = { metadata: { x: 'x'.repeat(9 * KIB * KIB) } };
    expectRefused(await api.post(SESSIONS, large), 413, 'body_too_large');
    expectRefused(await api.patch(at(session_id), large), 413, 'body_too_large');
  });
});

describe('If-Match', () => {
  it.each(['PUT', 'PATCH', 'DELETE'])('guards %s', async (method) => {
    const { session_id } = await create(api);
    await api.patch(at(session_id), { title: 'second' });
    const call = (match: string) =>
      api.call(method, at(session_id), {
        body: method === 'DELETE' ? undefined : { title: `by ${match}` },
        headers: { 'if-match': match },
      });
    for (const stale of ['"1"', '"3"', '"0"', '"1", "3"', '"x"', '""']) {
      const answer = await call(stale);
      expectRefused(answer, 412, 'version_mismatch');
      expect(answer.body.version).toBe(2);
    }
    for (const bad of ['2', 'version 2', 'W/"2"']) {
      expect([412, 422]).toContain((await call(bad)).status);
    }
    expect(await read(api, session_id)).toMatchObject({ title: 'second', version: 2 });
    const answer = await call('"1", "2"');
    expect([answer.status, answer.headers.get('etag')]).toEqual([200, '"3"']);
    if (method !== 'DELETE') expectOk(await call('*'));
  });

  it('guards the deletion for good', async () => {
    const { session_id } = await create(api);
    const path = at(session_id, '?permanent=true');
    expectRefused(await api.delete(path, { 'if-match': '"2"' }), 412, 'version_mismatch');
    expect((await api.delete(path, { 'if-match': '"1"' })).status).toBe(204);
  });

  it('lets one of 10 writers through who saw the same version', async () => {
    const { session_id } = await create(api);
    const answers = await atOnce(10, (i) =>
      api.patch(at(session_id), { title: `t${i}` }, { 'if-match': '"1"' }),
    );
    expect(answers.map((a) => a.status).sort()).toEqual([200, ...Array(9).fill(412)]);
    const winner = answers.find((a) => a.status === 200)!;
    expect(await read(api, session_id)).toEqual(winner.body);
  });

  it('is not asked of a stranger', async () => {
    const { session_id } = await create(api);
    const stranger = app.api.as(fresh());
    const answer = await stranger.patch(at(session_id), { title: 'x' }, { 'if-match': '"9"' });
    expectRefused(answer, 404, 'session_not_found');
  });
});

describe('the version', () => {
  it('counts edits of fields and of state, not appends or the made title', async () => {
    const { session_id } = await create(api);
    await append(api, session_id, { role: 'user', content: 'This makes the title.', tokens_used: 5 });
    await read(api, session_id);
    expect(await read(api, session_id)).toMatchObject({ version: 1, title: 'This makes the title.' });
    await api.patch(at(session_id), { tags: ['a'] });
    await api.post(at(session_id, '/pause'));
    await api.post(at(session_id, '/pause'));
    await api.post(at(session_id, '/archive'));
    await api.post(at(session_id, '/restore'));
    expect((await read(api, session_id)).version).toBe(5);
    await api.delete(at(session_id));
    await api.delete(at(session_id));
    expect(expectOk(await api.post(at(session_id, '/restore'))).version).toBe(7);
  });
});
