import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { SwaggerModule } from '@nestjs/swagger';
import type { Logger } from 'pino';
import { AppModule } from './app.module.js';
import type { Config } from './config/config.js';
import { buildOpenApi } from './http/openapi.js';
import { createServer } from './http/server.js';
import { OpenApiDocument } from './operations/openapi-document.js';
import { VERSION } from './operations/version.js';

/** Puts the application together, all but listening: rooms, server, documentation. */
export async function createApp(
  config: Config,
  log: Logger,
  databaseUrl: string,
  rooms = AppModule.forRoot(config, log, databaseUrl),
): Promise<NestFastifyApplication> {
  const app = await createServer(rooms, config, log);
  const document = app.get(OpenApiDocument);
  document.build = () => buildOpenApi(app, VERSION);
  SwaggerModule.setup('docs', app, () => document.value, {
    raw: false,
    customSiteTitle: 'Session Service',
    swaggerOptions: { tryItOutEnabled: true, persistAuthorization: true },
  });
  try {
    await app.init();
  } catch (error) {
    await app.close();
    throw error;
  }
  return app;
}
