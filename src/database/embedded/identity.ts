import { readFile } from 'node:fs/promises';
import { StartupError } from '../../common/startup-error.js';
import type { Binaries } from './binaries.js';
import { type DataFolder, type Owner, ownerOf, weAreRoot } from './data-folder.js';
import { type Call, run } from './processes.js';

/** Who runs PostgreSQL, which refuses to be run by root. */
export interface Identity {
  /** as messages name it */
  readonly name: string;
  /** whom the files of the cluster must belong to; undefined: they are ours as they are */
  readonly owner?: Owner;
  call(program: string, args: readonly string[]): Call;
}

/**
 * Chooses who runs PostgreSQL: we; or, as root, an ordinary user who reaches the data folder and the binaries;
 * or, where no such user does, root without its powers. Whoever ran the cluster before comes first.
 * @throws StartupError when nobody can, with the reason for each
 */
export async function chooseIdentity(
  folder: DataFolder,
  binaries: Binaries,
  cluster: 'exists' | 'is to be made',
): Promise<Identity> {
  const reasons: string[] = [];
  for (const identity of await candidates(folder, binaries)) {
    if (process.platform === 'win32') return identity;
    const { ok, output } = await run(trial(identity, folder, binaries, cluster === 'is to be made'));
    if (ok) return identity;
    reasons.push(`${identity.name}: ${output.split('\n').at(-1)}`);
  }
  const cure = weAreRoot() ? 'move the service and DATA_DIR to where the user nobody may enter, or ' : '';
  throw new StartupError(
    `nobody here can run PostgreSQL on ${folder.path} (${reasons.join('; ')}); ${cure}set DATABASE_URL`,
  );
}

/** Runs a binary from within the data folder; initdb also wants the user to have a name. */
function trial(identity: Identity, folder: DataFolder, { initdb }: Binaries, named: boolean): Call {
  const script = `${named ? 'id -un && ' : ''}cd "$1" && "$2" --version`;
  return identity.call('/bin/sh', ['-c', script, 'sh', folder.path, initdb]);
}

async function candidates(folder: DataFolder, binaries: Binaries): Promise<Identity[]> {
  const nobody = await findNobody();
  const callWith = callsFor(binaries);
  const namespace = ['unshare', '--user', `--map-user=${nobody.uid}`, `--map-group=${nobody.gid}`, '--'];
  const inNamespace = { name: 'our user in a namespace', call: callWith(namespace) };
  const linux = process.platform === 'linux';
  // The namespace gives a nameless user a name.
  if (!weAreRoot()) return [{ name: 'our user', call: callWith([]) }, ...(linux ? [inNamespace] : [])];

  const before = (await ownerOf(folder.cluster)) ?? stranger(await ownerOf(folder.path));
  const drop = (name: string, owner: Owner) => ({ name, owner, call: callWith([], owner) });
  const ways: Identity[] = [drop('the user nobody', nobody)];
  if (before && before.uid !== 0) ways.push(drop(`the user with id ${before.uid}`, before));
  if (linux) {
    ways.push({ ...inNamespace, name: 'root in a namespace', owner: { uid: 0, gid: 0 } });
    ways.push({ name: 'the user nobody by setpriv', owner: nobody, call: callWith(passThrough(nobody)) });
  }
  const earlier = (way: Identity) => Number(way.owner?.uid === before?.uid);
  return ways.sort((a, b) => earlier(b) - earlier(a));
}

/** Whoever has the data folder keeps what is made in it, except root, who cannot run PostgreSQL. */
const stranger = (owner: Owner | null) => (owner?.uid === 0 ? null : owner);

/**
 * Where namespaces are forbidden (Docker): a user with the one power to pass through closed folders. Without
 * the secure bit, access(2) would not count the power, and PostgreSQL asks it.
 */
function passThrough({ uid, gid }: Owner): string[] {
  const user = [`--reuid=${uid}`, `--regid=${gid}`, '--clear-groups', '--securebits=+no_setuid_fixup'];
  return ['setpriv', ...user, '--inh-caps=+dac_override', '--ambient-caps=+dac_override', '--'];
}

function callsFor({ libraryPath }: Binaries) {
  return (wrapper: readonly string[], user?: Owner) =>
    (program: string, args: readonly string[]): Call => {
      const [file, ...rest] = [...wrapper, program, ...args] as [string, ...string[]];
      // Ids are 32 bits, which spawn wants signed and chown unsigned (macOS has nobody as -2).
      const ids = user && { uid: user.uid | 0, gid: user.gid | 0 };
      return {
        file,
        args: rest,
        options: { cwd: '/', env: environment(libraryPath), windowsHide: true, ...ids },
      };
    };
}

/**
 * A fixed environment: PG* variables and locales of the caller's shell must not reach the server. TZ spares
 * initdb its search of all time zones.
 */
function environment(libraryPath: string | undefined): NodeJS.ProcessEnv | undefined {
  if (process.platform === 'win32') return undefined;
  const loader = process.platform === 'darwin' ? 'DYLD_LIBRARY_PATH' : 'LD_LIBRARY_PATH';
  return {
    PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    LC_ALL: 'C',
    TZ: 'UTC',
    ...(libraryPath === undefined ? {} : { [loader]: libraryPath }),
  };
}

/** An id with a name in the list of users, which initdb insists on. */
async function findNobody(): Promise<Owner> {
  const users = await readFile('/etc/passwd', 'utf8').catch(() => '');
  const [, uid = 65534, gid = 65534] = /^nobody:[^:]*:(-?\d+):(-?\d+):/m.exec(users) ?? [];
  return { uid: Number(uid) >>> 0, gid: Number(gid) >>> 0 };
}
