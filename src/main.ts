import 'reflect-metadata';
import { once } from 'node:events';
import { createServer as createHttpServer, type Server } from 'node:http';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import type { Logger } from 'pino';
import { collectDefaultMetrics, register } from 'prom-client';
import { StartupError } from './common/startup-error.js';
import { type Config, isLoopback, loadConfig } from './config/config.js';
import { type EmbeddedPostgres, startEmbeddedPostgres } from './database/embedded/embedded-postgres.js';
import { createLog } from './http/log.js';

type CreateApp = typeof import('./app.js').createApp;

/** Seconds that running requests are given to finish. */
const PATIENCE_SECONDS = 25;

async function main(): Promise<void> {
  const config = loadConfig();
  const log = createLog(config);
  collectDefaultMetrics();
  warnOfOpenDoors(config, log);
  // half a second of reading code passes while PostgreSQL starts
  const code = import('./app.js');
  const embedded = config.DATABASE_URL ? null : await startEmbedded(config, log);
  const { createApp } = await code;
  const { app, metrics } = await start(config, log, embedded, createApp);
  stopOnSignal(app, metrics, embedded, log);
  announce(await app.getUrl(), config, embedded);
}

const startEmbedded = (config: Config, log: Logger) =>
  startEmbeddedPostgres({ dataDir: config.DATA_DIR, servesAt: `http://${config.HOST}:${config.PORT}`, log });

interface Running {
  app: NestFastifyApplication;
  metrics: Server | null;
}

async function start(
  config: Config,
  log: Logger,
  embedded: EmbeddedPostgres | null,
  createApp: CreateApp,
): Promise<Running> {
  const { HOST: host, PORT: port, METRICS_PORT: metricsPort } = config;
  try {
    const app = await createApp(config, log, embedded?.url ?? config.DATABASE_URL!);
    await app.listen({ host, port }).catch((error) => cannotListen('PORT', host, port, error));
    const metrics = metricsPort ? serveMetrics() : null;
    if (metrics) {
      metrics.listen(metricsPort, host);
      await once(metrics, 'listening').catch((error) =>
        cannotListen('METRICS_PORT', host, metricsPort!, error),
      );
    }
    return { app, metrics };
  } catch (error) {
    await embedded?.stop();
    throw error;
  }
}

/** Whatever keeps a port from being listened on is the operator's to mend. */
function cannotListen(variable: string, host: string, port: number, { code }: NodeJS.ErrnoException): never {
  throw new StartupError(
    code === 'EADDRINUSE'
      ? `${variable}=${port} on ${host} is taken by another process: stop it, or set ${variable}`
      : `HOST=${host} with ${variable}=${port} cannot be listened on (${code}): give an address of this machine`,
  );
}

function warnOfOpenDoors(config: Config, log: Logger): void {
  if (config.AUTH_MODE === 'trusted-header' && !config.GATEWAY_SECRET && !isLoopback(config.HOST)) {
    log.warn(
      `HOST=${config.HOST} without GATEWAY_SECRET: whoever reaches this port can name himself any user`,
    );
  }
  if (config.AUTH_MODE !== 'jwt' && (config.JWT_ISSUER ?? config.JWT_JWKS_URL) !== undefined) {
    log.warn(`JWT_… is set, but AUTH_MODE=${config.AUTH_MODE} takes no tokens: set AUTH_MODE=jwt`);
  }
}

const serveMetrics = () =>
  createHttpServer(async (_request, response) => {
    response.setHeader('content-type', register.contentType);
    response.end(await register.metrics());
  });

/** The first signal finishes what runs, takes nothing new, and ends PostgreSQL last; a second one ends at once. */
function stopOnSignal(
  app: NestFastifyApplication,
  metrics: Server | null,
  embedded: EmbeddedPostgres | null,
  log: Logger,
) {
  let isStopping = false;
  const stop = async (signal: NodeJS.Signals) => {
    if (isStopping) process.exit(1);
    isStopping = true;
    log.info({ signal }, 'stopping');
    setTimeout(() => process.exit(1), PATIENCE_SECONDS * 1000).unref();
    metrics?.close();
    await app.close().catch((err: unknown) => log.error({ err }, 'stopping failed'));
    await embedded?.stop();
    process.exit(0);
  };
  process.on('SIGTERM', stop).on('SIGINT', stop);
}

function announce(url: string, config: Config, embedded: EmbeddedPostgres | null): void {
  const database = embedded ? `embedded, in ${config.DATA_DIR}` : new URL(config.DATABASE_URL!).host;
  const credential = {
    'trusted-header': ` -H 'X-User-ID: alice'`,
    jwt: ` -H "Authorization: Bearer $TOKEN"`,
    none: '',
  }[config.AUTH_MODE];
  process.stdout.write(
    [
      '',
      `  Session Service    ${url}/api/v1`,
      `  Documentation      ${url}/docs`,
      `  PostgreSQL         ${database}`,
      '',
      `  Try it:  curl -s${credential} -H 'Content-Type: application/json' -d '{"title":"Hello"${config.AUTH_MODE === 'none' ? ',"user_id":"alice"' : ''}}' ${url}/api/v1/sessions`,
      '',
      '',
    ].join('\n'),
  );
}

main().catch((error: unknown) => {
  if (error instanceof StartupError) process.stderr.write(`session-service: ${error.message}\n`);
  else console.error(error);
  process.exit(1);
});
