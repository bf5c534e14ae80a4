import { createHmac } from 'node:crypto';
import { request } from 'node:http';
import { exportSPKI, importJWK, UnsecuredJWT } from 'jose';
import type { Api } from '../setup/api.js';
import { SERVICE_KEY, startApp, type TestApp } from '../setup/app.js';
import { eventually } from '../setup/eventually.js';
import { AUDIENCE, FakeIssuer, ISSUER } from '../setup/fake-issuer.js';
import { startJobApp } from '../setup/job-rooms.js';
import { at, atOnce, create, expectOk, expectRefused, fresh, insertJob } from './support.js';

const SESSIONS = '/api/v1/sessions';
const CHALLENGE = 'Bearer error="invalid_token"';
const now = () => Math.floor(Date.now() / 1000);

let issuer: FakeIssuer;
let app: TestApp;
let user: string;
beforeAll(async () => {
  issuer = await FakeIssuer.start();
  app = await startApp(issuer.environment);
});
afterAll(async () => {
  await app.close();
  await issuer.close();
});
beforeEach(() => {
  user = fresh();
});

const bearing = (token: string, at: Api = app.api) => at.with({ authorization: `Bearer ${token}` });
const whoIs = async (api: Api) => (await create(api)).user_id;

async function expectInvalid(token: string, code = 'invalid_token'): Promise<void> {
  for (const answer of [await bearing(token).get(SESSIONS), await bearing(token).post(SESSIONS, {})]) {
    expectRefused(answer, 401, code);
    expect(answer.headers.get('www-authenticate')).toBe(CHALLENGE);
    expect(answer.text).not.toContain(token);
  }
}

