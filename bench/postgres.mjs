// A PostgreSQL of Debian's (or whoever's pg_ctl and pgbench are on the PATH) with durable settings, for one benchmark.
import { execFile, execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import pg from 'pg';

const run = promisify(execFile);

/** Settings of a small server that loses nothing. */
const SETTINGS = {
  fsync: 'on',
  synchronous_commit: 'on',
  full_page_writes: 'on',
  shared_buffers: '1GB',
  max_wal_size: '8GB',
  checkpoint_timeout: '15min',
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
};

function binaries() {
  const debian = '/usr/lib/postgresql';
  const folders = [
    ...(process.env.PATH ?? '').split(':'),
    ...(existsSync(debian) ? readdirSync(debian).map((version) => join(debian, version, 'bin')) : []),
  ];
  const found = folders.find((folder) =>
    ['initdb', 'pgbench'].every((name) => existsSync(join(folder, name))),
  );
  if (!found) throw new Error('the benchmark needs initdb and pgbench: install postgresql');
  return found;
}

/** PostgreSQL refuses to run as root: then its files and processes are `postgres`'s, as Debian makes it. */
const owner = process.getuid() === 0 ? ['runuser', '-u', 'postgres', '--'] : [];
const asOwner = (command, ...args) => {
  const [file, ...rest] = [...owner, command, ...args];
  execFileSync(file, rest, { stdio: ['ignore', 'ignore', 'inherit'], cwd: '/' });
};

export async function startPostgres(port) {
  const bin = binaries();
  const folder = mkdtempSync(join(tmpdir(), 'session-service-bench-'));
  if (owner.length) execFileSync('chown', ['postgres', folder]);
  const data = join(folder, 'data');
  asOwner(join(bin, 'initdb'), '-D', data, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--locale=C.UTF-8');
  const options = Object.entries({ ...SETTINGS, port }).map(([name, value]) => `-c ${name}='${value}'`);
  asOwner(join(bin, 'pg_ctl'), '-D', data, '-w', '-l', join(data, 'log'), '-o', options.join(' '), 'start');
  const url = `postgres://postgres@127.0.0.1:${port}/postgres`;
  const pool = new pg.Pool({ connectionString: url, max: 4 });
  pool.on('error', () => undefined);
  const scripts = mkdtempSync(join(tmpdir(), 'session-service-pgbench-'));
  return {
    url,
    query: async (text, values) => (await pool.query(text, values)).rows,
    pgbench: (name, script, seconds, connections) =>
      pgbench(bin, port, join(scripts, name), script, seconds, connections),
    async stop() {
      await pool.end();
      asOwner(join(bin, 'pg_ctl'), '-D', data, '-m', 'fast', 'stop');
      for (const path of [folder, scripts]) rmSync(path, { recursive: true, force: true });
    },
  };
}

/** Transactions a second of one script, each client on a prepared statement of its own. */
async function pgbench(bin, port, file, script, seconds, connections) {
  writeFileSync(file, script);
  const args = ['-n', '-h', '127.0.0.1', '-p', port, '-U', 'postgres', '-M', 'prepared', '-f', file];
  const load = ['-c', connections, '-j', 2, '-T', seconds, 'postgres'];
  const { stdout } = await run(join(bin, 'pgbench'), [...args, ...load].map(String));
  return Number(/tps = ([\d.]+)/.exec(stdout)[1]);
}
