import { spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { StartupError } from '../../common/startup-error.js';
import type { Site } from './cluster.js';
import { giveTo } from './data-folder.js';
import { findPostmaster, type Postmaster, stopPostmaster, untilReady } from './postmaster.js';
import { lastWords, openLog } from './server-log.js';

/** How long a start waits for what a killed server left behind: backends that end their query first. */
const LEFTOVERS_MS = 30_000;
const PAUSE_MS = 200;

const SETTINGS = {
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  max_connections: 100,
  logging_collector: 'off',
  fsync: 'on',
};

/** @property found the server was running already: an earlier process left it behind */
export interface StartedServer extends Postmaster {
  readonly found: boolean;
}

/**
 * The server of this cluster: the one that runs, else a new one, on `port` or any free one.
 * @throws StartupError with the server's last FATAL line
 */
export async function startServer(site: Site, port?: number, signal?: AbortSignal): Promise<StartedServer> {
  const deadline = Date.now() + LEFTOVERS_MS;
  for (;;) {
    signal?.throwIfAborted();
    const living = await findPostmaster(site.folder.cluster);
    if (living !== null) {
      const server = await readyOrStopped(site, living, signal);
      if (server) return { ...server, found: true };
    }
    const begun = await begin(site, port ?? (await freePort()));
    const server = await readyOrStopped(site, begun.pid, signal);
    if (server) return { ...server, found: false };
    const reason = await lastWords(site.folder.logFile, begun.logOffset, begun.pid);
    if (!mayPass(reason, port) || Date.now() > deadline) {
      throw new StartupError(`PostgreSQL did not start: ${reason} (more in ${site.folder.logFile})`);
    }
    await sleep(PAUSE_MS);
  }
}

async function readyOrStopped(site: Site, pid: number, signal?: AbortSignal): Promise<Postmaster | null> {
  try {
    return await untilReady(site.folder.cluster, pid, signal);
  } catch (error) {
    if (signal?.aborted) await stopPostmaster(pid, site.binaries.pgCtl);
    throw error;
  }
}

/** Another try helps against leftovers that are about to go, and against a port somebody took meanwhile. */
function mayPass(reason: string, port?: number): boolean {
  if (/pre-existing shared memory block|lock file ".*" already exists/.test(reason)) return true;
  return port === undefined && reason.includes('could not create any TCP/IP sockets');
}

async function begin(site: Site, port: number): Promise<{ pid: number; logOffset: number }> {
  const { folder, binaries, identity } = site;
  if (identity.owner) await giveTo(folder.cluster, identity.owner);
  const log = await openLog(folder.logFile, identity.owner);
  try {
    const { size } = await log.stat();
    const settings = Object.entries({ ...SETTINGS, port }).flatMap(([name, value]) => [
      '-c',
      `${name}=${value}`,
    ]);
    const { file, args, options } = identity.call(binaries.postgres, ['-D', folder.cluster, ...settings]);
    // Detached: a session of its own, which Ctrl-C in our terminal does not reach.
    const child = spawn(file, args, { ...options, detached: true, stdio: ['ignore', log.fd, log.fd] });
    const failed = new Promise<never>((_, reject) => child.once('error', reject));
    if (child.pid === undefined) await failed;
    failed.catch(() => {});
    child.unref();
    return { pid: child.pid as number, logOffset: size };
  } finally {
    await log.close();
  }
}

/**
 * A port below the range the system takes client ports from. Inside it, one of our own connection attempts
 * could be given that very port while the server is down, and keep it from coming back.
 */
async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < 100; attempt++) {
    const port = randomInt(20_000, 30_000);
    if (await isFree(port)) return port;
  }
  throw new StartupError('found no free port from 20000 to 29999 for PostgreSQL; set DATABASE_URL');
}

function isFree(port: number): Promise<boolean> {
  const server = createServer();
  return new Promise((resolve) => {
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}
