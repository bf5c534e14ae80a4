import { Sweeps } from '../../src/jobs/sweeps.js';
import type { Api } from '../setup/api.js';
import { eventually } from '../setup/eventually.js';
import { api, app, service, useApp, user } from './suite.js';
import {
  at,
  atOnce,
  create,
  eventsOf,
  expectOk,
  expectRefused,
  fresh,
  query,
  share,
  TIME,
  walkByCursor,
} from './support.js';

useApp();

const ofUser = (name: string, under = '') => `/api/v1/users/${name}/memory${under}`;
const sql = (text: string, values: unknown[] = []) => app.database.pool.query(text, values);

/** A place of the user's to keep things in: his own, or a session of his. */
const PLACES = {
  user: async () => ofUser(user),
  session: async () => at((await create(api)).session_id, '/memory'),
};

/** Lets an entry's time run out. */
const expire = (key: string) =>
  sql(`update memory_entries set expires_at = now() - interval '1 second' where name = $1`, [key]);

/** Entries counted in their spaces are the entries there are. */
async function expectCounted() {
  const { rows } = await sql(
    `select space.key from memory_spaces space
     where space.entries <> (select count(*) from memory_entries e where e.space_key = space.key)`,
  );
  expect(rows).toEqual([]);
}
afterEach(expectCounted);

