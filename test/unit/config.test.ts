import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { StartupError } from '../../src/common/startup-error.js';
import { isLoopback, loadConfig, VARIABLES } from '../../src/config/config.js';

const NO_FILE = '/nonexistent';
const SECRET = 'S3CRET-that-nobody-may-see';
const DEFAULTS = {
  HOST: '127.0.0.1',
  PORT: 8002,
  ROLE: 'all',
  DATA_DIR: './data',
  DATABASE_URL: undefined,
  DATABASE_POOL_SIZE: 16,
  REDIS_URL: undefined,
  AUTH_MODE: 'trusted-header',
  GATEWAY_SECRET: undefined,
  JWT_JWKS_URL: undefined,
  JWT_ISSUER: undefined,
  JWT_AUDIENCE: undefined,
  SERVICE_API_KEYS: [],
  SESSION_TTL_MINUTES: undefined,
  MAX_SESSION_TTL_MINUTES: 525_600,
  SWEEP_SECONDS: 60,
  RETENTION_CRON: '17 3 * * *',
  INDEX_SECONDS: 3,
  EVENT_RETENTION_DAYS: 30,
  SUMMARIZE_AFTER_MESSAGES: 50,
  SEARCH_LANGUAGE: 'simple',
  EMBEDDINGS_URL: undefined,
  EMBEDDINGS_MODEL: undefined,
  EMBEDDINGS_API_KEY: undefined,
  EMBEDDINGS_BATCH: 64,
  EMBEDDINGS_TIMEOUT_SECONDS: 30,
  SUMMARIZER_URL: undefined,
  SUMMARIZER_MODEL: undefined,
  SUMMARIZER_API_KEY: undefined,
  DEFAULT_VECTOR_SIZE: undefined,
  DEFAULT_VECTOR_DISTANCE: 'cosine',
  QDRANT_URL: undefined,
  QDRANT_HOST: undefined,
  QDRANT_PORT: 6333,
  QDRANT_API_KEY: undefined,
  QDRANT_LAYOUT: 'dedicated',
  CORS_ORIGINS: [],
  LOG_LEVEL: 'info',
  SERVICE_NAME: 'session-service',
  ENVIRONMENT: 'development',
  BODY_LIMIT_MB: 8,
  RATE_LIMIT_PER_MINUTE: undefined,
  METRICS_PORT: undefined,
};

const load = (env: NodeJS.ProcessEnv, file = NO_FILE) => loadConfig(env, file);

function refusal(env: NodeJS.ProcessEnv, file = NO_FILE): string {
  try {
    load(env, file);
  } catch (error) {
    if (error instanceof StartupError) return error.message;
    throw error;
  }
  throw new Error(`${JSON.stringify(env)} was accepted`);
}

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'config-test-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