describe('a token', () => {
  test.each(['RS256', 'PS384', 'ES256', 'ES512', 'EdDSA'])('by %s names the user', async (alg) => {
    const own = await FakeIssuer.start();
    own.keys = [];
    await own.add(alg);
    const other = await startApp(own.environment, app);
    expect(await whoIs(bearing(await own.token(user), other.api))).toBe(user);
    await other.close();
    await own.close();
  });

  test('names whom `sub` names, whatever the characters, and no other claim makes him more', async () => {
    for (const name of ['Ünïcødé 名前', 'a/b?c#d%20', 'x'.repeat(255), '𝒳'.repeat(255), 'service:tests']) {
      const claims = { scope: 'admin', roles: ['admin'], user_id: 'x', email: 'a@b.example' };
      expect(await whoIs(bearing(await issuer.token(name, claims)))).toBe(name);
      const others = `/api/v1/users/${encodeURIComponent(user)}/memory`;
      expectRefused(await bearing(await issuer.token(name, claims)).get(others), 403, 'forbidden');
    }
  });

  test('may name several audiences, be used in any case of the scheme, and lack `kid` where one key fits', async () => {
    const token = await issuer.token(user, { aud: ['other', AUDIENCE] }, { kid: undefined });
    expect(await whoIs(app.api.with({ authorization: `bearer   ${token}` }))).toBe(user);
  });

  test.each<[string, Record<string, unknown>]>([
    ['another issuer', { iss: 'https://issuer.example' }],
    ['a list of issuers', { iss: [ISSUER] }],
    ['no issuer', { iss: undefined }],
    ['another audience', { aud: 'sessions2' }],
    ['no audience', { aud: undefined }],
    ['none of the audiences', { aud: ['a', 'b'] }],
    ['no end', { exp: undefined }],
    ['an end that is text', { exp: '9999999999' }],
    ['an end that is null', { exp: null }],
    ['a beginning to come', { nbf: now() + 3600 }],
    ['a beginning that is text', { nbf: 'soon' }],
    ['no subject', { sub: undefined }],
    ['an empty subject', { sub: '' }],
    ['a blank subject', { sub: '  ' }],
    ['a subject of 256 characters', { sub: 'x'.repeat(256) }],
    ['a subject with a line break', { sub: 'a\nb' }],
    ['a subject with a NUL', { sub: 'a\0b' }],
    ['a subject with a bidi override', { sub: 'a\u202eb' }],
    ['a subject that is a number', { sub: 7 }],
    ['a subject that is a list', { sub: ['alice'] }],
  ])('with %s is refused', async (_, claims) => expectInvalid(await issuer.token(user, claims)));

  test('that is over is refused by a code of its own', async () => {
    await expectInvalid(await issuer.token(user, { exp: now() - 60 }), 'token_expired');
    await expectInvalid(await issuer.token(user, { exp: 0 }), 'token_expired');
    await expectInvalid(await issuer.token(user, { exp: -1e300 }), 'token_expired');
  });

  test('may be 30 s too old, or too young, for clocks differ', async () => {
    // the clock moves on while the test runs, so only one side of each edge can be told to the second
    expect(await whoIs(bearing(await issuer.token(user, { exp: now() - 5 })))).toBe(user);
    expect(await whoIs(bearing(await issuer.token(user, { nbf: now() + 30 })))).toBe(user);
    await expectInvalid(await issuer.token(user, { exp: now() - 30 }), 'token_expired');
    expect(await whoIs(bearing(await issuer.token(user, { exp: 1e300 })))).toBe(user);
  });

  test('that was good is over in its time, used all along or not', async () => {
    const token = await issuer.token(user, { exp: now() - 26 });
    expectOk(await bearing(token).get(SESSIONS));
    const answer = await eventually(
      () => bearing(token).get(SESSIONS),
      ({ status }) => status !== 200,
    );
    expectRefused(answer, 401, 'token_expired');
  });

  test.each(['none', 'None', 'NONE', 'nOnE'])('without a signature (alg %s) is refused', async (alg) => {
    const whole = new UnsecuredJWT({ iss: ISSUER, aud: AUDIENCE, sub: user, exp: now() + 60 }).encode();
    const [, payload] = whole.split('.');
    for (const kid of [undefined, issuer.keys[0]!.kid]) {
      const header = Buffer.from(JSON.stringify({ alg, kid })).toString('base64url');
      await expectInvalid(`${header}.${payload}.`);
      await expectInvalid(`${header}.${payload}.AAAA`);
    }
  });

  test.each(['HS256', 'HS384', 'HS512'])(
    'by %s with the public key as the secret is refused',
    async (alg) => {
      const [key] = issuer.keys;
      const spki = await exportSPKI((await importJWK(key!.shown, key!.alg, { extractable: true })) as never);
      const [, payload] = (await issuer.token(user)).split('.');
      const header = Buffer.from(JSON.stringify({ alg, kid: key!.kid })).toString('base64url');
      for (const secret of [spki, spki.trim(), JSON.stringify(key!.shown)]) {
        const signature = createHmac(`sha${alg.slice(2)}`, secret).update(`${header}.${payload}`);
        await expectInvalid(`${header}.${payload}.${signature.digest('base64url')}`);
      }
    },
  );

  test('that brings its own key, or says where it is, is refused', async () => {
    const stranger = await FakeIssuer.start();
    const [key] = stranger.keys;
    const headers: object[] = [
      { jwk: key!.shown },
      { jwk: key!.shown, kid: issuer.keys[0]!.kid },
      { jku: stranger.url },
      { x5u: stranger.url, kid: issuer.keys[0]!.kid },
      { kid: issuer.keys[0]!.kid },
      { kid: '../../../dev/null' },
      { kid: 7 },
      { crit: ['b64'], b64: true },
      { crit: ['unheard-of'], 'unheard-of': 1 },
    ];
    const before = stranger.asked;
    for (const header of headers) {
      const [, ...rest] = (await stranger.token(user)).split('.');
      const text = Buffer.from(JSON.stringify({ alg: key!.alg, ...header })).toString('base64url');
      await expectInvalid([text, ...rest].join('.'));
    }
    expect(stranger.asked).toBe(before);
    await stranger.close();
  });

  test('that was changed, cut, or is none at all is refused', async () => {
    const [header, payload, signature] = (await issuer.token(user)).split('.') as [string, string, string];
    const other = Buffer.from(
      JSON.stringify({ iss: ISSUER, aud: AUDIENCE, sub: 'root', exp: now() + 3600 }),
    ).toString('base64url');
    for (const token of [
      `${header}.${other}.${signature}`,
      `${header}.${payload}.${signature.slice(0, -2)}`,
      `${header}.${payload}.`,
      `${header}.${payload}`,
      `${header}.${payload}.${signature}.x`,
      `${header}.${payload}.${signature}.x.y`,
      `.${payload}.${signature}`,
      'e30.e30.e30',
      '..',
      'x',
      `${SERVICE_KEY}x`,
      `${header}.${Buffer.from('[]').toString('base64url')}.${signature}`,
      'a'.repeat(12_289),
      await issuer.token(user, { padding: 'x'.repeat(10_000) }),
    ])
      await expectInvalid(token);
  });

  test('that is larger than all headers may be is refused before it is looked at', async () => {
    const answer = await fetch(`${app.url}/sessions`, {
      headers: { authorization: `Bearer ${'a'.repeat(20_000)}` },
    });
    expect(answer.status).toBe(431);
    expect(await answer.json()).toMatchObject({ code: 'headers_too_large' });
  });
});

