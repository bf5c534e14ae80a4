import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { readFile, readlink } from 'node:fs/promises';

/** How a program is run: the arguments of `execFile` and `spawn`. */
export interface Call {
  readonly file: string;
  readonly args: string[];
  readonly options: { cwd: string; env?: NodeJS.ProcessEnv; uid?: number; gid?: number; windowsHide: true };
}

/** Runs a program to its end; never throws: `output` is what it said, or why it could not run. */
export function run(call: Call): Promise<{ ok: boolean; output: string }> {
  return new Promise((resolve) => {
    const done = (error: Error | null, stdout: string, stderr: string) =>
      resolve({ ok: error === null, output: (stderr || (error ? error.message : stdout)).trim() });
    try {
      execFile(call.file, call.args, call.options, done);
    } catch (error) {
      done(error as Error, '', ''); // e.g. EPERM when we may not change the user
    }
  });
}

/** Whether a process lives. One that ended and still waits to be collected by its parent does not. */
export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return false;
  }
  try {
    return !/^\d+ \(.*\) [ZX]/s.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return true; // no /proc here; elsewhere orphans are collected at once
  }
}

/** Whether a process is a postmaster of this folder: it works in it, or was started with `-D <folder>`. */
export async function isPostmasterOf(pid: number, folder: string): Promise<boolean> {
  // Another user's working folder cannot always be read (root in a container), its command line can.
  if ((await readlink(`/proc/${pid}/cwd`).catch(() => null)) === folder) return true;
  return `${await commandLine(pid)} `.includes(` -D ${folder} `);
}

async function commandLine(pid: number): Promise<string> {
  const ask = async (file: string, args: string[]) =>
    (await run({ file, args, options: { cwd: '/', windowsHide: true } })).output;
  if (process.platform === 'linux') {
    const raw = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
    return raw.split('\0').join(' ').trimEnd();
  }
  if (process.platform !== 'win32') return ask('ps', ['-ww', '-o', 'command=', '-p', `${pid}`]);
  const query = `(Get-CimInstance Win32_Process -Filter "ProcessId=${pid}").CommandLine`;
  return (await ask('powershell.exe', ['-NoProfile', '-Command', query])).replaceAll('"', '');
}