describe('the configuration', () => {
  it('has these defaults', () => {
    expect(load({})).toMatchObject(JSON.parse(JSON.stringify(DEFAULTS)));
    for (const [name, value] of Object.entries(DEFAULTS))
      expect([name, load({})[name as 'HOST']]).toEqual([name, value]);
  });

  it('cannot be changed', () => {
    const config = load({}) as { PORT: number };
    expect(() => {
      config.PORT = 1;
    }).toThrow(TypeError);
  });

  it.each(Object.keys(DEFAULTS))('takes an empty %s as not set', (name) => {
    for (const empty of ['', ' ', '\t']) {
      expect(load({ [name]: empty })[name as 'HOST']).toEqual(DEFAULTS[name as 'HOST']);
    }
  });

  it('ignores what it does not know', () => {
    expect(load({ UNHEARD_OF: 'x', PATH: '/bin' })).toEqual(load({}));
  });

  it('takes every value it should', () => {
    expect(
      load({
        HOST: '0.0.0.0',
        PORT: '0',
        DATA_DIR: '/var/lib/x',
        DATABASE_URL: 'postgresql://u:p@h:5432/d',
        DATABASE_POOL_SIZE: '1000',
        GATEWAY_SECRET: 'x'.repeat(16),
        SESSION_TTL_MINUTES: '10',
        MAX_SESSION_TTL_MINUTES: '10',
        SWEEP_SECONDS: '3600',
        INDEX_SECONDS: '10',
        SUMMARIZE_AFTER_MESSAGES: '20',
        SEARCH_LANGUAGE: 'english',
        QDRANT_URL: 'https://qdrant.example:443/under',
        QDRANT_PORT: '443',
        QDRANT_API_KEY: 'key',
        CORS_ORIGINS: 'https://app.example, http://localhost:3000,',
        SERVICE_NAME: 'other',
        ENVIRONMENT: 'production',
        BODY_LIMIT_MB: '512',
        METRICS_PORT: ' 9090 ',
      }),
    ).toMatchObject({
      HOST: '0.0.0.0',
      PORT: 0,
      DATA_DIR: '/var/lib/x',
      DATABASE_URL: 'postgresql://u:p@h:5432/d',
      DATABASE_POOL_SIZE: 1000,
      GATEWAY_SECRET: 'x'.repeat(16),
      SESSION_TTL_MINUTES: 10,
      MAX_SESSION_TTL_MINUTES: 10,
      SWEEP_SECONDS: 3600,
      INDEX_SECONDS: 10,
      SUMMARIZE_AFTER_MESSAGES: 20,
      SEARCH_LANGUAGE: 'english',
      QDRANT_URL: 'https://qdrant.example:443/under',
      QDRANT_PORT: 443,
      QDRANT_API_KEY: 'key',
      CORS_ORIGINS: ['https://app.example', 'http://localhost:3000'],
      SERVICE_NAME: 'other',
      ENVIRONMENT: 'production',
      BODY_LIMIT_MB: 512,
      METRICS_PORT: 9090,
    });
    expect(load({ QDRANT_HOST: '10.0.0.7' }).QDRANT_HOST).toBe('10.0.0.7');
    expect(load({ CORS_ORIGINS: '*' }).CORS_ORIGINS).toEqual(['*']);
  });

  it.each([
    ['AUTH_MODE', 'trusted-header'],
    ['AUTH_MODE', 'none'],
    ...['all', 'api', 'worker'].map((role) => ['ROLE', role]),
    ['QDRANT_LAYOUT', 'dedicated'],
    ['QDRANT_LAYOUT', 'shared'],
    ...['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'].map((level) => ['LOG_LEVEL', level]),
  ])('takes %s=%s in any case', (name, value) => {
    const capital = value!.charAt(0).toUpperCase() + value!.slice(1);
    for (const given of [value!, value!.toUpperCase(), capital, ` ${value} `]) {
      expect(load({ [name!]: given })[name as 'HOST']).toBe(value);
    }
  });
});

/** Any text is a value of theirs. */
const ANYTHING = new Set<string>([
  ...['HOST', 'DATA_DIR', 'SEARCH_LANGUAGE', 'SERVICE_NAME', 'ENVIRONMENT'],
  ...['EMBEDDINGS_MODEL', 'EMBEDDINGS_API_KEY', 'SUMMARIZER_MODEL', 'SUMMARIZER_API_KEY'],
  'QDRANT_API_KEY',
  ...['JWT_ISSUER', 'JWT_AUDIENCE'],
]);

