import { randomUUID } from 'node:crypto';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type CryptoKey, exportJWK, generateKeyPair, type JWK, type JWTPayload, SignJWT } from 'jose';

export const ISSUER = 'https://issuer.example/';
export const AUDIENCE = 'sessions';

interface Key {
  kid: string;
  alg: string;
  sign: CryptoKey;
  shown: JWK;
}

/** What the issuer does instead of showing its keys. */
export type Trouble = 'silence' | 'cut' | { status: number } | { body: string };

/** An identity provider on loopback: shows its public keys, makes tokens, rotates its keys, and can be told to fail. */
export class FakeIssuer {
  /** how often its keys were asked for */
  asked = 0;
  trouble: Trouble | null = null;
  /** taken by the next request: it is answered when this resolves */
  gate: Promise<void> | null = null;
  /** what it shows */
  keys: Key[] = [];
  private readonly held = new Set<ServerResponse>();

  private constructor(
    readonly url: string,
    private readonly stop: () => Promise<void>,
  ) {}

  static async start(port = 0): Promise<FakeIssuer> {
    const server = createServer((_request, response) => void issuer.answer(response));
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks.json`;
    const issuer = new FakeIssuer(url, () => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(() => resolve()));
    });
    await issuer.add();
    return issuer;
  }

  close = () => this.stop();

  /** What the service needs to take its tokens. */
  get environment() {
    return { AUTH_MODE: 'jwt', JWT_JWKS_URL: this.url, JWT_ISSUER: ISSUER, JWT_AUDIENCE: AUDIENCE };
  }

  /** Signs with a new key from now on; the earlier ones stay. */
  async add(alg = 'ES256', shown: Partial<JWK> = {}): Promise<Key> {
    const pair = await generateKeyPair(alg, { extractable: true });
    const kid = randomUUID();
    const key = {
      ...{ kid, alg, sign: pair.privateKey },
      shown: { ...(await exportJWK(pair.publicKey)), kid, alg, use: 'sig', ...shown },
    };
    this.keys.push(key);
    return key;
  }

  /** …and shows no earlier one any more. */
  async rotate(alg = 'ES256'): Promise<Key> {
    const key = await this.add(alg);
    this.keys = [key];
    return key;
  }

  /** A token of this user, by the newest key; claims and header may be others, undefined ones are left out. */
  token(
    sub: string,
    claims: Record<string, unknown> = {},
    header: Record<string, unknown> = {},
    key = this.keys.at(-1)!,
  ): Promise<string> {
    const now = Math.floor(Date.now() / 1000);
    const payload = { iss: ISSUER, aud: AUDIENCE, sub, iat: now, exp: now + 3600, ...claims };
    return new SignJWT(JSON.parse(JSON.stringify(payload)) as JWTPayload)
      .setProtectedHeader(JSON.parse(JSON.stringify({ alg: key.alg, kid: key.kid, ...header })))
      .sign(key.sign);
  }

  /** Lets go of whoever waits. */
  release(): void {
    for (const response of this.held) response.destroy();
    this.held.clear();
  }

  private async answer(response: ServerResponse): Promise<void> {
    this.asked++;
    await this.gate;
    const { trouble } = this;
    if (trouble === 'silence') return void this.held.add(response);
    if (trouble === 'cut') return void response.destroy();
    if (trouble && 'status' in trouble) return void response.writeHead(trouble.status).end('{}');
    const body = trouble ? trouble.body : JSON.stringify({ keys: this.keys.map(({ shown }) => shown) });
    response.writeHead(200, { 'content-type': 'application/json' }).end(body);
  }
}
