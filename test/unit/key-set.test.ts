import { pino } from 'pino';
import { callerOf } from '../../src/common/caller.js';
import { KeySet } from '../../src/http/key-set.js';
import { RecentTokens } from '../../src/http/recent-tokens.js';
import { eventually } from '../setup/eventually.js';
import { FakeIssuer } from '../setup/fake-issuer.js';

const MINUTE = 60_000;

let issuer: FakeIssuer;
let clock: number;
let keys: KeySet;
beforeEach(async () => {
  issuer = await FakeIssuer.start();
  clock = 0;
  keys = new KeySet(issuer.url, pino({ level: 'silent' }), () => clock);
});
afterEach(async () => {
  issuer.release();
  await issuer.close();
});

const check = async (token: string) => (await keys.verify(token)).sub;

test('keys are fetched anew when they are ten minutes old, and nobody waits for that', async () => {
  const token = await issuer.token('ann');
  expect(await check(token)).toBe('ann');
  clock += 10 * MINUTE - 1;
  expect(await check(token)).toBe('ann');
  expect(issuer.asked).toBe(1);

  await issuer.rotate();
  issuer.trouble = 'silence';
  clock += MINUTE;
  expect(await check(token)).toBe('ann');
  await eventually(
    async () => issuer.asked,
    (asked) => asked === 2,
  );
  expect(await check(token)).toBe('ann');
  expect(issuer.asked).toBe(2);

  issuer.trouble = null;
  issuer.release();
  await eventually(
    async () => {
      clock += 10 * MINUTE;
      return check(token).catch((error: Error) => error.message);
    },
    (seen) => seen !== 'ann',
  );
  await expect(check(token)).rejects.toMatchObject({ code: 'ERR_JWKS_NO_MATCHING_KEY' });
});

test('keys serve however long the issuer is away, and it is asked again and again', async () => {
  const token = await issuer.token('ann');
  await check(token);
  issuer.trouble = { status: 503 };
  for (let hour = 1; hour <= 5; hour++) {
    const before = issuer.asked;
    await eventually(
      async () => {
        clock += 12 * MINUTE;
        expect(await check(token)).toBe('ann');
        return issuer.asked;
      },
      (asked) => asked > before,
    );
  }
});

test('a key that is unknown is asked for at once, and then not for five seconds', async () => {
  await check(await issuer.token('ann'));
  const forged = await issuer.token('ann', {}, { kid: 'forged' });
  const refused = () => expect(check(forged)).rejects.toMatchObject({ code: 'ERR_JWKS_NO_MATCHING_KEY' });
  clock += 5_000;
  await refused();
  expect(issuer.asked).toBe(2);
  clock += 4_999;
  await Promise.all(Array.from({ length: 50 }, refused));
  expect(issuer.asked).toBe(2);
  clock += 1;
  await Promise.all(Array.from({ length: 50 }, refused));
  expect(issuer.asked).toBe(3);
});

test('an issuer that fails is asked once a second, and why is kept for the log', async () => {
  const token = await issuer.token('ann');
  issuer.trouble = { status: 500 };
  const refused = () => expect(check(token)).rejects.toMatchObject({ code: 'issuer_unavailable' });
  await expect(check(token)).rejects.toMatchObject({ cause: new Error('the issuer answers 500') });
  for (let i = 0; i < 20; i++) await refused();
  expect(issuer.asked).toBe(1);
  clock += 1_000;
  await refused();
  expect(issuer.asked).toBe(2);
  issuer.trouble = null;
  clock += 1_000;
  expect(await check(token)).toBe('ann');
});