describe.each(Object.entries(PLACES))('memory of a %s', (scope, placeOf) => {
  let place: string;
  beforeEach(async () => {
    place = await placeOf();
  });
  const key = (name: string, under = '') => `${place}/${encodeURIComponent(name)}${under}`;
  const save = async (name: string, body: object) => (await api.put(key(name), body)).body;
  const read = async (name: string) => expectOk(await api.get(key(name)));

  describe('saving', () => {
    it.each([
      [['penicillin', 'nuts']],
      [[{ name: 'a', doses: [1, 2.5] }, []]],
      [{ b: { c: [null, true] }, a: '' }],
      ['plain "text" with \n and 🚀'],
      ['["not", "parsed"]'],
      [''],
      [0],
      [false],
      [null],
    ])('keeps %j as it came', async (value) => {
      const answer = await api.put(key('k'), { value });
      const saved = expectOk(answer, 201);
      expect(saved).toEqual({
        ...{ memory_id: expect.stringMatching(/^mem_[0-9a-f-]{36}$/), scope, user_id: user },
        ...{
          session_id: scope === 'session' ? expect.any(String) : null,
          key: 'k',
          memory_type: 'fact',
          value,
        },
        ...{
          content: typeof value === 'string' ? value : JSON.stringify(value),
          metadata: {},
          importance: 0.5,
        },
        ...{ version: 1, expires_at: null, created_by: user },
        ...{ created_at: expect.stringMatching(TIME), updated_at: expect.stringMatching(TIME) },
      });
      expect(answer.headers.get('etag')).toBe('"1"');
      const got = await api.get(key('k'));
      expect(expectOk(got)).toEqual(saved);
      expect(got.headers.get('etag')).toBe('"1"');
      expect(expectOk(await api.get(key(saved.memory_id)))).toEqual(saved);
    });

    it('again replaces the entry whole, and keeps what it was', async () => {
      const rest = { memory_type: 'preference', metadata: { a: 1 }, importance: 1, ttl_seconds: 60 };
      const first = await save('k', { value: { a: 1 }, ...rest });
      expect(first).toMatchObject({ memory_type: 'preference', importance: 1 });
      const left = Date.parse(first.expires_at) - Date.parse(first.updated_at);
      expect(Math.abs(left - 60_000)).toBeLessThan(50);
      const second = expectOk(await api.put(key('k'), { value: { b: 2 } }), 200);
      expect(second).toMatchObject({
        ...{ memory_id: first.memory_id, created_at: first.created_at, version: 2, value: { b: 2 } },
        ...{ memory_type: 'fact', metadata: {}, importance: 0.5, expires_at: null },
      });
      const { entries } = expectOk(await api.get(key('k', '/history')));
      expect(entries).toEqual([first]);
    });

    it('the same again changes nothing', async () => {
      await save('k', { value: { a: 1, b: 2 } });
      expect((await save('k', { value: { b: 2, a: 1 } })).version).toBe(1);
      expect(expectOk(await api.get(key('k', '/history'))).entries).toEqual([]);
    });

    it('takes null for what is not given', async () => {
      const nothing = { memory_type: null, metadata: null, importance: null, ttl_seconds: null };
      expect(await save('k', { value: 1, ...nothing })).toMatchObject({
        memory_type: 'fact',
        metadata: {},
        importance: 0.5,
      });
    });

    it.each(['a b', 'ä/ö', '%2e', 'a.b:c', '__proto__', 'constructor', '0', 'x'.repeat(255)])(
      'takes the key %.20j',
      async (name) => {
        await save(name, { value: 1 });
        expect(await read(name)).toMatchObject({ key: name, value: 1 });
        const map = expectOk(await api.get(`${place}?view=map`)).memories;
        expect(Object.entries(map)).toEqual([[name, 1]]);
      },
    );

    it.each(['mem_x', 'mem_', ' a', 'a\u200b', 'x'.repeat(256)])('refuses the key %.20j', async (name) => {
      expectRefused(await api.put(key(name), { value: 1 }), 422, 'invalid');
      expect(expectOk(await api.get(place)).entries).toEqual([]);
    });

    it.each([
      [{}],
      [{ value: 1, importance: 1.1 }],
      [{ value: 1, importance: -0.1 }],
      [{ value: 1, importance: '1' }],
      [{ value: 1, ttl_seconds: 0 }],
      [{ value: 1, ttl_seconds: 315_360_001 }],
      [{ value: 1, memory_type: '' }],
      [{ value: 1, metadata: [] }],
      [{ value: 1, unheard_of: 1 }],
      [{ value: { a: '\0' } }],
    ])('refuses %j', async (body) => {
      expectRefused(await api.put(key('k'), body), 422, 'invalid');
      expectRefused(await api.get(key('k')), 404, 'memory_not_found');
    });

    it.each(['version', 'content', 'memory_id', 'expires_at', 'created_by'])(
      'refuses %s as read-only',
      async (name) => {
        expectRefused(await api.put(key('k'), { value: 1, [name]: 'x' }), 422, 'read_only');
      },
    );

    it('refuses what is too large', async () => {
      expectRefused(await api.put(key('k'), { value: 'x'.repeat(256 * 1024) }), 413, 'too_large');
      expectRefused(
        await api.put(key('k'), { value: 1, metadata: { x: 'x'.repeat(64 * 1024) } }),
        413,
        'too_large',
      );
      expectOk(await api.put(key('k'), { value: 'x'.repeat(256 * 1024 - 2) }), 201);
      expectRefused(await api.patch(key('k'), { value: { a: 'x'.repeat(256 * 1024) } }), 413, 'too_large');
      expect((await read('k')).version).toBe(1);
    });
  });

  describe('a change', () => {
    it('merges into value and metadata, and leaves the rest', async () => {
      await save('k', {
        value: { a: 1, b: { c: 2 } },
        metadata: { x: 1, y: 2 },
        importance: 0.9,
        ttl_seconds: 60,
      });
      const before = await read('k');
      const after = expectOk(
        await api.patch(key('k'), { value: { a: null, b: { d: 3 } }, metadata: { x: null } }),
      );
      expect(after).toMatchObject({
        value: { b: { c: 2, d: 3 } },
        metadata: { y: 2 },
        importance: 0.9,
        version: 2,
      });
      expect(after.expires_at).toBe(before.expires_at);
      expect(expectOk(await api.patch(key('k'), { ttl_seconds: null })).expires_at).toBeNull();
      expect(expectOk(await api.patch(key('k'), { importance: null, metadata: null }))).toMatchObject({
        ...{ importance: 0.5, metadata: {}, version: 4 },
      });
      expect(expectOk(await api.patch(key('k'), {})).version).toBe(4);
    });

    it('of what is not there is refused', async () => {
      expectRefused(await api.patch(key('k'), { value: 1 }), 404, 'memory_not_found');
      expectRefused(await api.delete(key('k')), 404, 'memory_not_found');
    });

    it('is guarded by If-Match', async () => {
      const guard = (version: number) => ({ 'if-match': `"${version}"` });
      for (const tag of ['"1"', '"0"', '*'])
        expectRefused(await api.put(key('k'), { value: 0 }, { 'if-match': tag }), 412, 'version_mismatch');
      await save('k', { value: 1 });
      expectOk(await api.put(key('k'), { value: 2 }, guard(1)));
      expectOk(await api.put(key('k'), { value: 2 }, { 'if-match': '*' }));
      expectRefused(await api.put(key('k'), { value: 3 }, guard(1)), 412, 'version_mismatch');
      expectRefused(await api.patch(key('k'), { value: 3 }, guard(1)), 412, 'version_mismatch');
      expectRefused(await api.delete(key('k'), guard(1)), 412, 'version_mismatch');
      expect(await read('k')).toMatchObject({ value: 2, version: 2 });
      expectOk(await api.delete(key('k'), guard(2)), 204);
    });

    it('32 of different members at once are all there', async () => {
      await save('k', { value: {} });
      const answers = await atOnce(32, (i) => api.patch(key('k'), { value: { [`m${i}`]: i } }));
      expect(answers.map((answer) => answer.status)).toEqual(Array(32).fill(200));
      const { value, version } = await read('k');
      expect(value).toEqual(Object.fromEntries(Array.from({ length: 32 }, (_, i) => [`m${i}`, i])));
      expect(version).toBe(33);
      expect(new Set(answers.map((answer) => answer.body.version)).size).toBe(32);
    });

    it('20 who make the same key at once make one', async () => {
      const answers = await atOnce(20, (i) => api.put(key('k'), { value: i }));
      expect(answers.map((answer) => answer.status).sort()).toEqual([...Array(19).fill(200), 201]);
      expect((await read('k')).version).toBe(20);
    });

    it('16 who guard the same version: one gets through', async () => {
      await save('k', { value: 0 });
      const answers = await atOnce(16, (i) => api.patch(key('k'), { value: i + 1 }, { 'if-match': '"1"' }));
      expect(answers.filter((answer) => answer.status === 200)).toHaveLength(1);
      expect(answers.filter((answer) => answer.status === 412)).toHaveLength(15);
    });
  });

  describe('versions', () => {
    it('are never used twice for a key, not after deletion, expiry or clearing', async () => {
      const seen: number[] = [];
      const note = async (body: { version: number }) => seen.push(body.version);
      await note(await save('k', { value: 1 }));
      await note(await save('k', { value: 2 }));
      await api.delete(key('k'));
      await note(await save('k', { value: 3, ttl_seconds: 60 }));
      await expire('k');
      await note(await save('k', { value: 4 }));
      await api.delete(place);
      await note(await save('k', { value: 5, ttl_seconds: 60 }));
      await expire('k');
      await app.app.get(Sweeps).run();
      await note(await save('k', { value: 6 }));
      expect(new Set(seen).size).toBe(6);
      expect(seen).toEqual([...seen].sort((a, b) => a - b));
    });

    it('are kept, newest first, 100 of them, and go with the entry', async () => {
      for (let i = 1; i <= 104; i++) await save('k', { value: i });
      const { entries, has_more } = expectOk(await api.get(key('k', '/history?limit=200')));
      expect(entries.map((e: { value: number }) => e.value)).toEqual(
        Array.from({ length: 100 }, (_, i) => 103 - i),
      );
      expect(entries.map((e: { version: number }) => e.version)).toEqual(
        Array.from({ length: 100 }, (_, i) => 103 - i),
      );
      expect(has_more).toBe(false);
      const walked = await walkByCursor(api, key('k', '/history'), 'entries', { limit: 7 });
      expect(walked).toEqual(entries);
      await api.delete(key('k'));
      expectRefused(await api.get(key('k', '/history')), 404, 'memory_not_found');
      await save('k', { value: 'again' });
      expect(expectOk(await api.get(key('k', '/history'))).entries).toEqual([]);
      const { rows } = await sql(
        'select 1 from memory_versions v where not exists (select from memory_entries e where e.key = v.entry_key)',
      );
      expect(rows).toEqual([]);
    });

    it('are kept up to 4 MiB', async () => {
      for (let i = 0; i < 12; i++) await save('k', { value: `${i}`.padEnd(256 * 1024 - 10, 'x') });
      const { rows } = await sql(
        `select count(*)::int as n, sum(v.bytes)::int as bytes from memory_versions v join memory_entries e on e.key = v.entry_key where e.name = 'k' and e.space_key = (select max(space_key) from memory_entries where name = 'k')`,
      );
      expect(rows[0].bytes).toBeLessThanOrEqual(4 * 1024 * 1024);
      expect(rows[0].n).toBe(Math.floor((4 * 1024 * 1024) / (2 * 256 * 1024)));
    });
  });

  describe('an entry without a key', () => {
    const note = { memory_type: 'conversation', content: 'Prefers code.', metadata: { importance: 'high' } };

    it('is reached by its id', async () => {
      const answer = await api.post(place, note);
      const made = expectOk(answer, 201);
      expect(made).toMatchObject({ ...note, key: null, value: note.content, version: 1 });
      expect(answer.headers.get('etag')).toBe('"1"');
      expect(expectOk(await api.get(key(made.memory_id)))).toEqual(made);
      expect(expectOk(await api.patch(key(made.memory_id), { value: 'Prefers prose.' }))).toMatchObject({
        ...{ content: 'Prefers prose.', version: 2 },
      });
      expect(expectOk(await api.get(`${place}?view=map`)).memories).toEqual({});
      expectOk(await api.delete(key(made.memory_id)), 204);
      expectRefused(await api.get(key(made.memory_id)), 404, 'memory_not_found');
    });

    it('is made once for a key', async () => {
      const headers = { 'idempotency-key': fresh('key') };
      const answers = await atOnce(10, () => api.post(place, note, headers));
      expect(new Set(answers.map((answer) => answer.body.memory_id)).size).toBe(1);
      expect(answers.map((answer) => answer.status)).toEqual(Array(10).fill(201));
      expectRefused(await api.post(place, { ...note, content: 'else' }, headers), 422, 'key_reused');
      expect(expectOk(await api.get(place)).entries).toHaveLength(1);
      await api.delete(key(answers[0]!.body.memory_id));
      expectRefused(await api.post(place, note, headers), 404, 'memory_not_found');
    });

    it.each([
      {},
      { content: 'x' },
      { memory_type: 'x' },
      { memory_type: 'x', content: '' },
      { ...note, value: 1 },
    ])('is refused as %j', async (body) => {
      expectRefused(await api.post(place, body), 422, 'invalid');
    });
  });

  describe('expiry', () => {
    it('makes an entry gone at once', async () => {
      await save('k', { value: 1, ttl_seconds: 60 });
      await save('other', { value: 2 });
      await expire('k');
      expectRefused(await api.get(key('k')), 404, 'memory_not_found');
      expectRefused(await api.patch(key('k'), { value: 2 }), 404, 'memory_not_found');
      expectRefused(await api.get(key('k', '/history')), 404, 'memory_not_found');
      expect(expectOk(await api.get(`${place}?view=map`)).memories).toEqual({ other: 2 });
      expectRefused(await api.delete(key('k')), 404, 'memory_not_found');
      expect(expectOk(await api.put(key('k'), { value: 3 }), 201).value).toBe(3);
      await expire('k');
      await app.app.get(Sweeps).run();
      expect((await sql(`select from memory_entries where expires_at < now()`)).rowCount).toBe(0);
      expect(expectOk(await api.delete(place))).toEqual({ deleted: 1 });
    });
  });

  describe('a list', () => {
    it('is paged, oldest first, and filtered', async () => {
      for (const name of ['diet/a', 'diet/b', 'work/a', 'diet_c'])
        await save(name, { value: name, memory_type: name.slice(0, 4) });
      await api.post(place, { memory_type: 'diet', content: 'note' });
      const names = async (text: string) =>
        expectOk(await api.get(`${place}${text}`)).entries.map((e: { key: string | null }) => e.key);
      const all = ['diet/a', 'diet/b', 'work/a', 'diet_c', null];
      expect(await names('')).toEqual(all);
      expect(await names('?prefix=diet/')).toEqual(['diet/a', 'diet/b']);
      expect(await names('?prefix=diet_')).toEqual(['diet_c']);
      expect(await names('?prefix=%25')).toEqual([]);
      expect(await names('?memory_type=diet')).toEqual(['diet/a', 'diet/b', 'diet_c', null]);
      expect(await names('?memory_type=diet&prefix=diet_')).toEqual(['diet_c']);
      const walked = await walkByCursor(api, place, 'entries', { limit: 2 });
      expect(walked.map((e) => e.key)).toEqual(all);
      const first = expectOk(await api.get(`${place}?view=map&limit=3`));
      expect(first).toMatchObject({ limit: 3, has_more: true });
      const rest = expectOk(
        await api.get(`${place}${query({ view: 'map', limit: 3, cursor: first.next_cursor })}`),
      );
      expect({ ...first.memories, ...rest.memories }).toEqual(
        Object.fromEntries(all.filter(Boolean).map((name) => [name, name])),
      );
      expect(rest.has_more).toBe(false);
      expectRefused(await api.get(`${place}${query({ cursor: first.next_cursor })}`), 400, 'invalid_cursor');
    });

    it('of large entries is cut by size', async () => {
      for (let i = 0; i < 20; i++) await save(`k${i}`, { value: 'x'.repeat(250 * 1024) });
      const page = expectOk(await api.get(place));
      expect(page.entries.length).toBeLessThan(20);
      expect(page.has_more).toBe(true);
      expect((await walkByCursor(api, place, 'entries', {}, false)).map((e) => e.key)).toEqual(
        Array.from({ length: 20 }, (_, i) => `k${i}`),
      );
    });
  });

  it('is cleared, however much there is', async () => {
    await Promise.all(Array.from({ length: 230 }, (_, i) => save(`n${i}`, { value: i })));
    expect(expectOk(await api.delete(place))).toEqual({ deleted: 230 });
    expect(expectOk(await api.get(place)).entries).toEqual([]);
  });

  it('is cleared', async () => {
    await save('a', { value: 1 });
    await save('b', { value: 1, ttl_seconds: 60 });
    await api.post(place, { memory_type: 'x', content: 'y' });
    await expire('b');
    expect(expectOk(await api.delete(place))).toEqual({ deleted: 2 });
    expect(expectOk(await api.delete(place))).toEqual({ deleted: 0 });
    expect(expectOk(await api.get(place)).entries).toEqual([]);
  });

  it('has room for 10,000 entries, not counting those that expired', async () => {
    await save('k', { value: 1 });
    await sql(
      `insert into memory_entries (space_key, memory_id, name, memory_type, value, content, metadata, importance, version, bytes, created_at, updated_at)
       select space_key, gen_random_uuid(), 'n' || i, 'fact', '1', '1', '{}', 0.5, 1, 4, now(), now()
       from memory_entries, generate_series(1, 9999) i where memory_id = $1`,
      [(await read('k')).memory_id.slice(4)],
    );
    await sql(
      `update memory_spaces set entries = 10000 where entries = 1 and key = (select space_key from memory_entries where memory_id = $1)`,
      [(await read('k')).memory_id.slice(4)],
    );
    expectRefused(await api.put(key('one more'), { value: 1 }), 409, 'memory_full');
    expectRefused(await api.post(place, { memory_type: 'x', content: 'y' }), 409, 'memory_full');
    expectOk(await api.put(key('k'), { value: 2 }));
    await sql(`update memory_entries set expires_at = now() where name in ('n7', 'n8')`);
    expectOk(await api.put(key('one more'), { value: 1 }), 201);
    expectOk(await api.put(key('another'), { value: 1 }), 201);
    expectRefused(await api.put(key('yet another'), { value: 1 }), 409, 'memory_full');
    await sql(`update memory_entries set expires_at = now() where name = 'k'`);
    expectOk(await api.put(key('k'), { value: 3 }), 201);
  });

  it('tells what happened, never what it says', async () => {
    const { memory_id } = await save('SECRET-KEY', { value: 'SECRET' });
    await api.patch(key('SECRET-KEY'), { value: 'SECRET 2' });
    await api.delete(key('SECRET-KEY'));
    await save('k', { value: 1 });
    await api.delete(place);
    const isOurs = (e: { event_type: string }) => e.event_type.startsWith('memory.');
    const events = await eventually(
      async () => (await walkByCursor(api, '/api/v1/events', 'events', { limit: 200 })).filter(isOurs),
      (seen) => seen.length >= 5,
    );
    expect(events.map((e) => [e.event_type, e.aggregate_type, e.payload])).toEqual([
      ['memory.saved', scope, { memory_id, version: 1 }],
      ['memory.saved', scope, { memory_id, version: 2 }],
      ['memory.deleted', scope, { memory_id }],
      ['memory.saved', scope, { memory_id: expect.any(String), version: expect.any(Number) }],
      ['memory.deleted', scope, { entries: 1 }],
    ]);
    expect(JSON.stringify(events)).not.toMatch(/SECRET/);
    if (scope === 'user') {
      expect(events.map((e) => [e.aggregate_id, e.seq])).toEqual([1, 2, 3, 4, 5].map((seq) => [user, seq]));
      const others = await walkByCursor(app.api.as(fresh()), '/api/v1/events', 'events', { limit: 200 });
      expect(others.filter(isOurs)).toEqual([]);
    } else {
      expect((await eventsOf(api, events[0]!.aggregate_id)).filter(isOurs)).toEqual(events);
    }
  });
});

