import { Sweeps } from '../../src/jobs/sweeps.js';
import { SERVICE_KEY, startApp } from '../setup/app.js';
import { api, app, useApp, user } from './suite.js';
import { at, create, eventTypes, expectOk, expectRefused } from './support.js';

useApp();

const SIZE = { vectors: { size: 2, distance: 'cosine' } };

/** A session with a collection of vectors of two numbers. */
async function collected(fields: object = {}): Promise<string> {
  const { session_id } = await create(api, fields);
  expectOk(await api.put(at(session_id, '/collection'), SIZE), 201);
  return session_id;
}

const sweep = () => app.app.get(Sweeps).run();
describe('a collection', () => {
  it('is made, told of on the session, counted, deleted', async () => {
    const id = await collected();
    const collection = expectOk(await api.get(at(id, '/collection')));
    expect(collection).toMatchObject({
      ...SIZE,
      backend: 'postgres',
      status: 'ready',
      direct_writes: false,
      points_count: 0,
      payload_indexes: {},
      error: null,
    });
    const { name, backend, vectors, status, direct_writes } = collection;
    expect(expectOk(await api.get(at(id))).collection).toEqual({
      name,
      backend,
      vectors,
      status,
      direct_writes,
    });
    expectOk(await api.put(at(id, '/points'), { points: [{ id: 1, vector: [1, 0] }] }));
    expect(expectOk(await api.get(at(id, '/collection'))).points_count).toBe(1);
    expect((await api.delete(at(id, '/collection'))).status).toBe(204);
    expectRefused(await api.get(at(id, '/collection')), 404, 'no_collection');
    expectRefused(await api.delete(at(id, '/collection')), 404, 'no_collection');
    expect(expectOk(await api.get(at(id))).collection).toBeNull();
    expect(await eventTypes(api, id)).toEqual([
      'session.created',
      'collection.created',
      'collection.deleted',
    ]);
  });

  it('is the same again, gets further indexes, and keeps its shape', async () => {
    const id = await collected();
    const { name } = expectOk(await api.put(at(id, '/collection'), SIZE), 200);
    const indexed = expectOk(
      await api.put(at(id, '/collection'), { ...SIZE, payload_indexes: { topic: 'keyword' } }),
      200,
    );
    expect(indexed).toMatchObject({ name, status: 'ready', payload_indexes: { topic: 'keyword' } });
    const refusal = await api.put(at(id, '/collection'), { vectors: { size: 3 } });
    expectRefused(refusal, 409, 'shape_mismatch');
    expect(refusal.body.detail).toContain('"size":2');
    expect(refusal.body.detail).toContain('"size":3');
    expectRefused(
      await api.put(at(id, '/collection'), { vectors: { size: 2, distance: 'dot' } }),
      409,
      'shape_mismatch',
    );
  });

  it('is new and empty when it is made again', async () => {
    const id = await collected();
    const { name } = expectOk(await api.get(at(id, '/collection')));
    expectOk(await api.put(at(id, '/points'), { points: [{ id: 1, vector: [1, 0] }] }));
    await api.delete(at(id, '/collection'));
    const again = expectOk(await api.put(at(id, '/collection'), SIZE), 201);
    expect(again.name).not.toBe(name);
    expect(again.points_count).toBe(0);
  });

  it('is one however many ask for it at once', async () => {
    const { session_id } = await create(api);
    const answers = await Promise.all(
      Array.from({ length: 10 }, () => api.put(at(session_id, '/collection'), SIZE)),
    );
    expect(answers.map(({ status }) => status).sort()).toEqual([...Array(9).fill(200), 201]);
    expect(new Set(answers.map(({ body }) => body.name)).size).toBe(1);
    expect(
      (await eventTypes(api, session_id)).filter((type: string) => type === 'collection.created'),
    ).toHaveLength(1);
  });

  it('of a session under legal hold is not deleted, nor are its points', async () => {
    const id = await collected();
    expectOk(await api.put(at(id, '/points'), { points: [{ id: 1, vector: [1, 0] }] }));
    expectOk(await app.api.service(SERVICE_KEY).patch(at(id), { legal_hold: true }));
    expectRefused(await api.delete(at(id, '/collection')), 409, 'legal_hold');
    expectRefused(await api.post(at(id, '/points/delete'), { filter: {} }), 409, 'legal_hold');
    expect(expectOk(await api.get(at(id, '/collection'))).points_count).toBe(1);
  });

  it('has at most 32 indexes, each of the kind it was made with, of keys that filters take', async () => {
    const id = await collected();
    const many = (from: number) =>
      Object.fromEntries(Array.from({ length: 20 }, (_, n) => [`k${from + n}`, 'keyword']));
    const put = (payload_indexes: object) => api.put(at(id, '/collection'), { ...SIZE, payload_indexes });
    expectOk(await put(many(0)));
    expectRefused(await put(many(20)), 422, 'invalid');
    expectRefused(await put({ k1: 'integer' }), 422, 'invalid');
    for (const key of ['a b', 'a..b', '[', ''])
      expectRefused(await put({ [key]: 'keyword' }), 422, 'invalid');
    expect(Object.keys(expectOk(await api.get(at(id, '/collection'))).payload_indexes)).toHaveLength(20);
    expectOk(await api.put(at(id, '/points'), { points: [{ id: 1, vector: [1, 0] }] }));
  });

  it('may name its vectors as it likes', async () => {
    const { session_id: id } = await create(api);
    const vectors = { a: { size: 2 }, constructor: { size: 2 } };
    expectOk(await api.put(at(id, '/collection'), { vectors }), 201);
    expectOk(await api.put(at(id, '/points'), { points: [{ id: 1, vector: { a: [1, 0] } }] }));
    expect(expectOk(await api.get(at(id, '/points/1'))).vector).toEqual({ a: [1, 0] });
    const wide = Object.fromEntries(['x', 'y'].map((name) => [name, { size: 40_000 }]));
    expectRefused(await api.put(at(id, '/collection'), { vectors: wide }), 422, 'invalid');
  });

  it.each([
    [{}],
    [{ vectors: {} }],
    [{ vectors: { size: 0 } }],
    [{ vectors: { size: 65_537 } }],
    [{ vectors: { size: 2, distance: 'Cosine' } }],
    [{ vectors: { 'no spaces': { size: 2 } } }],
    [{ vectors: { a: { size: 2 }, b: { size: 2.5 } } }],
    [{ ...SIZE, payload_indexes: { a: 'text' } }],
    [{ ...SIZE, name: 'mine' }],
  ])('cannot be %j', async (body) => {
    const { session_id } = await create(api);
    expectRefused(await api.put(at(session_id, '/collection'), body), 422, 'invalid');
    expectRefused(await api.get(at(session_id, '/collection')), 404, 'no_collection');
  });

  it('that nobody asked for is not made by looking', async () => {
    const { session_id } = await create(api);
    expectRefused(
      await api.put(at(session_id, '/points'), { points: [{ id: 1, vector: [1] }] }),
      409,
      'no_collection',
    );
    expectRefused(await api.post(at(session_id, '/points/query'), { vector: [1] }), 404, 'no_collection');
    expectRefused(await api.post(at(session_id, '/points/scroll'), {}), 404, 'no_collection');
    expectRefused(await api.post(at(session_id, '/points/delete'), { ids: [1] }), 404, 'no_collection');
    expectRefused(await api.get(at(session_id, '/points/1')), 404, 'no_collection');
  });
});

