import { chown, type FileHandle, open, rename, stat } from 'node:fs/promises';
import type { Owner } from './data-folder.js';

const MAX_BYTES = 10 * 1024 * 1024;
const TAIL_BYTES = 64 * 1024;

/** Opens the server's log to be appended to; what is over 10 MB steps aside as `<log>.1` first. */
export async function openLog(path: string, owner?: Owner): Promise<FileHandle> {
  const size = await stat(path).then(
    (found) => found.size,
    () => 0,
  );
  if (size > MAX_BYTES) await rename(path, `${path}.1`);
  const log = await open(path, 'a', 0o600);
  if (owner) await chown(path, owner.uid, owner.gid);
  return log;
}

/**
 * Why a server ended: its last FATAL line after `offset` bytes, else that of one of its processes, else the last
 * line. Orphans of an earlier server may still write to the same log.
 */
export async function lastWords(path: string, offset: number, pid: number): Promise<string> {
  const lines = await readLines(path, offset);
  const own = lines.findLast((line) => line.includes(`[${pid}] FATAL: `));
  const fatal = own ?? lines.findLast((line) => /\b(FATAL|PANIC): /.test(line));
  return fatal?.replace(/^.*?\b(?=(FATAL|PANIC): )/, '') ?? lines.at(-1) ?? 'it ended without a word';
}

async function readLines(path: string, offset: number): Promise<string[]> {
  const log = await open(path, 'r');
  try {
    const { size } = await log.stat();
    const from = Math.max(offset, size - TAIL_BYTES);
    const { buffer, bytesRead } = await log.read(Buffer.alloc(Math.max(0, size - from)), { position: from });
    return buffer.toString('utf8', 0, bytesRead).split('\n').filter(Boolean);
  } finally {
    await log.close();
  }
}
