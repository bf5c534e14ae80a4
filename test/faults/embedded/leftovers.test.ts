import { type ChildProcess, spawn } from 'node:child_process';
import { cp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { holdFolder } from '../../../src/database/embedded/folder-lock.js';
import { eventually, postmasterPid, query, run, workshop } from './launcher.js';

const shop = workshop();
const strangers: ChildProcess[] = [];
beforeAll(shop.open);
afterEach(async () => {
  for (const stranger of strangers.splice(0)) stranger.kill('SIGKILL');
  await shop.clear();
});
afterAll(shop.close);

const pidFile = (dataDir: string) => join(dataDir, 'postgres/postmaster.pid');

/** A new data folder whose server was killed together with its process. */
async function crashed(): Promise<string> {
  const dataDir = join(await shop.folder(), 'data');
  await run('cp', ['-a', await crashedOnce(), dataDir]);
  return dataDir;
}

let original: string | undefined;

async function crashedOnce(): Promise<string> {
  if (original !== undefined) return original;
  const dataDir = join(await shop.folder(), 'data');
  const first = shop.start({ dataDir });
  const { url } = await first.outcome();
  await query(url, `CREATE TABLE kept (word text); INSERT INTO kept VALUES ('written')`);
  process.kill(await postmasterPid(dataDir), 'SIGKILL');
  await first.kill();
  const kept = join(await shop.folder('755', 'for the suite'), 'data');
  await run('cp', ['-a', dataDir, kept]);
  original = kept;
  return kept;
}

async function expectStart(dataDir: string): Promise<string | undefined> {
  const outcome = await shop.start({ dataDir }).outcome();
  expect(outcome.refused).toBeUndefined();
  expect(await query(outcome.url, 'SELECT word FROM kept')).toEqual([{ word: 'written' }]);
  return outcome.url;
}

async function expectRefusal(dataDir: string): Promise<string> {
  const { refused, name } = await shop.start({ dataDir }).outcome();
  expect(name).toBe('StartupError');
  expect(refused).not.toContain('\n');
  return refused ?? '';
}

async function claimPid(dataDir: string, pid: number | string): Promise<void> {
  const [, ...rest] = (await readFile(pidFile(dataDir), 'utf8')).split('\n');
  await writeFile(pidFile(dataDir), [pid, ...rest].join('\n'));
}

function stranger(...command: [string, ...string[]]): ChildProcess {
  const child = spawn(command[0], command.slice(1), { stdio: ['ignore', 'pipe', 'inherit'] });
  strangers.push(child);
  return child;
}

test('starts although the old process number belongs to a stranger now', async () => {
  const dataDir = await crashed();
  const other = stranger('sleep', '600');
  await claimPid(dataDir, other.pid as number);
  await expectStart(dataDir);
  expect(other.exitCode).toBeNull();
});

test('starts although the old process is a zombie', async () => {
  const dataDir = await crashed();
  const parent = stranger('sh', '-c', 'sleep 0.3 & echo $!; exec sleep 600');
  const zombie = Number(String(await new Promise((resolve) => parent.stdout?.once('data', resolve))));
  await eventually(
    async () => (await readFile(`/proc/${zombie}/stat`, 'utf8')).includes(') Z'),
    () => 'no zombie',
  );
  await claimPid(dataDir, zombie);
  await expectStart(dataDir);
});

test('starts although postmaster.pid is empty', async () => {
  const dataDir = await crashed();
  await writeFile(pidFile(dataDir), '');
  await expectStart(dataDir);
});

test('starts on a copy of a folder whose server runs, without taking that server for its own', async () => {
  const dataDir = await crashed();
  const copy = join(await shop.folder(), 'copy');
  const url = await expectStart(dataDir);
  await query(url, 'CHECKPOINT');
  await cp(dataDir, copy, { recursive: true });
  await run('chown', ['-R', '--reference', join(dataDir, 'postgres'), join(copy, 'postgres')]);
  expect(await expectStart(copy)).not.toBe(url);
});

test.each(['there', 'gone'])(
  'waits for an orphaned backend that still works; postmaster.pid %s',
  async (file) => {
    const dataDir = join(await shop.folder(), 'data');
    const first = shop.start({ dataDir });
    const { url } = await first.outcome();
    await query(url, `CREATE TABLE kept (word text); INSERT INTO kept VALUES ('written')`);
    const busy = `DO $$ DECLARE until timestamptz := clock_timestamp() + '4 s';
    BEGIN WHILE clock_timestamp() < until LOOP END LOOP; END $$`;
    const orphan = query(url, busy).catch(() => 'lost its server');
    await sleep(300);
    process.kill(await postmasterPid(dataDir), 'SIGKILL');
    await first.kill();
    if (file === 'gone') await rm(pidFile(dataDir));
    await expectStart(dataDir);
    await orphan;
    expect(await readFile(join(dataDir, 'postgres.log'), 'utf8')).toContain(
      'pre-existing shared memory block',
    );
  },
);

test('removes what a kill in the middle of initdb left', async () => {
  const dataDir = join(await shop.folder(), 'data');
  const first = shop.start({ dataDir });
  const halfMade = async () =>
    (await readdir(dataDir).catch(() => [])).filter((name) => name.includes('.new-'));
  await eventually(
    async () => (await halfMade()).length > 0,
    () => 'initdb never began',
  );
  await sleep(200);
  await first.kill();
  expect(await halfMade()).toHaveLength(1);
  expect(await readdir(dataDir)).not.toContain('postgres');
  const { url, refused } = await shop.start({ dataDir }).outcome();
  expect(refused).toBeUndefined();
  expect(await halfMade()).toEqual([]);
  expect(await query(url, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
});

test('makes the database that a kill right after initdb left out', async () => {
  const dataDir = await crashed();
  const again = shop.start({ dataDir });
  const { url } = await again.outcome();
  await query(url?.replace(/session_service$/, 'postgres'), 'DROP DATABASE session_service WITH (FORCE)');
  await again.stop();
  const { url: last } = await shop.start({ dataDir }).outcome();
  expect(await query(last, 'SELECT current_database() AS name')).toEqual([{ name: 'session_service' }]);
});

test('refuses a cluster of another major version', async () => {
  const dataDir = await crashed();
  await writeFile(join(dataDir, 'postgres/PG_VERSION'), '15\n');
  expect(await expectRefusal(dataDir)).toBe(
    `${dataDir}/postgres was made by PostgreSQL 15, this version brings 18; dump and restore it with ` +
      'pg_dumpall of PostgreSQL 15, or set DATABASE_URL or another DATA_DIR',
  );
});

test('refuses a folder that is no cluster, a lost password, and a wrong one', async () => {
  const dataDir = await crashed();
  const password = join(dataDir, 'postgres.password');
  const right = await readFile(password, 'utf8');
  await writeFile(password, right.replace(/./g, 'x'));
  expect(await expectRefusal(dataDir)).toContain("is not the cluster's password");
  await rm(password);
  expect(await expectRefusal(dataDir)).toContain(`put ${password} back`);
  await writeFile(password, right);
  await expectStart(dataDir);

  const other = await shop.folder();
  await run('mkdir', [join(other, 'postgres')]);
  await writeFile(join(other, 'postgres/notes.txt'), 'mine');
  if (process.getuid?.() === 0) await run('chmod', ['711', other]);
  expect(await expectRefusal(other)).toContain('is not a PostgreSQL cluster');
});

test('quotes the last FATAL line when the server does not start, and rotates a long log', async () => {
  const dataDir = await crashed();
  const config = join(dataDir, 'postgres/postgresql.auto.conf');
  await writeFile(config, "shared_preload_libraries = 'nonsense'\n");
  await writeFile(join(dataDir, 'postgres.log'), Buffer.alloc(11 * 1024 * 1024, 'FATAL:  old\n'));
  expect(await expectRefusal(dataDir)).toMatch(
    /^PostgreSQL did not start: FATAL: {2}could not access file "nonsense"/,
  );
  await writeFile(config, '');
  await expectStart(dataDir);
  expect(await readdir(dataDir)).toContain('postgres.log.1');
  expect((await readFile(join(dataDir, 'postgres.log'), 'utf8')).length).toBeLessThan(100_000);
});

test('a lock that is a file is taken over when its process is gone, and only then', async () => {
  const address = join(await shop.folder(), 'lock.sock');
  const code = 'require("net").createServer().listen(process.argv[1], () => console.log(1))';
  const killed = stranger(process.execPath, '-e', code, address);
  await new Promise((resolve) => killed.stdout?.once('data', resolve));
  killed.kill('SIGKILL');
  await new Promise((resolve) => killed.once('close', resolve));

  const release = await holdFolder('/data', { pid: 1, servesAt: 'here' }, address);
  await expect(holdFolder('/data', { pid: 2, servesAt: 'there' }, address)).rejects.toThrow(
    'another Session Service (pid 1, here) already uses /data',
  );
  await release();
  await (await holdFolder('/data', { pid: 3, servesAt: 'there' }, address))();
});

test('a holder that says nothing is a holder all the same', async () => {
  const address = join(await shop.folder(), 'lock.sock');
  const silent = createServer().listen(address);
  await new Promise((resolve) => silent.once('listening', resolve));
  await expect(holdFolder('/data', { pid: 2, servesAt: '' }, address)).rejects.toThrow(
    'another Session Service already uses /data',
  );
  silent.close();
});
