import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { isRunning } from '../../../src/database/embedded/processes.js';
import { eventually, type Line, postmasterPid, query, workshop } from './launcher.js';

const shop = workshop();
beforeAll(shop.open);
afterEach(shop.clear);
afterAll(shop.close);

const newDataDir = async () => join(await shop.folder(), 'data');

async function started(dataDir: string) {
  const launched = shop.start({ dataDir });
  const { url, ms, refused } = await launched.outcome();
  expect(refused).toBeUndefined();
  return { ...launched, url, ms, pid: await postmasterPid(dataDir) };
}

const writeRow = (url: string | undefined) =>
  query(url, `CREATE TABLE kept (word text); INSERT INTO kept VALUES ('written')`);
const readRows = async (url: string | undefined) =>
  (await query(url, 'SELECT word FROM kept')).map((r) => r.word);

const restarts = (lines: Line[], times: number) =>
  eventually(
    () => lines.filter((line) => line.msg === 'PostgreSQL runs again').length === times,
    () => `not ${times} restarts in ${JSON.stringify(lines)}`,
  );

test('starts on an empty folder, stops in good order, and starts again on the same data', async () => {
  const dataDir = await newDataDir();
  const first = await started(dataDir);
  await writeRow(first.url);
  await first.stop();
  expect(isRunning(first.pid)).toBe(false);
  await expect(stat(join(dataDir, 'postgres/postmaster.pid'))).rejects.toThrow('ENOENT');

  const second = await started(dataDir);
  expect(await readRows(second.url)).toEqual(['written']);
  console.info(`first start ${first.ms} ms, restart ${second.ms} ms`);
});

test('makes a cluster that is safe, closed and sorts by code point', async () => {
  const dataDir = await newDataDir();
  const { url } = await started(dataDir);
  const [row] = await query(
    url,
    `SELECT current_database() AS db, current_user AS who, current_setting('fsync') AS fsync,
       current_setting('data_checksums') AS checksums, current_setting('listen_addresses') AS listens,
       current_setting('unix_socket_directories') AS sockets, current_setting('server_encoding') AS encoding,
       current_setting('max_connections') AS connections, lower('ÄÖÜ ПРИВЕТ') AS lower, 'Z' < 'a' AS sorted,
       (SELECT rolpassword LIKE 'SCRAM-SHA-256%' FROM pg_authid WHERE rolname = current_user) AS scram`,
  );
  expect(row).toEqual({
    ...{ db: 'session_service', who: 'session_service', fsync: 'on', checksums: 'on', scram: true },
    ...{
      listens: '127.0.0.1',
      sockets: '',
      encoding: 'UTF8',
      connections: '100',
      lower: 'äöü привет',
      sorted: true,
    },
  });
  await query(url, 'CREATE EXTENSION pg_trgm');
  expect(await query(url, `SELECT cardinality(show_trgm('привет')) AS n`)).toEqual([{ n: 7 }]);
  const mode = async (name: string) => ((await stat(join(dataDir, name))).mode & 0o777).toString(8);
  expect(await Promise.all(['postgres', 'postgres.password', 'postgres.log'].map(mode))).toEqual([
    '700',
    '600',
    '600',
  ]);
  const wrong = url?.replace(/:[^:@]+@/, ':wrong@');
  await expect(query(wrong, 'SELECT 1')).rejects.toThrow('password authentication failed');
});

test('takes over the server of a killed process', async () => {
  const dataDir = await newDataDir();
  const first = await started(dataDir);
  await writeRow(first.url);
  await first.kill();
  const second = await started(dataDir);
  expect(second.pid).toBe(first.pid);
  expect(second.url).toBe(first.url);
  expect(await readRows(second.url)).toEqual(['written']);
  await second.stop();
  expect(isRunning(first.pid)).toBe(false);
});

test('starts a killed server again on the same port, as often as need be', async () => {
  const dataDir = await newDataDir();
  const { url, lines, ...first } = await started(dataDir);
  await writeRow(url);
  for (const times of [1, 2]) {
    const pid = await postmasterPid(dataDir);
    process.kill(pid, 'SIGKILL');
    await restarts(lines, times);
    expect(await postmasterPid(dataDir)).not.toBe(pid);
    expect(await readRows(url)).toEqual(['written']);
  }
  expect(lines.filter((line) => line.level === 'error').map((line) => line.msg)).toEqual([
    'PostgreSQL died; it is started again',
    'PostgreSQL died; it is started again',
  ]);
  await first.stop();
});