describe('beside tokens', () => {
  const other = 'somebody-else';

  test('X-User-ID makes nobody a user, be it alone, empty, repeated or beside a token', async () => {
    for (const name of ['alice', '', '\t', 'x'.repeat(300)]) {
      expectRefused(await app.api.with({ 'x-user-id': name }).get(SESSIONS), 401, 'unauthenticated');
      const both = bearing(await issuer.token(user)).with({ 'x-user-id': name });
      expect(await whoIs(both)).toBe(user);
      expectRefused(await both.get(`/api/v1/users/alice/memory`), 403, 'forbidden');
    }
  });

  test.each(['Basic dXNlcjpwYXNz', 'Bearer', 'Bearer  ', 'Bearer a b', 'Token x', 'BearerX'])(
    'Authorization: %s is no credential',
    async (authorization) => {
      const answer = await app.api.with({ authorization }).as(user).get(SESSIONS);
      expectRefused(answer, 401, 'unauthenticated');
      expect(answer.headers.get('www-authenticate')).toBe('Bearer');
    },
  );

  test('a service key works in both places, and X-User-ID narrows it as ever', async () => {
    const { session_id: id } = await create(bearing(await issuer.token(user)));
    for (const keyed of [app.api.service(SERVICE_KEY), bearing(SERVICE_KEY)]) {
      expectOk(await keyed.get(at(id)));
      expectOk(await keyed.as(user).get(at(id)));
      expectRefused(await keyed.as(other).get(at(id)), 404, 'session_not_found');
      expectRefused(await keyed.with({ 'x-user-id': '' }).get(at(id)), 401, 'invalid_user_id');
    }
  });

  test('an X-API-Key decides: unknown it is 401 though a good token stands beside it, known it is the service', async () => {
    const { session_id: id } = await create(bearing(await issuer.token(user)));
    const good = bearing(await issuer.token(other));
    expectRefused(await good.service('unknown-key-0123456789').get(at(id)), 401, 'unknown_api_key');
    expectOk(await good.service(SERVICE_KEY).get(at(id)));
  });

  test('what asks for no credential is open, whatever token comes along', async () => {
    for (const path of ['/health', '/health/live', '/metrics', '/openapi.json'])
      expect((await bearing('nonsense').get(path)).status).toBe(200);
  });
});

describe('a stream', () => {
  const open = (url: string, token: string) =>
    new Promise<{ ended: Promise<number> }>((resolve, reject) => {
      const sent = request(url, { headers: { authorization: `Bearer ${token}` } }, (answer) => {
        const ended = new Promise<number>((done) => answer.once('end', () => done(Date.now())));
        answer.once('data', () => resolve({ ended }));
        answer.once('error', reject);
      });
      sent.on('error', reject).end();
    });

  test('ends when its token does, not before, and others go on', async () => {
    const own = await startJobApp(issuer.environment);
    const id = '0190b5b0-6a3c-7c7e-9a53-6f1d3c1f2a10';
    await insertJob(own.database, id, user, 'queued', 'nothing-does-this');
    const exp = now() - 24;
    const stays = await open(`${own.url}/jobs/${id}/events`, await issuer.token(user));
    const { ended } = await open(`${own.url}/jobs/${id}/events`, await issuer.token(user, { exp }));
    const first = await Promise.race([ended, stays.ended.then(() => 0)]);
    expect(first).toBeGreaterThanOrEqual((exp + 30) * 1000 - 5);
    expectRefused(
      await bearing(await issuer.token(user, { exp }), own.api).get(`/jobs/${id}`),
      401,
      'token_expired',
    );
    const closed = own.close();
    await stays.ended;
    await closed;
  });
});

