import { chmod, mkdir, readdir, readFile, realpath, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { StartupError } from '../../common/startup-error.js';
import { run } from './processes.js';

/** The data folder and what the embedded PostgreSQL keeps in it; absolute paths without links. */
export interface DataFolder {
  readonly path: string;
  /** PGDATA */
  readonly cluster: string;
  readonly passwordFile: string;
  readonly logFile: string;
  /** links to the libraries, where the install folder may not be written */
  readonly libraries: string;
}

/** Whom files belong to. */
export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

export const weAreRoot = () => process.getuid?.() === 0;

/** Makes the data folder if need be and answers where everything in it is. */
export async function openDataFolder(dataDir: string): Promise<DataFolder> {
  const made = await mkdir(dataDir, { recursive: true });
  const path = await realpath(dataDir);
  if (made !== undefined)
    await (weAreRoot() ? openForTheServer(await realpath(made), path) : chmod(path, 0o700));
  return {
    path,
    cluster: join(path, 'postgres'),
    passwordFile: join(path, 'postgres.password'),
    logFile: join(path, 'postgres.log'),
    libraries: join(path, 'postgres.lib'),
  };
}

/**
 * Root's server runs as somebody else, who must be able to pass through the data folder; and what root makes
 * inside somebody's folder stays that somebody's.
 */
async function openForTheServer(topmostMade: string, path: string): Promise<void> {
  const parent = await ownerOf(dirname(topmostMade));
  if (parent !== null && parent.uid !== 0) await giveTo(topmostMade, parent);
  await chmod(path, 0o711);
}

/** Answers null for what does not exist. */
export async function ownerOf(path: string): Promise<Owner | null> {
  try {
    const { uid, gid } = await stat(path);
    return { uid, gid };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

/** Gives a file, or a folder and all in it, to an owner, unless it is his already. Links are not followed. */
export async function giveTo(path: string, owner: Owner): Promise<void> {
  if ((await stat(path)).uid === owner.uid) return;
  // The folder itself changes hands last: after a kill in the middle, the next start begins anew.
  const args = ['-hR', `${owner.uid}:${owner.gid}`, path];
  const { ok, output } = await run({ file: 'chown', args, options: { cwd: '/', windowsHide: true } });
  if (!ok) throw new Error(output);
}

/**
 * Whether there is a cluster in the folder that this start can serve.
 * @throws StartupError when there is one of another major version or of another user, or something else
 */
export async function clusterExists({ cluster }: DataFolder, major: number): Promise<boolean> {
  const owner = await ownerOf(cluster);
  if (owner === null) return false;
  const us = process.getuid?.();
  if (us !== undefined && us !== 0 && us !== owner.uid) {
    throw new StartupError(
      `${cluster} belongs to the user with id ${owner.uid}; start as that user, or set DATA_DIR to a folder of your own`,
    );
  }
  const version = await readFile(join(cluster, 'PG_VERSION'), 'utf8').catch(() => null);
  if (version === null) return refuseUnlessEmpty(cluster);
  if (Number.parseInt(version, 10) !== major)
    throw new StartupError(otherMajor(cluster, version.trim(), major));
  return true;
}

async function refuseUnlessEmpty(cluster: string): Promise<false> {
  if ((await readdir(cluster)).length === 0) return false;
  throw new StartupError(`${cluster} is not a PostgreSQL cluster; move it away, or set another DATA_DIR`);
}

const otherMajor = (cluster: string, theirs: string, ours: number) =>
  `${cluster} was made by PostgreSQL ${theirs}, this version brings ${ours}; dump and restore it with ` +
  `pg_dumpall of PostgreSQL ${theirs}, or set DATABASE_URL or another DATA_DIR`;