describe('a wrong value', () => {
  const whole = (min: number, max: number) => ({
    values: [
      'x',
      '1.5',
      '-1',
      '1e3',
      '0x10',
      '٣',
      '99999999999',
      String(max + 1),
      ...(min > 0 ? [String(min - 1)] : []),
    ],
    cure: new RegExp(`whole number from ${min} to ${max}`),
  });

  const WRONG: Record<string, { values: string[]; cure: RegExp }> = {
    PORT: whole(0, 65_535),
    DATABASE_POOL_SIZE: whole(1, 1000),
    SESSION_TTL_MINUTES: whole(1, 52_560_000),
    MAX_SESSION_TTL_MINUTES: whole(1, 52_560_000),
    SWEEP_SECONDS: whole(1, 3600),
    INDEX_SECONDS: whole(1, 3600),
    EVENT_RETENTION_DAYS: whole(1, 36_500),
    SUMMARIZE_AFTER_MESSAGES: whole(2, 1000),
    BODY_LIMIT_MB: whole(1, 512),
    METRICS_PORT: whole(1, 65_535),
    EMBEDDINGS_BATCH: whole(1, 1000),
    EMBEDDINGS_TIMEOUT_SECONDS: whole(1, 300),
    EMBEDDINGS_URL: {
      values: ['models.example/v1', 'ftp://models.example', '/v1'],
      cure: /an address like https/,
    },
    SUMMARIZER_URL: {
      values: ['models.example/v1', 'ftp://models.example', '/v1'],
      cure: /an address like https/,
    },
    DEFAULT_VECTOR_SIZE: whole(1, 65_536),
    DEFAULT_VECTOR_DISTANCE: { values: ['cos', 'l2'], cure: /one of cosine, dot, euclid, manhattan/ },
    ROLE: { values: ['both', 'workers'], cure: /one of all, api, worker/ },
    AUTH_MODE: { values: ['jwtt', 'off', 'trusted header'], cure: /one of trusted-header, jwt, none/ },
    JWT_JWKS_URL: {
      values: [
        'issuer.example/keys',
        'ftp://issuer.example',
        'https://',
        'https://u:p@issuer.example/keys',
        'http://q#x',
      ],
      cure: /an address like https/,
    },
    RATE_LIMIT_PER_MINUTE: whole(1, 1_000_000),
    QDRANT_URL: {
      values: [
        'qdrant:6333',
        'http://',
        'grpc://q:6334',
        'http://u:p@q:6333',
        'http://q:6333?x=1',
        'http://q:port',
      ],
      cure: /http:\/\/host:port/,
    },
    QDRANT_HOST: { values: ['http://q', 'q:6333', 'q/path', 'a b'], cure: /without port/ },
    QDRANT_PORT: whole(1, 65_535),
    QDRANT_LAYOUT: { values: ['both', 'dedicated,shared'], cure: /one of dedicated, shared/ },
    LOG_LEVEL: {
      values: ['verbose', '3', 'warning'],
      cure: /one of fatal, error, warn, info, debug, trace, silent/,
    },
    RETENTION_CRON: {
      values: ['daily', '@daily', '17 3 * *', '60 3 * * *', '0 17 3 * * *', '0 0 31 2 *', 'none'],
      cure: /five fields of cron \(UTC\) such as 17 3 \* \* \*, or off/,
    },
    CORS_ORIGINS: {
      values: [
        'app.example',
        'https://app.example/',
        'https://app.example/path',
        'https://ok.example,nope',
        '**',
      ],
      cure: /origins like https:\/\/app\.example, or \*/,
    },
  };

  it.each(
    Object.entries(WRONG).flatMap(([name, { values, cure }]) =>
      values.map((value) => ({ name, value, cure })),
    ),
  )('$name=$value stops the start with variable, value and cure', ({ name, value, cure }) => {
    const message = refusal({ [name]: value });
    expect(message).toContain(`${name}=${value}`);
    expect(message).toMatch(cure);
    expect(message).not.toContain('\n');
  });

  const SECRETS: Record<string, { values: string[]; cure: RegExp }> = {
    DATABASE_URL: {
      values: [SECRET, `mysql://u:${SECRET}@h/d`, `postgres:${SECRET}`, `postgres://u:${SECRET}@h:port/d`],
      cure: /postgres:\/\/user:password@host:port\/database/,
    },
    REDIS_URL: {
      values: [SECRET, `http://u:${SECRET}@h`, `redis:${SECRET}`, `redis://u:${SECRET}@h:port`],
      cure: /redis:\/\/user:password@host:port\/database/,
    },
    GATEWAY_SECRET: { values: ['S3CRET', 'S3CRET-15-chars'], cure: /at least 16 characters/ },
    SERVICE_API_KEYS: {
      values: [
        SECRET,
        `:${SECRET}`,
        `na me:${SECRET}`,
        'name:S3CRET',
        `name[:${SECRET}`,
        `a:${SECRET},${SECRET}`,
        `a:${SECRET},`,
        `name[]:${SECRET}`,
        `name[sessions:own]:${SECRET}`,
        `a:${SECRET},b:${SECRET}`,
      ],
      cure: /name:key|sessions:read|each its own/,
    },
  };

  it.each(
    Object.entries(SECRETS).flatMap(([name, { values, cure }]) =>
      values.map((value) => ({ name, value, cure })),
    ),
  )('of $name is named with its cure and never shown: $value', ({ name, value, cure }) => {
    for (const env of [{ [name]: value }, { [`${name}_FILE`]: file(name, value) }]) {
      const message = refusal(env);
      expect(message).toContain(name);
      expect(message).toMatch(cure);
      expect(message).not.toContain('S3CRET');
      expect(message).not.toContain('\n');
    }
  });

  it('is not told together with the secrets that are right', () => {
    const message = refusal({
      PORT: 'x',
      GATEWAY_SECRET: SECRET,
      DATABASE_URL: `postgres://u:${SECRET}@h/d`,
      SERVICE_API_KEYS: `a:${SECRET}`,
    });
    expect(message).not.toContain('S3CRET');
  });

  it('is told with all others at once', () => {
    const message = refusal({ PORT: 'x', LOG_LEVEL: 'y', GATEWAY_SECRET: 'z' });
    for (const name of ['PORT', 'LOG_LEVEL', 'GATEWAY_SECRET']) expect(message).toContain(name);
  });

  it.each(VARIABLES.filter((name) => !ANYTHING.has(name)))('of %s is covered here', (name) =>
    expect(Object.keys({ ...WRONG, ...SECRETS })).toContain(name),
  );
});