test('keeps every row that was acknowledged, through kills under load', async () => {
  const dataDir = await newDataDir();
  const { url, lines } = await started(dataDir);
  await query(url, 'CREATE TABLE acknowledged (n int)');
  const pool = new pg.Pool({ connectionString: url, max: 4 }).on('error', () => {});
  const seen: number[] = [];
  let writing = true;
  let next = 0;
  const writer = async () => {
    while (writing) {
      const n = next++;
      await pool.query('INSERT INTO acknowledged VALUES ($1)', [n]).then(
        () => seen.push(n),
        () => sleep(20),
      );
    }
  };
  const writers = [writer(), writer(), writer(), writer()];
  for (const times of [1, 2, 3]) {
    await sleep(500);
    process.kill(await postmasterPid(dataDir), 'SIGKILL');
    await restarts(lines, times);
  }
  await sleep(300);
  writing = false;
  await Promise.all(writers);
  await pool.end();
  const stored = new Set((await query(url, 'SELECT n FROM acknowledged')).map((row) => row.n));
  expect(seen.filter((n) => !stored.has(n))).toEqual([]);
  console.info(`${seen.length} acknowledged rows, none lost`);
});

test('takes over also a server it has to supervise from afar, and restarts it too', async () => {
  const dataDir = await newDataDir();
  const first = await started(dataDir);
  await first.kill();
  const second = await started(dataDir);
  process.kill(second.pid, 'SIGKILL');
  await second.line((line) => line.msg === 'PostgreSQL runs again');
  await writeRow(second.url);
});

test('starts after both processes were killed at once', async () => {
  const dataDir = await newDataDir();
  const first = await started(dataDir);
  await writeRow(first.url);
  process.kill(first.pid, 'SIGKILL');
  await first.kill();
  const second = await started(dataDir);
  expect(second.pid).not.toBe(first.pid);
  expect(await readRows(second.url)).toEqual(['written']);
});

test('does not start the server again when it stops while the server is down', async () => {
  const dataDir = await newDataDir();
  for (const laterMs of [0, 150, 300, 450, 520]) {
    const { pid, ...launched } = await started(dataDir);
    process.kill(pid, 'SIGKILL');
    await sleep(laterMs);
    await launched.stop();
    expect(await launched.ended).toBe(0);
    const left = await postmasterPid(dataDir).catch(() => pid);
    expect(isRunning(left)).toBe(false);
  }
});

test('refuses a second start in the folder, which does not hurt the first', async () => {
  const dataDir = await newDataDir();
  const first = await started(dataDir);
  const second = shop.start({ dataDir, servesAt: 'elsewhere' });
  expect(await second.outcome()).toEqual({
    name: 'StartupError',
    refused: `another Session Service (pid ${first.child.pid}, http://127.0.0.1:8002) already uses ${dataDir}; stop it, or set DATA_DIR and PORT`,
  });
  expect(await second.ended).toBe(1);
  await writeRow(first.url);
  expect(await postmasterPid(dataDir)).toBe(first.pid);
});

test('lets only one of two simultaneous first starts through', async () => {
  const dataDir = await newDataDir();
  const both = [shop.start({ dataDir }), shop.start({ dataDir })];
  const outcomes = await Promise.all(both.map((one) => one.outcome()));
  expect(outcomes.filter((outcome) => outcome.url)).toHaveLength(1);
  expect(outcomes.find((outcome) => outcome.refused)?.refused).toContain('already uses');
});

test('serves two folders at once', async () => {
  const [one, two] = await Promise.all([started(await newDataDir()), started(await newDataDir())]);
  await Promise.all([writeRow(one.url), query(two.url, 'CREATE TABLE other (n int)')]);
  expect(one.url).not.toBe(two.url);
  expect(await readRows(one.url)).toEqual(['written']);
  await expect(readRows(two.url)).rejects.toThrow('does not exist');
  await Promise.all([one.stop(), two.stop()]);
});

test('is not reached by Ctrl-C in the terminal, and holds no process open', async () => {
  const dataDir = await newDataDir();
  const first = await started(dataDir);
  process.kill(-(first.child.pid as number), 'SIGINT'); // the whole process group, as a terminal does
  await first.line((line) => line.interrupted);
  await writeRow(first.url);
  expect(await postmasterPid(dataDir)).toBe(first.pid);
  await first.stop();

  const letGo = shop.start({ dataDir, letGo: true });
  const { url } = await letGo.outcome();
  letGo.child.stdin?.end();
  expect(await letGo.ended).toBe(0);
  expect(await readRows(url)).toEqual(['written']); // left running, for the next start
});
