// A server as a process of its own, and what it used while it was measured.
import { execFileSync, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';

/** The built service. */
export function startService(databaseUrl, port, more = {}) {
  execFileSync(process.execPath, ['scripts/build-if-stale.mjs'], { stdio: 'inherit' });
  const env = { DATABASE_URL: databaseUrl, PORT: String(port), LOG_LEVEL: 'warn', ...more };
  return start(asNpmStarts(), env, port, '/health/ready');
}

const asNpmStarts = () => JSON.parse(readFileSync('package.json', 'utf8')).scripts.start.split(' ').slice(1);

/** Fastify and a pool of connections, and nothing else. */
export const startBare = (databaseUrl, port, sessions) =>
  start(['bench/bare.mjs', databaseUrl, String(port), String(sessions)], {}, port, '/get');

async function start(args, env, port, readyPath) {
  const child = spawn(process.execPath, args, {
    env: { PATH: process.env.PATH, ...env },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const url = `http://127.0.0.1:${port}`;
  const isReady = () =>
    fetch(url + readyPath).then(
      (answer) => answer.ok,
      () => false,
    );
  for (const begun = Date.now(); !(await isReady()); ) {
    if (child.exitCode !== null || Date.now() - begun > 30_000)
      throw new Error(`${args.join(' ')} did not start`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return {
    url,
    pid: child.pid,
    /** CPU seconds so far */
    cpu: () => {
      const fields = readFileSync(`/proc/${child.pid}/stat`, 'utf8').split(') ')[1].split(' ');
      return (Number(fields[11]) + Number(fields[12])) / 100;
    },
    /** the most memory it ever held, in MB */
    peakMemory: () => {
      const status = readFileSync(`/proc/${child.pid}/status`, 'utf8');
      return Number(/VmHWM:\s+(\d+)/.exec(status)[1]) / 1024;
    },
    stop: () => new Promise((resolve) => child.once('exit', resolve) && child.kill('SIGTERM')),
  };
}
