import { StartupError } from '../../common/startup-error.js';
import { findBinaries } from './binaries.js';
import { makeCluster, readPassword, type Site } from './cluster.js';
import { clusterExists, type DataFolder, openDataFolder } from './data-folder.js';
import { databaseUrl, ensureDatabase } from './database.js';
import { holdFolder } from './folder-lock.js';
import { chooseIdentity } from './identity.js';
import { stopPostmaster } from './postmaster.js';
import { type StartedServer, startServer } from './server.js';
import { type Log, supervise } from './supervisor.js';

/** A running server of our own, started again whenever it dies. */
export interface EmbeddedPostgres {
  /**
   * postgres://… on 127.0.0.1, with the user and the database `session_service`. Stable over restarts of the
   * server within the life of this process.
   */
  readonly url: string;
  /** Ends the server in good order and releases the folder. Idempotent. */
  stop(): Promise<void>;
}

export interface EmbeddedOptions {
  /** absolute or relative; the cluster lives in `${dataDir}/postgres` */
  readonly dataDir: string;
  /** what a second start in this folder is told, e.g. http://127.0.0.1:8002 */
  readonly servesAt: string;
  readonly log: Log;
  /** tests only: the `native` folder to take the binaries from */
  readonly native?: string;
}

/**
 * Starts the PostgreSQL that came with npm on a folder of its own, or takes over the one that a killed process
 * left running there. Without `stop()` the server outlives this process, and the next start takes it over.
 * @throws StartupError whatever keeps it from starting: one line, what and cure
 */
export async function startEmbeddedPostgres(options: EmbeddedOptions): Promise<EmbeddedPostgres> {
  try {
    const folder = await openDataFolder(options.dataDir);
    const release = await holdFolder(folder.path, { pid: process.pid, servesAt: options.servesAt });
    return await serve(options, folder, release).catch(async (error) => {
      await release();
      throw error;
    });
  } catch (error) {
    throw asStartupError(error, options.dataDir);
  }
}

async function serve(
  { log, native }: EmbeddedOptions,
  folder: DataFolder,
  release: () => Promise<void>,
): Promise<EmbeddedPostgres> {
  const site = await prepareSite(folder, log, native);
  const password = await readPassword(folder);
  const server = await startServer(site);
  await ensureDatabase(server.port, password).catch(async (error) => {
    if (!server.found) await stopPostmaster(server.pid, site.binaries.pgCtl);
    throw error;
  });
  log.info(described(server, folder), server.found ? 'took over a running PostgreSQL' : 'PostgreSQL started');
  const stop = keepRunning(server, site, log);
  let stopped: Promise<void> | undefined;
  return {
    url: databaseUrl(server.port, password),
    stop: () => {
      stopped ??= stop().then(release);
      return stopped;
    },
  };
}

/** Starts the server again whenever it dies, on the same port. Answers how to end both for good. */
function keepRunning(server: StartedServer, site: Site, log: Log): () => Promise<void> {
  const again = async (signal: AbortSignal) => (await startServer(site, server.port, signal)).pid;
  const supervision = supervise(server.pid, again, log);
  return async () => {
    const pid = await supervision.end();
    if (!(await stopPostmaster(pid, site.binaries.pgCtl))) log.warn({ pid }, 'PostgreSQL does not end');
  };
}

const described = ({ pid, port }: StartedServer, { cluster }: DataFolder) => ({ pid, port, cluster });

async function prepareSite(folder: DataFolder, log: Log, native?: string): Promise<Site> {
  const binaries = await findBinaries(folder.libraries, native);
  const exists = await clusterExists(folder, binaries.major);
  const identity = await chooseIdentity(folder, binaries, exists ? 'exists' : 'is to be made');
  const site = { folder, binaries, identity };
  if (!exists) {
    log.info({ cluster: folder.cluster, runsAs: identity.name }, 'making a new PostgreSQL cluster');
    await makeCluster(site);
  }
  return site;
}

function asStartupError(error: unknown, dataDir: string): StartupError {
  if (error instanceof StartupError) return error;
  const reason = (error instanceof Error ? error.message : String(error)).replaceAll(/\s*\n\s*/g, ' ');
  return new StartupError(
    `the embedded PostgreSQL in ${dataDir} did not start: ${reason}; cure that, set another DATA_DIR, or set DATABASE_URL`,
    { cause: error },
  );
}
