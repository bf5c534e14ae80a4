import { createHash } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { connect, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { StartupError } from '../../common/startup-error.js';

/** What the holder of a folder tells whoever else wants it. */
export interface Holder {
  readonly pid: number;
  readonly servesAt: string;
}

const ATTEMPTS = 20;
const PAUSE_MS = 50;
const ANSWER_MS = 2_000;

/**
 * Holds a data folder for this process. The lock is a listening local socket, so it goes with the process,
 * `kill -9` included, and leaves nothing stale behind. Answers how to let go.
 * @throws StartupError when another process holds the folder
 */
export async function holdFolder(
  dataDir: string,
  holder: Holder,
  address = lockAddress(dataDir),
): Promise<() => Promise<void>> {
  for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
    const server = await listen(address, holder);
    if (server !== null) return () => new Promise((resolve) => server.close(() => resolve()));
    const other = await askHolder(address);
    if (other !== 'gone') throw new StartupError(`${describe(other)} already uses ${dataDir}; ${CURE}`);
    // A socket that is a file outlives its process; nobody listens on this one.
    if (isFile(address)) await rm(address, { force: true });
    await sleep(PAUSE_MS);
  }
  throw new StartupError(`${describe('silent')} already uses ${dataDir}; ${CURE}`);
}

const CURE = 'stop it, or set DATA_DIR and PORT';

function lockAddress(dataDir: string): string {
  const hash = createHash('sha256').update(dataDir).digest('hex').slice(0, 32);
  if (process.platform === 'linux') return `\0session-service:${hash}`;
  if (process.platform === 'win32') return `\\\\.\\pipe\\session-service-${hash}`;
  return join(tmpdir(), `session-service-${hash}.sock`);
}

const isFile = (address: string) => !address.startsWith('\0') && !address.startsWith('\\\\');

/** Answers null when the address is taken. */
function listen(address: string, holder: Holder): Promise<Server | null> {
  const server = createServer((socket) => {
    socket.on('error', () => {}).unref();
    socket.end(`${JSON.stringify(holder)}\n`);
  });
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) =>
      error.code === 'EADDRINUSE' ? resolve(null) : reject(error),
    );
    server.listen(address, () => resolve(server.unref()));
  });
}

/** `gone`: nobody listens any more; `silent`: somebody does, but does not say who. */
function askHolder(address: string): Promise<Holder | 'gone' | 'silent'> {
  return new Promise((resolve) => {
    let answer = '';
    const socket = connect(address);
    socket.setEncoding('utf8').setTimeout(ANSWER_MS, () => socket.destroy());
    socket.on('data', (text) => {
      answer += text;
    });
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ECONNREFUSED' || error.code === 'ENOENT') resolve('gone');
    });
    socket.on('close', () => resolve(parseHolder(answer)));
  });
}

function parseHolder(answer: string): Holder | 'silent' {
  try {
    return JSON.parse(answer) as Holder;
  } catch {
    return 'silent';
  }
}

function describe(other: Holder | 'silent'): string {
  const who = other === 'silent' ? '' : ` (pid ${other.pid}, ${other.servesAt})`;
  return `another Session Service${who}`;
}
