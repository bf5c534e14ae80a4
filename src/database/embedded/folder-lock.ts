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
    if (other !== 'gone' && other !== 'going') throw usedBy(other, dataDir);
    // A socket that is a file outlives its process; nobody listens on this one.
    if (other === 'gone' && isFile(address)) await rm(address, { force: true });
    await sleep(PAUSE_MS);
  }
  throw usedBy('silent', dataDir);
}

function usedBy(other: Holder | 'silent', dataDir: string): StartupError {
  const who = other === 'silent' ? '' : ` (pid ${other.pid}, ${other.servesAt})`;
  return new StartupError(
    `another Session Service${who} already uses ${dataDir}; stop it, or set DATA_DIR and PORT`,
  );
}

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
    socket.end(`${JSON.stringify(holder)}\n`, () => socket.destroy()); // who does not hang up cannot hold us
  });
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) =>
      error.code === 'EADDRINUSE' ? resolve(null) : reject(error),
    );
    server.listen(address, () => resolve(server.unref()));
  });
}

/**
 * `gone`: nobody listens any more; `going`: the holder hung up without a word, because it ends just now;
 * `silent`: it is there, and does not answer.
 */
function askHolder(address: string): Promise<Holder | 'gone' | 'going' | 'silent'> {
  return new Promise((resolve) => {
    let answer = '';
    const socket = connect(address);
    socket.setEncoding('utf8').setTimeout(ANSWER_MS, () => {
      resolve('silent');
      socket.destroy();
    });
    socket.on('data', (text) => {
      answer += text;
    });
    socket.on('error', ({ code }: NodeJS.ErrnoException) => {
      if (code === 'ECONNREFUSED' || code === 'ENOENT') resolve('gone');
    });
    socket.on('close', () => resolve(parseHolder(answer)));
  });
}

function parseHolder(answer: string): Holder | 'going' {
  try {
    return JSON.parse(answer) as Holder;
  } catch {
    return 'going';
  }
}