describe('on a process that nobody called for twenty minutes', () => {
  const QUIET = 20 * MINUTE;

  test('a request waits for the keys, and what was withdrawn counts no more', async () => {
    const token = await issuer.token('ann');
    await check(token);
    await issuer.rotate();
    clock += QUIET;
    const refused = () => expect(check(token)).rejects.toMatchObject({ code: 'ERR_JWKS_NO_MATCHING_KEY' });
    await Promise.all(Array.from({ length: 20 }, refused));
    expect(issuer.asked).toBe(2);
  });

  test('the old keys serve when the issuer is away, and only the first waits for it', async () => {
    const token = await issuer.token('ann');
    await check(token);
    issuer.trouble = { status: 500 };
    clock += QUIET;
    expect(await check(token)).toBe('ann');
    expect(issuer.asked).toBe(2);
    expect(keys.areStale).toBe(false);
    expect(await check(token)).toBe('ann');
    expect(issuer.asked).toBe(2);
    clock += QUIET;
    issuer.trouble = null;
    await issuer.rotate();
    await expect(check(token)).rejects.toMatchObject({ code: 'ERR_JWKS_NO_MATCHING_KEY' });
  });

  test('a token that is remembered is checked anew', async () => {
    const recent = new RecentTokens(keys);
    const token = await issuer.token('ann');
    const bearer = { ...callerOf('ann'), expiresAt: new Date(Date.now() + 24 * 60 * MINUTE) };
    const keep = () => recent.keep('digest', async () => check(token).then(() => bearer));
    await check(token);
    expect(recent.find('digest')).toBeNull();
    await keep();
    expect(recent.find('digest')).toBe(bearer);
    clock += QUIET;
    expect(recent.find('digest')).toBeNull();
    await keep();
    expect(recent.find('digest')).toBe(bearer);
    await issuer.rotate();
    clock += QUIET;
    expect(recent.find('digest')).toBeNull();
    await expect(keep()).rejects.toMatchObject({ code: 'ERR_JWKS_NO_MATCHING_KEY' });
    expect(recent.find('digest')).toBeNull();
  });
});

describe('where keys have no names, or all the same', () => {
  const NAMES: [string, { kid: string | undefined }][] = [
    ['no `kid`', { kid: undefined }],
    ['one `kid`', { kid: 'always' }],
  ];
  const UNSIGNED = { code: 'ERR_JWS_SIGNATURE_VERIFICATION_FAILED' };

  test.each(NAMES)('%s: a new key counts at once, the withdrawn one no more', async (_, name) => {
    issuer.keys = [];
    await issuer.add('ES256', name as object);
    const early = await issuer.token('ann', {}, name);
    expect(await check(early)).toBe('ann');
    issuer.keys = [];
    await issuer.add('ES256', name as object);
    const late = await issuer.token('ann', {}, name);
    await expect(check(late)).rejects.toMatchObject(UNSIGNED);
    clock += 5_000;
    const all = await Promise.all(Array.from({ length: 20 }, () => check(late)));
    expect(new Set(all)).toEqual(new Set(['ann']));
    expect(issuer.asked).toBe(2);
    await expect(check(early)).rejects.toMatchObject(UNSIGNED);
    expect(issuer.asked).toBe(2);
  });

  test.each(NAMES)('%s: each of several is tried', async (_, name) => {
    issuer.keys = [];
    const both = [await issuer.add('ES256', name as object), await issuer.add('ES256', name as object)];
    for (const key of both) expect(await check(await issuer.token('ann', {}, name, key))).toBe('ann');
    const over = await issuer.token('ann', { exp: 1 }, name, both[0]);
    await expect(check(over)).rejects.toMatchObject({ code: 'ERR_JWT_EXPIRED' });
    expect(issuer.asked).toBe(1);
    const late = await issuer.add('ES256', name as object);
    clock += 5_000;
    expect(await check(await issuer.token('ann', {}, name, late))).toBe('ann');
    expect(issuer.asked).toBe(2);
  });

  test('one that is not fit is passed over', async () => {
    issuer.keys = [];
    await issuer.add('RS256', { kid: 'always', n: 'AQAB' });
    await issuer.add('RS256', { kid: 'always' });
    expect(await check(await issuer.token('ann', {}, { kid: 'always' }))).toBe('ann');
    expect(issuer.asked).toBe(1);
  });

  test('forged ones have the keys asked for every five seconds, and what is remembered stays', async () => {
    await check(await issuer.token('ann'));
    const stranger = await FakeIssuer.start();
    const forged = await stranger.token('ann', {}, { kid: issuer.keys[0]!.kid });
    await stranger.close();
    const { revision } = keys;
    for (const asked of [2, 3]) {
      clock += 5_000;
      for (let i = 0; i < 20; i++) await expect(check(forged)).rejects.toMatchObject(UNSIGNED);
      expect(issuer.asked).toBe(asked);
    }
    expect(keys.revision).toBe(revision);
  });
});
