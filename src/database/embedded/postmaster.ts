import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isPostmasterOf, isRunning, run } from './processes.js';

/** A running PostgreSQL server. */
export interface Postmaster {
  readonly pid: number;
  readonly port: number;
}

const RECOVERY_MS = 120_000;
const STOP_MS = 60_000;
const POLL_MS = 10;

/** What postmaster.pid says, line by line; a server that has just begun has not written all of it. */
interface PidFile {
  readonly pid: number;
  readonly port: number;
  readonly status: string;
}

/**
 * The process that serves this cluster, if one lives. A postmaster.pid without a living postmaster of this very
 * folder (its number may be a zombie's by now, or somebody else's) is removed, because PostgreSQL would shy
 * from it. What else PostgreSQL looks at, shared memory still held by orphaned backends, is found through the
 * folder and not through this file, so nothing is risked.
 */
export async function findPostmaster(cluster: string): Promise<number | null> {
  const file = await readPidFile(cluster);
  if (file === null) return null;
  if (isRunning(file.pid) && (await isPostmasterOf(file.pid, cluster))) return file.pid;
  await rm(pidFilePath(cluster), { force: true });
  return null;
}

/**
 * Waits until a server accepts connections, through crash recovery if need be (up to two minutes).
 * Answers null when it ends instead; a server that is still busy is left alone.
 */
export async function untilReady(
  cluster: string,
  pid: number,
  signal?: AbortSignal,
): Promise<Postmaster | null> {
  const deadline = Date.now() + RECOVERY_MS;
  while (isRunning(pid)) {
    const file = await readPidFile(cluster);
    if (file?.pid === pid && file.status === 'ready') return { pid, port: file.port };
    signal?.throwIfAborted();
    if (Date.now() > deadline) throw new Error(`PostgreSQL (pid ${pid}) is not ready after two minutes`);
    await sleep(POLL_MS);
  }
  return null;
}

/** Ends a server in good order ("fast": open transactions are rolled back). False: it lives on after a minute. */
export async function stopPostmaster(pid: number, pgCtl: string): Promise<boolean> {
  if (!isRunning(pid)) return true;
  // The signal that `pg_ctl stop -m fast` sends; as root, pg_ctl itself would refuse to run.
  if (process.platform === 'win32') {
    await run({ file: pgCtl, args: ['kill', 'INT', `${pid}`], options: { cwd: '/', windowsHide: true } });
  } else process.kill(pid, 'SIGINT');
  const deadline = Date.now() + STOP_MS;
  while (isRunning(pid)) {
    if (Date.now() > deadline) return false;
    await sleep(POLL_MS);
  }
  return true;
}

const pidFilePath = (cluster: string) => join(cluster, 'postmaster.pid');

async function readPidFile(cluster: string): Promise<PidFile | null> {
  const text = await readFile(pidFilePath(cluster), 'utf8').catch(() => null);
  if (text === null) return null;
  const lines = text.split('\n');
  const pid = Math.abs(Number.parseInt(lines[0] ?? '', 10)); // negative: a single-user session
  return { pid, port: Number(lines[3]), status: lines[7]?.trim() ?? '' };
}