describe('values that do not go together', () => {
  it.each(['0.0.0.0', '::', 'example.com', '10.0.0.1'])('AUTH_MODE=none with HOST=%s', (HOST) => {
    const message = refusal({ AUTH_MODE: 'none', HOST });
    expect(message).toContain('AUTH_MODE=none');
    expect(message).toContain(`HOST=${HOST}`);
    expect(message).toMatch(/127\.0\.0\.1|trusted-header/);
    expect(load({ HOST }).HOST).toBe(HOST);
  });

  it.each(['127.0.0.1', '::1', 'localhost'])('but AUTH_MODE=none with HOST=%s', (HOST) => {
    expect(load({ AUTH_MODE: 'NONE', HOST }).AUTH_MODE).toBe('none');
    expect(isLoopback(HOST)).toBe(true);
  });

  const JWT = {
    JWT_JWKS_URL: 'https://issuer.example/keys',
    JWT_ISSUER: 'https://issuer.example/',
    JWT_AUDIENCE: 'sessions',
  };

  it.each(Object.keys(JWT))('AUTH_MODE=jwt without %s', (name) => {
    const message = refusal({ ...JWT, AUTH_MODE: 'jwt', [name]: '' });
    expect(message).toMatch(new RegExp(`AUTH_MODE=jwt without ${name} is not accepted: give `));
    expect(refusal({ AUTH_MODE: 'jwt' })).toContain('JWT_JWKS_URL, JWT_ISSUER, JWT_AUDIENCE');
  });

  it('but AUTH_MODE=jwt with all of them, in any case and beyond loopback', () => {
    expect(load({ ...JWT, AUTH_MODE: 'JWT', HOST: '0.0.0.0' })).toMatchObject({ ...JWT, AUTH_MODE: 'jwt' });
  });

  it('SESSION_TTL_MINUTES above MAX_SESSION_TTL_MINUTES', () => {
    const message = refusal({ SESSION_TTL_MINUTES: '61', MAX_SESSION_TTL_MINUTES: '60' });
    expect(message).toMatch(/SESSION_TTL_MINUTES=61.*MAX_SESSION_TTL_MINUTES.*60/);
    expect(refusal({ SESSION_TTL_MINUTES: '525601' })).toMatch(/525600/);
  });

  it('QDRANT_URL and QDRANT_HOST', () => {
    const message = refusal({ QDRANT_URL: 'http://q:6333', QDRANT_HOST: 'other', QDRANT_API_KEY: SECRET });
    expect(message).toMatch(/QDRANT_HOST=other.*QDRANT_URL/);
    expect(message).not.toContain('S3CRET');
  });
});

describe('service keys', () => {
  it('are read with their names and scopes', () => {
    const { SERVICE_API_KEYS } = load({
      SERVICE_API_KEYS: `one:${'a'.repeat(16)}, two[sessions:read events:read]:${'b:c=d/e+f['.repeat(2)}`,
    });
    expect(SERVICE_API_KEYS.map(({ name, key }) => [name, key])).toEqual([
      ['one', 'a'.repeat(16)],
      ['two', 'b:c=d/e+f['.repeat(2)],
    ]);
    expect([...SERVICE_API_KEYS[1]!.scopes]).toEqual(['sessions:read', 'events:read']);
    expect([...SERVICE_API_KEYS[0]!.scopes].sort()).toEqual(
      [
        ...['sessions', 'memory', 'collections', 'stats'].flatMap((what) => [
          `${what}:read`,
          `${what}:write`,
        ]),
        'events:read',
        'admin',
      ].sort(),
    );
  });
});

