import { setTimeout as sleep } from 'node:timers/promises';
import { isRunning } from './processes.js';

/** Where the launcher reports; pino fits. */
export interface Log {
  info(o: object, msg: string): void;
  warn(o: object, msg: string): void;
  error(o: object, msg: string): void;
}

export interface Supervision {
  /** Ends the supervision, and a restart under way with it. Answers the last server's process id. */
  end(): Promise<number>;
}

const WATCH_MS = 200;
const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 5_000;
/** A server that lived this long has settled: the next restart waits the first pause again. */
const SETTLED_MS = 30_000;

/** Watches a server process and starts it again whenever it dies. Keeps no event loop alive. */
export function supervise(
  pid: number,
  restart: (signal: AbortSignal) => Promise<number>,
  log: Log,
): Supervision {
  const ending = new AbortController();
  const watched = { pid };
  const watching = watch(watched, restart, log, ending.signal);
  return {
    async end() {
      ending.abort();
      await watching;
      return watched.pid;
    },
  };
}

async function watch(
  server: { pid: number },
  restart: (signal: AbortSignal) => Promise<number>,
  log: Log,
  signal: AbortSignal,
): Promise<void> {
  let pauseMs = FIRST_PAUSE_MS;
  let since = Date.now();
  while (await idle(WATCH_MS, signal)) {
    if (isRunning(server.pid)) continue;
    if (Date.now() - since > SETTLED_MS) pauseMs = FIRST_PAUSE_MS;
    log.error({ pid: server.pid, pauseMs }, 'PostgreSQL died; it is started again');
    if (!(await idle(pauseMs, signal))) return;
    pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS);
    try {
      server.pid = await restart(signal);
      log.info({ pid: server.pid }, 'PostgreSQL runs again');
    } catch (error) {
      if (!signal.aborted) log.error({ err: error }, 'PostgreSQL did not start again');
    }
    since = Date.now();
  }
}

/** False: the supervision ended meanwhile. The timer holds no process open. */
function idle(ms: number, signal: AbortSignal): Promise<boolean> {
  return sleep(ms, true, { ref: false, signal }).catch(() => false);
}
