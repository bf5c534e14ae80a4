import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually } from './eventually.js';
import { freePort } from './service.js';

export interface RedisServer {
  url: string;
  /** starts it again, empty, after `stop` */
  start(): Promise<void>;
  stop(): Promise<void>;
  /** lets it answer nobody, with its connections open, until `resume` */
  pause(): void;
  resume(): void;
  /** a command without spaces in its words; answers what Redis says, as it says it */
  command(...words: string[]): Promise<string>;
  close(): Promise<void>;
}

/** A real Redis of its own, on loopback, that keeps nothing on disk. Without the binary the test fails. */
export async function startRedis(): Promise<RedisServer> {
  const port = await freePort();
  const folder = mkdtempSync(join(tmpdir(), 'session-service-redis-'));
  let child: ChildProcess;

  const command = (...words: string[]) =>
    new Promise<string>((resolve, reject) => {
      const socket = connect(port, '127.0.0.1', () => socket.write(`${words.join(' ')}\r\n`));
      socket.once('data', (answer) => {
        resolve(answer.toString().trim());
        socket.destroy();
      });
      socket.once('error', reject);
    });
  const start = async () => {
    const options = [
      '--port',
      String(port),
      '--bind',
      '127.0.0.1',
      '--dir',
      folder,
      '--save',
      '',
      '--appendonly',
      'no',
    ];
    child = spawn('redis-server', options, { stdio: 'ignore' });
    const failed = new Promise<never>((_, reject) =>
      child.once('error', (cause) =>
        reject(
          new Error('redis-server cannot be started: install it (apt-get install redis-server)', { cause }),
        ),
      ),
    );
    const isUp = eventually(
      () => command('PING').catch(() => ''),
      (answer) => answer === '+PONG',
    );
    await Promise.race([isUp, failed]);
  };
  const stop = () =>
    new Promise<void>((resolve) => {
      if (child.exitCode !== null || child.signalCode !== null) return resolve();
      child.once('exit', () => resolve());
      child.kill('SIGKILL');
    });
  await start();
  const close = async () => {
    await stop();
    rmSync(folder, { recursive: true, force: true });
  };
  const [pause, resume] = [() => void child.kill('SIGSTOP'), () => void child.kill('SIGCONT')];
  return { url: `redis://127.0.0.1:${port}`, start, stop, pause, resume, command, close };
}