describe('a secret’s file', () => {
  it.each([
    ['DATABASE_URL', 'postgres://u:p@h/d'],
    ['REDIS_URL', 'rediss://u:p@h:6379/1'],
    ['GATEWAY_SECRET', SECRET],
    ['QDRANT_API_KEY', SECRET],
  ])('%s_FILE is read, without the line’s end', (name, value) => {
    expect(load({ [`${name}_FILE`]: file(`${name}.txt`, `${value}\n`) })[name as 'HOST']).toBe(value);
  });

  it('SERVICE_API_KEYS_FILE is read', () => {
    const path = file('keys', `a:${SECRET}\r\n`);
    expect(load({ SERVICE_API_KEYS_FILE: path }).SERVICE_API_KEYS).toMatchObject([
      { name: 'a', key: SECRET },
    ]);
  });

  it('yields to the variable itself, unless that is empty', () => {
    const GATEWAY_SECRET_FILE = file('secret', SECRET);
    const own = 'given-in-the-environment';
    expect(load({ GATEWAY_SECRET: own, GATEWAY_SECRET_FILE }).GATEWAY_SECRET).toBe(own);
    expect(load({ GATEWAY_SECRET: '', GATEWAY_SECRET_FILE }).GATEWAY_SECRET).toBe(SECRET);
  });

  it('that cannot be read stops the start', () => {
    for (const path of ['/nonexistent/secret', folder]) {
      const message = refusal({ GATEWAY_SECRET_FILE: path });
      expect(message).toContain(`GATEWAY_SECRET_FILE=${path}`);
      expect(message).toMatch(/readable/);
    }
  });

  it('that is empty does not open the gates', () => {
    expect(refusal({ GATEWAY_SECRET_FILE: file('empty', '\n') })).toContain('GATEWAY_SECRET');
  });
});

describe('.env', () => {
  it('gives what the environment leaves unset', () => {
    const path = file(
      '.env',
      '# a comment\nPORT=9000\nLOG_LEVEL="DEBUG" # quoted\nHOST=\nSERVICE_NAME=\'x y\'\n',
    );
    chmodSync(path, 0o600);
    expect(load({}, path)).toMatchObject({
      PORT: 9000,
      LOG_LEVEL: 'debug',
      HOST: '127.0.0.1',
      SERVICE_NAME: 'x y',
    });
    expect(load({ PORT: '9001', LOG_LEVEL: '' }, path)).toMatchObject({ PORT: 9001, LOG_LEVEL: 'debug' });
  });

  it('stops the start with the same words', () => {
    expect(refusal({}, file('.env.bad', 'PORT=x\n'))).toContain('PORT=x');
  });

  it('may name the file of a secret', () => {
    const path = file('.env.secret', `GATEWAY_SECRET_FILE=${file('secret', SECRET)}\n`);
    expect(load({}, path).GATEWAY_SECRET).toBe(SECRET);
  });
});

describe('.env.example', () => {
  const LINE = /^(?:# ?)?([A-Z][A-Z0-9_]*)=(.*)$/;
  const lines = existsSync('.env.example') ? readFileSync('.env.example', 'utf8').split('\n') : [];
  const listed = lines.flatMap((line) => {
    const match = LINE.exec(line);
    return match ? [{ name: match[1]!, value: match[2]!.replace(/(^|\s)#.*$/, '').trim(), line }] : [];
  });

  it('lists every variable once, and no other', () => {
    expect(listed.map(({ name }) => name).sort()).toEqual([...VARIABLES].sort());
  });

  it.each(VARIABLES)('gives %s with its default', (name) => {
    const line = listed.find((entry) => entry.name === name);
    const value = load({})[name];
    const isNone = value === undefined || (Array.isArray(value) && value.length === 0);
    expect(line?.value).toBe(isNone ? '' : String(value));
    expect(line?.line).toMatch(/#\s*\S.*$/);
  });

  it('is itself a configuration that is accepted', () => {
    const text = listed.map(({ name, value }) => `${name}=${value}`).join('\n');
    expect(load({}, file('.env.example', text))).toEqual(load({}));
  });
});