describe('the keys', () => {
  let own: FakeIssuer;
  let other: TestApp;
  beforeEach(async () => {
    own = await FakeIssuer.start();
    other = await startApp(own.environment, app);
  });
  afterEach(async () => {
    own.release();
    await other.close();
    await own.close();
  });
  const list = async (token: string) => bearing(token, other.api).get(SESSIONS);

  test('are not fetched before a token comes, then once for all who wait', async () => {
    expect(own.asked).toBe(0);
    let open = () => {};
    own.gate = new Promise((resolve) => {
      open = resolve;
    });
    const token = await own.token(user);
    const waiting = atOnce(20, () => list(token));
    await eventually(
      async () => own.asked,
      (asked) => asked > 0,
    );
    open();
    for (const answer of await waiting) expectOk(answer);
    expect(own.asked).toBe(1);
  });

  test('are fetched anew for a token by a new one, and what was withdrawn counts no more then', async () => {
    const early = await own.token(user);
    expectOk(await list(early));
    await own.rotate();
    const late = await own.token(user);
    const answer = await eventually(
      () => list(late),
      ({ status }) => status === 200,
    );
    expectOk(answer);
    expectRefused(await list(early), 401, 'invalid_token');
  });

  test.each([undefined, 'always'])('may all have the `kid` %s, also when they change', async (kid) => {
    const name = { kid } as { kid: string };
    const change = async () => {
      own.keys = [];
      await own.add('ES256', name);
      return own.token(user, {}, name);
    };
    const early = await change();
    expectOk(await list(early));
    const late = await change();
    const answer = await eventually(
      () => list(late),
      ({ status }) => status === 200,
    );
    expectOk(answer);
    expectRefused(await list(early), 401, 'invalid_token');
    await own.add('ES256', name);
    const latest = await own.token(user, {}, name);
    await eventually(
      () => list(latest),
      ({ status }) => status === 200,
    );
    expectOk(await list(late));
    expectRefused(await list(early), 401, 'invalid_token');
  });

  test('that nobody has are asked for once in a while only, however many tokens name them', async () => {
    const good = await own.token(user);
    expectOk(await list(good));
    const begun = performance.now();
    const forged = await Promise.all(
      Array.from({ length: 200 }, (_, i) => own.token(user, {}, { kid: `forged-${i}` })),
    );
    for (let i = 0; i < forged.length; i += 20)
      for (const answer of await Promise.all(forged.slice(i, i + 20).map(list)))
        expectRefused(answer, 401, 'invalid_token');
    expect(own.asked).toBeLessThanOrEqual(2 + (performance.now() - begun) / 5000);
    expectOk(await list(good));
  });

  const TROUBLES: [string, FakeIssuer['trouble']][] = [
    ['hangs', 'silence'],
    ['breaks off', 'cut'],
    ['answers 500', { status: 500 }],
    ['answers 204', { status: 204 }],
    ['leads elsewhere', { status: 302 }],
    ['answers nonsense', { body: '<html>' }],
    ['answers no keys', { body: '{"keys":1}' }],
  ];
  test.each(TROUBLES)(
    'while the issuer %s and there are none: 503, and well again by itself',
    async (_, trouble) => {
      own.trouble = trouble;
      const token = await own.token(user);
      for (const answer of [await list(token), await bearing(token, other.api).post(SESSIONS, {})]) {
        expectRefused(answer, 503, 'issuer_unavailable');
        expect(Number(answer.headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
      }
      expectOk(await other.api.service(SERVICE_KEY).get(SESSIONS));
      expectRefused(await other.api.get(SESSIONS), 401, 'unauthenticated');
      own.trouble = null;
      await eventually(
        () => list(token),
        ({ status }) => status === 200,
      );
    },
  );

  test('that are here go on serving while the issuer is away; for others it is 503, and asked at most once a second', async () => {
    const good = await own.token(user);
    expectOk(await list(good));
    await own.add();
    const late = await own.token(user);
    own.trouble = { status: 500 };
    await eventually(
      () => list(late),
      ({ status }) => status === 503,
    );
    const [begun, asked] = [performance.now(), own.asked];
    for (let i = 0; i < 50; i++) {
      expectOk(await list(good));
      expectRefused(await list(late), 503, 'issuer_unavailable');
    }
    expect(own.asked - asked).toBeLessThanOrEqual(1 + (performance.now() - begun) / 1000);
    own.trouble = null;
    await eventually(
      () => list(late),
      ({ status }) => status === 200,
    );
  });

  test('of which one is not fit do not spoil the others', async () => {
    const [good] = own.keys;
    const weak = await own.add('RS256', { n: 'AQAB' });
    expectOk(await list(await own.token(user, {}, {}, good)));
    expectRefused(await list(await own.token(user, {}, {}, weak)), 401, 'invalid_token');
    expectOk(await list(await own.token(user, {}, {}, good)));
  });
});