describe('the memory of a user', () => {
  it('is his own, and services see it', async () => {
    await api.put(ofUser(user, '/k'), { value: 'mine' });
    const other = app.api.as(fresh());
    for (const answer of [
      await other.get(ofUser(user)),
      await other.get(ofUser(user, '/k')),
      await other.get(ofUser(user, '/k/history')),
      await other.put(ofUser(user, '/k'), { value: 'theirs' }),
      await other.put(ofUser(user, '/k'), { wrong: true }),
      await other.patch(ofUser(user, '/k'), { value: 'theirs' }),
      await other.delete(ofUser(user, '/k')),
      await other.delete(ofUser(user)),
      await other.post(ofUser(user), { memory_type: 'x', content: 'y' }),
      await service.as(fresh()).get(ofUser(user, '/k')),
    ])
      expectRefused(answer, 403, 'forbidden');
    expect(expectOk(await service.get(ofUser(user, '/k'))).value).toBe('mine');
    expect(expectOk(await service.put(ofUser(user, '/s'), { value: 1 }), 201).created_by).toBeNull();
    expect(expectOk(await service.as(user).put(ofUser(user, '/t'), { value: 1 }), 201).created_by).toBe(user);
  });

  it('is cleared with that of his sessions when asked', async () => {
    const mine = [await create(api), await create(api), await create(api)];
    await api.put(ofUser(user, '/k'), { value: 1 });
    for (const { session_id } of mine) await api.put(at(session_id, '/memory/k'), { value: 1 });
    await api.delete(at(mine[2]!.session_id));
    const { session_id: theirs } = await create(app.api.as(fresh('other')));
    await share(app, theirs, user, 'editor');
    await api.put(at(theirs, '/memory/k'), { value: 1 });
    expect(expectOk(await api.delete(ofUser(user, '?include_sessions=true')))).toEqual({ deleted: 4 });
    expect(expectOk(await api.get(at(mine[0]!.session_id, '/memory'))).entries).toEqual([]);
    expect(expectOk(await api.get(at(theirs, '/memory'))).entries).toHaveLength(1);
  });
});

