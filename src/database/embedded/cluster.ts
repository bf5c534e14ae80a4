import { randomBytes } from 'node:crypto';
import { chown, mkdir, open, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { StartupError } from '../../common/startup-error.js';
import type { Binaries } from './binaries.js';
import { type DataFolder, giveTo } from './data-folder.js';
import type { Identity } from './identity.js';
import { run } from './processes.js';

/** The superuser initdb makes, and the database the service lives in. */
export const SERVICE = 'session_service';

const HALF_MADE = 'postgres.new-';
const PASSWORD = /^[\w-]{32}$/;

/** What every program that touches the cluster needs to know. */
export interface Site {
  readonly folder: DataFolder;
  readonly binaries: Binaries;
  readonly identity: Identity;
}

/**
 * Makes the cluster beside its place and moves it there when it is whole: a start that is killed in the middle
 * leaves only a half-made folder, which the next one removes.
 */
export async function makeCluster(site: Site): Promise<void> {
  const { folder, identity } = site;
  await removeHalfMade(folder.path);
  await preparePassword(site);
  const fresh = join(folder.path, `${HALF_MADE}${process.pid}`);
  await mkdir(fresh, { mode: 0o700 });
  if (identity.owner) await giveTo(fresh, identity.owner);
  await initdb(site, fresh);
  await rename(fresh, folder.cluster);
  await syncFolder(folder.path);
}

/** @throws StartupError when the password of an existing cluster is gone */
export async function readPassword({ passwordFile, cluster }: DataFolder): Promise<string> {
  const password = await findPassword(passwordFile);
  if (password !== null) return password;
  throw new StartupError(
    `the password of ${cluster} is missing: put ${passwordFile} back, or set DATABASE_URL or another DATA_DIR`,
  );
}

async function findPassword(path: string): Promise<string | null> {
  try {
    const password = await readFile(path, 'utf8');
    return PASSWORD.test(password) ? password : null;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

/** A password that is there already stays: it may belong to a cluster that was moved away for a while. */
async function preparePassword({ folder, identity }: Site): Promise<void> {
  const path = folder.passwordFile;
  if ((await findPassword(path)) === null) {
    await rm(path, { force: true });
    await writeFile(path, randomBytes(24).toString('base64url'), { mode: 0o600, flag: 'wx', flush: true });
  }
  if (identity.owner) await chown(path, identity.owner.uid, identity.owner.gid); // initdb reads it
}

async function removeHalfMade(dataDir: string): Promise<void> {
  for (const name of await readdir(dataDir)) {
    if (!name.startsWith(HALF_MADE)) continue;
    await rm(join(dataDir, name), { recursive: true, force: true, maxRetries: 5 });
  }
}

/**
 * Text sorts by code point and folds case by Unicode, on every system alike. The ctype of the system decides
 * one thing more: under plain C, pg_trgm sees no letters beyond ASCII; so it comes last.
 */
const CTYPES = ['C.UTF-8', 'en_US.UTF-8', 'C'];

async function initdb({ folder, binaries, identity }: Site, target: string): Promise<void> {
  const fixed = [
    ...['--pgdata', target, '--encoding=UTF8', '--data-checksums', '--no-instructions'],
    ...['--locale=C', '--locale-provider=builtin', '--builtin-locale=C.UTF-8'],
    ...[`--username=${SERVICE}`, `--pwfile=${folder.passwordFile}`, '--auth=scram-sha-256'],
  ];
  let said = '';
  for (const ctype of CTYPES) {
    const { ok, output } = await run(identity.call(binaries.initdb, [...fixed, `--lc-ctype=${ctype}`]));
    if (ok) return;
    said = output;
    if (!output.includes('invalid locale name')) break;
  }
  const reason = said.split('\n').find((line) => /error|FATAL/i.test(line)) ?? said.split('\n').at(-1);
  throw new StartupError(
    `initdb could not make ${folder.cluster}: ${reason}; cure that, or set DATABASE_URL`,
  );
}

/** Makes the renaming outlast a power cut. */
async function syncFolder(path: string): Promise<void> {
  if (process.platform === 'win32') return; // folders cannot be opened there
  const handle = await open(path, 'r');
  await handle.sync().finally(() => handle.close());
}