describe('a collection that the configuration asks for', () => {
  const configuration = { vectors: { size: 2, distance: 'dot' } };

  it('comes by itself', async () => {
    const { session_id, collection } = await create(api, { configuration });
    expect(collection).toBeNull();
    await sweep();
    expect(expectOk(await api.get(at(session_id))).collection).toMatchObject({
      ...configuration,
      status: 'ready',
    });
    expect(await eventTypes(api, session_id)).toEqual(['session.created', 'collection.created']);
  });

  it('comes with the first point, if that comes first', async () => {
    const { session_id } = await create(api, { configuration });
    expectOk(await api.put(at(session_id, '/points'), { points: [{ id: 1, vector: [1, 2] }] }));
    await sweep();
    expect(expectOk(await api.get(at(session_id, '/collection')))).toMatchObject({
      ...configuration,
      points_count: 1,
    });
    expect(
      (await eventTypes(api, session_id)).filter((type: string) => type === 'collection.created'),
    ).toHaveLength(1);
  });

  it('comes when the configuration is changed so', async () => {
    const { session_id } = await create(api);
    expectOk(await api.patch(at(session_id), { configuration }));
    await sweep();
    expect(expectOk(await api.get(at(session_id))).collection).toMatchObject(configuration);
  });

  it('that was deleted is made again by points, not by reading nor by another change', async () => {
    const { session_id: id } = await create(api, { configuration });
    await sweep();
    expect((await api.delete(at(id, '/collection'))).status).toBe(204);
    expectRefused(await api.post(at(id, '/points/query'), { vector: [1, 2] }), 404, 'no_collection');
    expectOk(await api.patch(at(id), { configuration: { temperature: 1 } }));
    await sweep();
    expectRefused(await api.get(at(id, '/collection')), 404, 'no_collection');
    expectOk(await api.put(at(id, '/points'), { points: [{ id: 1, vector: [1, 2] }] }));
    expect(expectOk(await api.get(at(id, '/collection'))).points_count).toBe(1);
  });

  it('is made once, by whoever comes first: the sweep, or points', async () => {
    const ids = await Promise.all(
      Array.from({ length: 30 }, async () => (await create(api, { configuration })).session_id),
    );
    const point = { points: [{ id: 1, vector: [1, 2] }] };
    const [answers] = await Promise.all([
      Promise.all(ids.map((id) => api.put(at(id, '/points'), point))),
      sweep(),
      sweep(),
    ]);
    expect(answers.map(({ status }) => status)).toEqual(Array(30).fill(200));
    for (const id of ids)
      expect((await eventTypes(api, id)).filter((type) => type === 'collection.created')).toHaveLength(1);
  });

  it('and points that come while it is deleted leave nothing behind', async () => {
    const id = await collected();
    for (let round = 0; round < 10; round++) {
      const body = { points: [{ id: round, vector: [1, 2] }] };
      const [put] = await Promise.all([api.put(at(id, '/points'), body), api.delete(at(id, '/collection'))]);
      expect([200, 404, 409]).toContain(put.status);
      await sweep();
      const { rows } = await app.database.pool.query(
        `select name from vector_spaces v where not exists (select from collections c where c.name = v.name)
         and name not like '%e\\_%'`,
      );
      expect(rows).toEqual([]);
      await api.put(at(id, '/collection'), SIZE);
    }
  });

  it('is not the fork’s, which gets its own', async () => {
    const { session_id } = await create(api, { configuration });
    await sweep();
    const fork = expectOk(await api.post(at(session_id, '/fork'), {}), 201);
    await sweep();
    const [one, other] = [
      expectOk(await api.get(at(session_id))),
      expectOk(await api.get(at(fork.session_id))),
    ];
    expect(other.collection).toMatchObject(configuration);
    expect(other.collection.name).not.toBe(one.collection.name);
  });

  it.each([[{ vectors: 3 }], [{ vectors: { size: 'two' } }], [{ vectors: { size: 2, distance: 'far' } }]])(
    'is refused as %j',
    async (wrong) => {
      const refusal = await api.post('/api/v1/sessions', { configuration: wrong });
      expectRefused(refusal, 422, 'invalid');
      expect(refusal.body.errors[0].pointer).toContain('/configuration/vectors');
      const { session_id } = await create(api);
      expectRefused(await api.patch(at(session_id), { configuration: wrong }), 422, 'invalid');
    },
  );

  it('or that every session gets', async () => {
    const other = await startApp({ DEFAULT_VECTOR_SIZE: '3', DEFAULT_VECTOR_DISTANCE: 'euclid' });
    try {
      const { session_id } = await create(other.api.as(user));
      await other.app.get(Sweeps).run();
      expect(expectOk(await other.api.as(user).get(at(session_id))).collection).toMatchObject({
        vectors: { size: 3, distance: 'euclid' },
        status: 'ready',
      });
    } finally {
      await other.close();
    }
  });
});

