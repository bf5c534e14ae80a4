import { type ChildProcess, spawn } from 'node:child_process';
import { createServer } from 'node:net';
import { Api } from './api.js';
import { SERVICE_KEY } from './app.js';

export interface Service {
  api: Api;
  url: string;
  pid: number;
  /** everything the process wrote */
  output(): string;
  /** a line to its standard input */
  write(line: string): void;
  kill(signal: NodeJS.Signals): void;
  /** resolves with the exit status, or the signal that ended it */
  exited: Promise<number | NodeJS.Signals>;
}

/** Starts the built service as a process of its own, the way `npm start` does, and waits until it is ready. */
export async function startService(
  environment: NodeJS.ProcessEnv,
  patienceMs = 30_000,
  entry = 'dist/src/main.js',
): Promise<Service> {
  const port = Number(environment.PORT ?? (await freePort()));
  const child = spawn(process.execPath, [entry], {
    env: {
      PATH: process.env.PATH,
      LOG_LEVEL: 'warn',
      SERVICE_API_KEYS: `tests:${SERVICE_KEY}`,
      ...environment,
      PORT: String(port),
    },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  const output = collect(child);
  const exited = new Promise<number | NodeJS.Signals>((resolve) =>
    child.once('exit', (code, signal) => resolve(signal ?? code ?? 0)),
  );
  const url = `http://127.0.0.1:${port}`;
  await ready(url, child, output, patienceMs);
  return {
    ...{ api: new Api(url), url, pid: child.pid!, output, exited },
    write: (line) => child.stdin!.write(`${line}\n`),
    kill: (signal) => child.kill(signal),
  };
}

/** A port nobody listens on at this moment. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}

function collect(child: ChildProcess): () => string {
  let text = '';
  for (const stream of [child.stdout!, child.stderr!]) {
    stream.setEncoding('utf8');
    stream.on('data', (chunk: string) => {
      text += chunk;
    });
  }
  return () => text;
}

async function ready(
  url: string,
  child: ChildProcess,
  output: () => string,
  patienceMs: number,
): Promise<void> {
  const deadline = Date.now() + patienceMs;
  while (Date.now() < deadline) {
    if (child.exitCode !== null || child.signalCode !== null)
      throw new Error(`the service ended: ${output()}`);
    const isReady = await fetch(`${url}/health/ready`).then(
      (response) => response.ok,
      () => false,
    );
    if (isReady) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  child.kill('SIGKILL');
  throw new Error(`the service was not ready in ${patienceMs} ms: ${output()}`);
}