describe('the memory of a session', () => {
  it('is read by viewers, written by editors, and not there for others', async () => {
    const { session_id } = await create(api);
    await api.put(at(session_id, '/memory/k'), { value: 1 });
    for (const role of ['viewer', 'editor', 'manager']) {
      const member = fresh(role);
      await share(app, session_id, member, role);
      const theirs = app.api.as(member);
      expect(expectOk(await theirs.get(at(session_id, '/memory'))).entries).toHaveLength(1);
      const write = await theirs.put(at(session_id, '/memory/k'), { value: role });
      if (role === 'viewer') expectRefused(write, 403, 'forbidden');
      else expect(expectOk(write)).toMatchObject({ value: role, user_id: user, created_by: user });
    }
    const stranger = app.api.as(fresh());
    expectRefused(await stranger.get(at(session_id, '/memory/k')), 404, 'session_not_found');
    expectRefused(await stranger.put(at(session_id, '/memory/k'), {}), 404, 'session_not_found');
  });

  it('shows with include=user what is the caller’s own too, the session’s first', async () => {
    const { session_id } = await create(api);
    const editor = fresh('editor');
    await share(app, session_id, editor, 'editor');
    await api.put(ofUser(user, '/both'), { value: 'of the user' });
    await api.put(ofUser(user, '/his'), { value: 'of the user' });
    await app.api.as(editor).put(ofUser(editor, '/his'), { value: 'of the editor' });
    await api.put(at(session_id, '/memory/both'), { value: 'of the session' });
    await api.put(at(session_id, '/memory/own'), { value: 'of the session' });
    const map = async (by: Api, text = 'view=map&include=user') =>
      expectOk(await by.get(at(session_id, `/memory?${text}`))).memories;
    const shared = { both: 'of the session', own: 'of the session' };
    expect(await map(api)).toEqual({ ...shared, his: 'of the user' });
    expect(await map(service)).toEqual({ ...shared, his: 'of the user' });
    expect(await map(app.api.as(editor))).toEqual({ ...shared, his: 'of the editor' });
    expect(await map(api, 'view=map')).toEqual(shared);
    const walked = await walkByCursor(api, at(session_id, '/memory'), 'entries', {
      include: 'user',
      limit: 1,
    });
    expect(walked.map((e) => [e.key, e.scope])).toEqual([
      ['both', 'session'],
      ['own', 'session'],
      ['his', 'user'],
    ]);
    const one = async (by: Api, name: string) =>
      expectOk(await by.get(at(session_id, `/memory/${name}?include=user`)));
    expect(await one(api, 'both')).toMatchObject({ scope: 'session', value: 'of the session' });
    expect(await one(app.api.as(editor), 'his')).toMatchObject({
      scope: 'user',
      value: 'of the editor',
      session_id: null,
    });
    expectRefused(await api.get(at(session_id, '/memory/his')), 404, 'memory_not_found');
    await sql(
      `update memory_entries set expires_at = now() - interval '1 second'
       where name = 'both' and space_key = (select key from sessions where id = $1)`,
      [session_id],
    );
    expect(await map(api)).toEqual({ own: 'of the session', both: 'of the user', his: 'of the user' });
    expect(await one(api, 'both')).toMatchObject({ scope: 'user', value: 'of the user' });
  });

  it('is taken in every state but deleted, and goes with the session', async () => {
    const { session_id } = await create(api);
    for (const verb of ['pause', 'resume', 'complete', 'archive']) {
      expectOk(await api.post(at(session_id, `/${verb}`)));
      const answer = await api.put(at(session_id, '/memory/k'), { value: verb });
      expect([200, 201]).toContain(answer.status);
    }
    expect(expectOk(await api.get(at(session_id, '/summary'))).has_memory).toBe(true);
    await api.delete(at(session_id));
    expectRefused(await api.get(at(session_id, '/memory/k')), 404, 'session_deleted');
    expectRefused(await api.put(at(session_id, '/memory/k'), { value: 1 }), 404, 'session_deleted');
    await api.post(at(session_id, '/restore'));
    expect(expectOk(await api.get(at(session_id, '/memory/k'))).value).toBe('archive');
    const { rows } = await sql('select key from sessions where id = $1', [session_id]);
    await api.delete(at(session_id, '?permanent=true'));
    await app.app.get(Sweeps).run();
    const left = await sql(
      `select from memory_entries where space_key = $1 union all select from memory_spaces where key = $1
       union all select from memory_versions v where not exists (select from memory_entries e where e.key = v.entry_key)`,
      [rows[0].key],
    );
    expect(left.rowCount).toBe(0);
  });

  it('is not kept where there is none', async () => {
    const { session_id } = await create(api);
    expect(expectOk(await api.get(at(session_id, '/summary'))).has_memory).toBe(false);
  });
});
