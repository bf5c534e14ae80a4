import 'reflect-metadata';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { DataSource } from 'typeorm';
import { dataSourceOptions } from '../../dist/src/database/data-source.js';
import { startEmbeddedPostgres } from '../../dist/src/database/embedded/embedded-postgres.js';
import { migrate } from '../../dist/src/database/migrate.js';

const quiet = { info: () => undefined, warn: console.warn, error: console.error };

/**
 * Runs on the build, since Jest loads this file past its transforms.
 *
 * One PostgreSQL for the whole run: the one of TEST_DATABASE_URL (its user may create databases), else the embedded
 * one in a folder of its own. A migrated template database is cloned by each test file.
 */
export default async function setup() {
  const folder = mkdtempSync(join(tmpdir(), 'session-service-test-'));
  const embedded = process.env.TEST_DATABASE_URL ? null : await startEmbedded(folder);
  const server = embedded?.url ?? process.env.TEST_DATABASE_URL;
  const template = `template_${process.pid}_${Date.now()}`;
  const version = await makeTemplate(server, template);
  process.env.TEST_SERVER_URL = server;
  process.env.TEST_TEMPLATE = template;
  console.log(`\nPostgreSQL ${version} (${embedded ? 'embedded' : 'TEST_DATABASE_URL'})`);
  Object.assign(globalThis, { stopTestServer: () => stop(embedded, server, template, folder) });
}

const startEmbedded = (dataDir) => startEmbeddedPostgres({ dataDir, servesAt: 'the tests', log: quiet });

async function makeTemplate(server, template) {
  const client = new pg.Client(server);
  await client.connect();
  await client.query(`create database ${template} encoding 'UTF8' template template0`);
  const { rows } = await client.query(
    `select split_part(current_setting('server_version'), ' ', 1) as version`,
  );
  await client.end();
  const url = new URL(server);
  url.pathname = `/${template}`;
  const dataSource = await new DataSource(dataSourceOptions(url.href, 2)).initialize();
  await migrate(dataSource);
  await dataSource.destroy();
  return rows[0].version;
}

async function stop(embedded, server, template, folder) {
  if (embedded) {
    await embedded.stop();
  } else {
    const client = new pg.Client(server);
    await client.connect();
    await client.query(`drop database ${template} with (force)`);
    await client.end();
  }
  rmSync(folder, { recursive: true, force: true });
}
