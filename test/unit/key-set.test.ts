import { jwtVerify } from 'jose';
import { pino } from 'pino';
import { KeySet } from '../../src/http/key-set.js';
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

const check = async (token: string) => (await jwtVerify(token, keys.find)).payload.sub;

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
