// The built service as a process of its own, and what it used while it was measured.
import { execFileSync, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';

export const KEY = 'benchmark-key-0123456789';

export async function startService(databaseUrl, port) {
  execFileSync(process.execPath, ['scripts/build-if-stale.mjs'], { stdio: 'inherit' });
  const env = { PATH: process.env.PATH, DATABASE_URL: databaseUrl, PORT: String(port), LOG_LEVEL: 'warn' };
  const child = spawn(process.execPath, ['dist/src/main.js'], {
    env: { ...env, SERVICE_API_KEYS: `bench:${KEY}` },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const url = `http://127.0.0.1:${port}`;
  for (const begun = Date.now(); ; ) {
    if (child.exitCode !== null || Date.now() - begun > 30_000) throw new Error('the service did not start');
    if (
      await fetch(`${url}/health/ready`).then(
        (answer) => answer.ok,
        () => false,
      )
    )
      break;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return {
    url,
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