describe('points', () => {
  const BIG = ['9007199254740992', '9007199254740993', '18446744073709551615'];
  const UUID = '6f9f1f0a-4c0b-4a53-9c3e-0f3d0a4b7a51';

  it('keep ids exact, both ways', async () => {
    const id = await collected();
    const ids = [0, 7, 9007199254740991, ...BIG, UUID.toUpperCase()];
    expectOk(
      await api.put(at(id, '/points'), { points: ids.map((point, n) => ({ id: point, vector: [1, n] })) }),
    );
    const { points } = expectOk(await api.post(at(id, '/points/scroll'), {}));
    expect(points.map((point: { id: unknown }) => point.id)).toEqual([0, 7, 9007199254740991, ...BIG, UUID]);
    expect(expectOk(await api.get(at(id, `/points/${BIG[1]}`))).id).toBe(BIG[1]);
    expect(expectOk(await api.get(at(id, `/points/${UUID}`))).id).toBe(UUID);
    const { deleted } = expectOk(await api.post(at(id, '/points/delete'), { ids: [BIG[0], 7, 8] }));
    expect(deleted).toBe(2);
    expectRefused(await api.get(at(id, '/points/7')), 404, 'point_not_found');
    expectRefused(await api.get(at(id, '/points/nonsense')), 404, 'point_not_found');
  });

  it('are found by nearness, filtered, above a threshold', async () => {
    const id = await collected();
    const points = [
      { id: 1, vector: [1, 0], payload: { topic: 'a', n: 1 } },
      { id: 2, vector: [1, 1], payload: { topic: 'b', n: 2 } },
      { id: 3, vector: [0, 1], payload: { topic: 'a', n: 3 } },
    ];
    expectOk(await api.put(at(id, '/points'), { points }));
    const ask = async (rest: object) =>
      expectOk(await api.post(at(id, '/points/query'), { vector: [2, 0], ...rest })).points;
    const all = await ask({});
    expect(all.map((hit: { id: number }) => hit.id)).toEqual([1, 2, 3]);
    expect(all[0]).toEqual({ id: 1, score: expect.closeTo(1, 5), payload: { topic: 'a', n: 1 } });
    expect(all[1].score).toBeCloseTo(Math.SQRT1_2, 5);
    expect(await ask({ score_threshold: 0.5 })).toHaveLength(2);
    expect(await ask({ limit: 1, with_payload: false, with_vector: true })).toEqual([
      { id: 1, score: expect.closeTo(1, 5), vector: [1, 0] },
    ]);
    const filtered = await ask({ filter: { must: { key: 'topic', match: { value: 'a' } } } });
    expect(filtered.map((hit: { id: number }) => hit.id)).toEqual([1, 3]);
  });

  it('have several vectors by name', async () => {
    const { session_id: id } = await create(api);
    const vectors = { image: { size: 3, distance: 'dot' }, text: { size: 2, distance: 'euclid' } };
    expect(expectOk(await api.put(at(id, '/collection'), { vectors }), 201).vectors).toEqual(vectors);
    expectOk(
      await api.put(at(id, '/points'), {
        points: [
          { id: 1, vector: { image: [1, 2, 3], text: [0, 0] } },
          { id: 2, vector: { text: [3, 4] } },
        ],
      }),
    );
    const near = await api.post(at(id, '/points/query'), { vector: [0, 0], using: 'text' });
    expect(expectOk(near).points.map((hit: { id: number; score: number }) => [hit.id, hit.score])).toEqual([
      [1, 0],
      [2, 5],
    ]);
    const images = await api.post(at(id, '/points/query'), { vector: [1, 1, 1], using: 'image' });
    expect(expectOk(images).points.map((hit: { id: number }) => hit.id)).toEqual([1]);
    expect(expectOk(await api.get(at(id, '/points/1'))).vector).toEqual({ image: [1, 2, 3], text: [0, 0] });
    for (const body of [
      { vector: [1, 1] },
      { vector: [1, 1], using: 'sound' },
      { vector: [1], using: 'text' },
    ])
      expectRefused(await api.post(at(id, '/points/query'), body), 422, 'invalid_point');
  });

  it('are read page by page, by cursor, with a filter', async () => {
    const id = await collected();
    const points = Array.from({ length: 25 }, (_, n) => ({
      id: n,
      vector: [1, n],
      payload: { even: n % 2 === 0 },
    }));
    expectOk(await api.put(at(id, '/points'), { points }));
    const filter = { must: [{ key: 'even', match: { value: true } }] };
    const seen: number[] = [];
    for (let cursor: string | null = null; ; ) {
      const page = expectOk(
        await api.post(at(id, '/points/scroll'), { filter, limit: 5, ...(cursor && { cursor }) }),
      );
      seen.push(...page.points.map((point: { id: number }) => point.id));
      expect(page.has_more).toBe(page.next_cursor !== null);
      if (page.next_cursor === null) break;
      cursor = page.next_cursor;
    }
    expect(seen).toEqual(Array.from({ length: 13 }, (_, n) => n * 2));
    const { next_cursor: cursor } = expectOk(await api.post(at(id, '/points/scroll'), { limit: 5 }));
    expectRefused(await api.post(at(id, '/points/scroll'), { cursor, filter }), 400, 'invalid_cursor');
    expectRefused(await api.post(at(id, '/points/scroll'), { cursor: 'x' }), 400, 'invalid_cursor');
  });

  it('are deleted by a filter, once by key', async () => {
    const id = await collected();
    const points = Array.from({ length: 10 }, (_, n) => ({ id: n, vector: [1, n], payload: { n } }));
    expectOk(await api.put(at(id, '/points'), { points }));
    const body = { filter: { must: [{ key: 'n', range: { gte: 6 } }] } };
    const key = { 'idempotency-key': 'k' };
    const first = await api.post(at(id, '/points/delete'), body, key);
    expect(expectOk(first)).toEqual({ deleted: 4 });
    const again = await api.post(at(id, '/points/delete'), body, key);
    expect(expectOk(again)).toEqual({ deleted: 4 });
    expect(again.headers.get('idempotency-replayed')).toBe('true');
    expectRefused(await api.post(at(id, '/points/delete'), { ids: [1] }, key), 422, 'key_reused');
    expect(expectOk(await api.get(at(id, '/collection'))).points_count).toBe(6);
  });

  it.each([
    ['a wrong size', { id: 1, vector: [1, 2, 3] }],
    ['a zero vector', { id: 1, vector: [0, 0] }],
    ['a name that is not there', { id: 1, vector: { other: [1, 2] } }],
  ])('with %s leave nothing behind', async (_, point) => {
    const id = await collected();
    const body = { points: [{ id: 5, vector: [1, 2] }, point] };
    expectRefused(await api.put(at(id, '/points'), body), 422, 'invalid_point');
    expect(expectOk(await api.get(at(id, '/collection'))).points_count).toBe(0);
  });

  it.each([
    [{ points: [] }],
    [{ points: [{ id: -1, vector: [1, 2] }] }],
    [{ points: [{ id: 1.5, vector: [1, 2] }] }],
    [{ points: [{ id: '18446744073709551616', vector: [1, 2] }] }],
    [{ points: [{ id: '007', vector: [1, 2] }] }],
    [{ points: [{ id: 1, vector: [1, '2'] }] }],
    [{ points: [{ id: 1, vector: [1, null] }] }],
    [{ points: [{ id: 1 }] }],
    [
      {
        points: [
          { id: 1, vector: [1, 2] },
          { id: '1', vector: [1, 2] },
        ],
      },
    ],
    [{ points: [{ id: 1, vector: [1, 2], payload: [] }] }],
    [{ points: Array.from({ length: 1001 }, (_, n) => ({ id: n, vector: [1, 2] })) }],
  ])('cannot be %j', async (body) => {
    const id = await collected();
    expectRefused(await api.put(at(id, '/points'), body), 422, 'invalid');
  });

  it('with an id that JSON would round are refused', async () => {
    const id = await collected();
    const raw = '{"points":[{"id":9007199254740993,"vector":[1,2]}]}';
    expectRefused(
      await api.call('PUT', at(id, '/points'), { raw, headers: { 'content-type': 'application/json' } }),
      422,
      'invalid',
    );
  });

  it.each([
    [{ must: [{ key: 'a', match: { phrase: 'x' } }] }],
    [{ must: [{ key: 'a', geo_radius: {} }] }],
    [{ min_should: { conditions: [], min_count: 1 } }],
    [{ must: [{ key: 'a', range: {} }] }],
    [{ must: [{ key: 'a', range: { gte: 'yesterday' } }] }],
    [{ must: 'x' }],
  ])('are not filtered by %j', async (filter) => {
    const id = await collected();
    expectRefused(await api.post(at(id, '/points/query'), { vector: [1, 2], filter }), 422, 'invalid');
    expectRefused(await api.post(at(id, '/points/scroll'), { filter }), 422, 'invalid');
    expectRefused(await api.post(at(id, '/points/delete'), { filter }), 422, 'invalid');
  });

  it('renew the time of their session', async () => {
    const id = await collected({ timeout_minutes: 60 });
    await app.database.pool.query(`update sessions set expires_at = now() + interval '1 min' where id = $1`, [
      id,
    ]);
    expectOk(await api.put(at(id, '/points'), { points: [{ id: 1, vector: [1, 2] }] }));
    const { expires_at } = expectOk(await api.get(at(id)));
    expect(Date.parse(expires_at)).toBeGreaterThan(Date.now() + 30 * 60_000);
  });

  it('go with their session', async () => {
    const id = await collected();
    expectOk(await api.put(at(id, '/points'), { points: [{ id: 1, vector: [1, 2] }] }));
    const { name } = expectOk(await api.get(at(id, '/collection')));
    expect((await api.delete(at(id, '?permanent=true'))).status).toBe(204);
    await sweep();
    await sweep();
    const left = await app.database.pool.query(
      `select (select count(*)::int from collections where name = $1) as collections,
         (select count(*)::int from vector_spaces where name = $1) as spaces`,
      [name],
    );
    expect(left.rows[0]).toEqual({ collections: 0, spaces: 0 });
  });
});
