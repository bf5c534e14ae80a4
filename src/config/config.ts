import { existsSync, readFileSync } from 'node:fs';
import { parseEnv } from 'node:util';
import { CronExpressionParser } from 'cron-parser';
import { z } from 'zod';
import { StartupError } from '../common/startup-error.js';
import { parseServiceKeys } from './service-keys.js';

const whole = (min: number, max: number) =>
  z
    .string()
    .regex(/^\d{1,10}$/, `give a whole number from ${min} to ${max}`)
    .transform(Number)
    .refine((n) => n >= min && n <= max, `give a whole number from ${min} to ${max}`);

const oneOf = <T extends string>(...values: [T, ...T[]]) =>
  z
    .string()
    .transform((v) => v.toLowerCase())
    .pipe(z.enum(values, { error: `give one of ${values.join(', ')}` }));

const postgresUrl = z
  .string()
  .refine(
    (v) => /^postgres(ql)?:\/\/.+/.test(v) && URL.canParse(v),
    'give postgres://user:password@host:port/database',
  );

const httpUrl = z
  .string()
  .refine(
    (v) => URL.canParse(v) && /^https?:$/.test(new URL(v).protocol),
    'give an address like https://models.example/v1',
  );

const keysUrl = z
  .string()
  .refine(
    (v) => /^https?:\/\/[^/?#@]+(\/[^@#]*)?$/.test(v) && URL.canParse(v),
    'give an address like https://issuer.example/.well-known/jwks.json',
  );

const redisUrl = z
  .string()
  .refine(
    (v) => /^rediss?:\/\/.+/.test(v) && URL.canParse(v),
    'give redis://user:password@host:port/database, or rediss:// for TLS',
  );

const qdrantUrl = z
  .string()
  .refine((v) => /^https?:\/\/[^/?#@]+(\/[^?#]*)?$/.test(v) && URL.canParse(v), 'give http://host:port');

/** `off` is null. */
const setTimes = z
  .string()
  .refine(isSetTimes, 'give five fields of cron (UTC) such as 17 3 * * *, or off')
  .transform((v) => (v.toLowerCase() === 'off' ? null : v));

function isSetTimes(text: string): boolean {
  if (text.toLowerCase() === 'off') return true;
  if (text.split(/\s+/).length !== 5) return false;
  try {
    CronExpressionParser.parse(text, { tz: 'UTC' }).next();
    return true;
  } catch {
    return false;
  }
}

const hostName = z.string().regex(/^([\w.-]+|\[[\da-f:.]+\])$/i, 'give a name or an address, without port');

const origin = z
  .string()
  .refine(
    (v) => v === '*' || (URL.canParse(v) && new URL(v).origin === v),
    'give origins like https://app.example, or *',
  );

/** Every option of the process. `.env.example` lists them with unit and default; a test holds both together. */
const variables = z.object({
  HOST: z.string().default('127.0.0.1'),
  PORT: whole(0, 65535).default(8002),
  ROLE: oneOf('all', 'api', 'worker').default('all'),
  DATA_DIR: z.string().default('./data'),
  DATABASE_URL: postgresUrl.optional(),
  DATABASE_POOL_SIZE: whole(1, 1000).default(16),
  REDIS_URL: redisUrl.optional(),
  AUTH_MODE: oneOf('trusted-header', 'jwt', 'none').default('trusted-header'),
  GATEWAY_SECRET: z.string().min(16, 'give at least 16 characters').optional(),
  JWT_JWKS_URL: keysUrl.optional(),
  JWT_ISSUER: z.string().optional(),
  JWT_AUDIENCE: z.string().optional(),
  SERVICE_API_KEYS: z.string().transform(parseServiceKeys).default([]),
  SESSION_TTL_MINUTES: whole(1, 52_560_000).optional(),
  MAX_SESSION_TTL_MINUTES: whole(1, 52_560_000).default(525_600),
  SWEEP_SECONDS: whole(1, 3600).default(60),
  RETENTION_CRON: setTimes.default('17 3 * * *'),
  INDEX_SECONDS: whole(1, 3600).default(3),
  EVENT_RETENTION_DAYS: whole(1, 36_500).default(30),
  SUMMARIZE_AFTER_MESSAGES: whole(2, 1000).default(50),
  SEARCH_LANGUAGE: z.string().default('simple'),
  DEFAULT_VECTOR_SIZE: whole(1, 65_536).optional(),
  DEFAULT_VECTOR_DISTANCE: oneOf('cosine', 'dot', 'euclid', 'manhattan').default('cosine'),
  EMBEDDINGS_URL: httpUrl.optional(),
  EMBEDDINGS_MODEL: z.string().optional(),
  EMBEDDINGS_API_KEY: z.string().optional(),
  EMBEDDINGS_BATCH: whole(1, 1000).default(64),
  EMBEDDINGS_TIMEOUT_SECONDS: whole(1, 300).default(30),
  SUMMARIZER_URL: httpUrl.optional(),
  SUMMARIZER_MODEL: z.string().optional(),
  SUMMARIZER_API_KEY: z.string().optional(),
  QDRANT_URL: qdrantUrl.optional(),
  QDRANT_HOST: hostName.optional(),
  QDRANT_PORT: whole(1, 65535).default(6333),
  QDRANT_API_KEY: z.string().optional(),
  QDRANT_LAYOUT: oneOf('dedicated', 'shared').default('dedicated'),
  CORS_ORIGINS: z
    .string()
    .transform((v) =>
      v
        .split(',')
        .map((s) => s.trim())
        .filter(Boolean),
    )
    .pipe(z.array(origin))
    .default([]),
  LOG_LEVEL: oneOf('fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent').default('info'),
  SERVICE_NAME: z.string().default('session-service'),
  ENVIRONMENT: z.string().default('development'),
  BODY_LIMIT_MB: whole(1, 512).default(8),
  RATE_LIMIT_PER_MINUTE: whole(1, 1_000_000).optional(),
  METRICS_PORT: whole(1, 65535).optional(),
});

export type Config = Readonly<z.output<typeof variables>>;

/** Injection token: `@Inject(CONFIG) config: Config`. */
export const CONFIG = Symbol('Config');

export const VARIABLES = Object.keys(variables.shape) as (keyof Config)[];

const SECRETS = new Set([
  'DATABASE_URL',
  'REDIS_URL',
  'GATEWAY_SECRET',
  'SERVICE_API_KEYS',
  'QDRANT_API_KEY',
  'EMBEDDINGS_API_KEY',
  'SUMMARIZER_API_KEY',
]);
const LOOPBACK = new Set(['127.0.0.1', '::1', 'localhost']);

export const isLoopback = (host: string) => LOOPBACK.has(host);

/**
 * Reads the environment, then `.env` beside it for what is not set there. An empty value counts as not set.
 * @throws StartupError naming variable, value (never a secret's) and cure
 */
export function loadConfig(env: NodeJS.ProcessEnv = process.env, file = '.env'): Config {
  const given = withSecrets([withoutEmpty(env), readEnvFile(file)]);
  const values = Object.fromEntries(VARIABLES.map((name) => [name, given[name]?.trim()]));
  const parsed = variables.safeParse(values);
  if (!parsed.success) {
    throw new StartupError(parsed.error.issues.map((issue) => explain(issue, values)).join('; '));
  }
  return Object.freeze(checkTogether(parsed.data));
}

const withoutEmpty = (env: NodeJS.ProcessEnv) =>
  Object.fromEntries(Object.entries(env).filter(([, value]) => value !== undefined && value.trim() !== ''));

function readEnvFile(file: string): NodeJS.ProcessEnv {
  return existsSync(file) ? withoutEmpty(parseEnv(readFileSync(file, 'utf8')) as NodeJS.ProcessEnv) : {};
}

/** Of the first source that has the secret or names its file: a file named in the environment wins over `.env`. */
function withSecrets(sources: NodeJS.ProcessEnv[]): NodeJS.ProcessEnv {
  const given: NodeJS.ProcessEnv = Object.assign({}, ...sources.toReversed());
  for (const name of SECRETS) {
    const source = sources.find((one) => one[name] !== undefined || one[`${name}_FILE`] !== undefined);
    if (source) given[name] = source[name] ?? readSecret(name, source[`${name}_FILE`]!);
  }
  return given;
}

function readSecret(name: string, path: string): string {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    throw new StartupError(`${name}_FILE=${path} cannot be read: give the path of a readable file`);
  }
}

function explain(issue: z.core.$ZodIssue, values: Record<string, string | undefined>): string {
  const name = String(issue.path[0]);
  const shown = SECRETS.has(name) ? '(secret)' : values[name];
  return `${name}=${shown} is not accepted: ${issue.message}`;
}

const JWT = ['JWT_JWKS_URL', 'JWT_ISSUER', 'JWT_AUDIENCE'] as const;

function checkTogether(config: z.output<typeof variables>): Config {
  if (config.AUTH_MODE === 'none' && !isLoopback(config.HOST)) {
    throw new StartupError(
      `AUTH_MODE=none with HOST=${config.HOST} is not accepted: it lets everybody in, so listen on 127.0.0.1, or set AUTH_MODE=trusted-header`,
    );
  }
  const missing = config.AUTH_MODE === 'jwt' ? JWT.filter((name) => config[name] === undefined) : [];
  if (missing.length) {
    throw new StartupError(
      `AUTH_MODE=jwt without ${missing.join(', ')} is not accepted: give the address of the issuer’s keys, the issuer, and the audience that tokens must name`,
    );
  }
  if (config.SESSION_TTL_MINUTES && config.SESSION_TTL_MINUTES > config.MAX_SESSION_TTL_MINUTES) {
    throw new StartupError(
      `SESSION_TTL_MINUTES=${config.SESSION_TTL_MINUTES} is not accepted: give at most MAX_SESSION_TTL_MINUTES (${config.MAX_SESSION_TTL_MINUTES})`,
    );
  }
  if (config.QDRANT_URL && config.QDRANT_HOST) {
    throw new StartupError(
      `QDRANT_HOST=${config.QDRANT_HOST} is not accepted: QDRANT_URL is set too, give one of them`,
    );
  }
  return config;
}
