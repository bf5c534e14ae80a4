import type { Worker, WorkerOptions } from 'node:worker_threads';

/** Milliseconds after which an answer is no longer waited for. */
const DEADLINE = 15_000;
/** Milliseconds without a call after which the thread ends, and gives its memory back. */
const IDLE = 300_000;

interface Call {
  worker: Worker;
  resolve(value: unknown): void;
  reject(error: unknown): void;
  timer: NodeJS.Timeout;
}

export class TookTooLong extends Error {}

/**
 * One thread that answers calls one after another; started when first needed, and again when it was lost. What it is
 * sent is `{id, until, call}`, what it answers `{id, value}` or `{id, error}`. It keeps no process from ending.
 */
export class Thread {
  private worker?: Promise<Worker>;
  private idle?: NodeJS.Timeout;
  private readonly calls = new Map<number, Call>();
  private last = 0;
  private isClosed = false;

  constructor(
    private readonly file: URL,
    private readonly options: WorkerOptions,
  ) {}

  /** Fails when the thread does, when it is lost, or when it takes too long. */
  async call(call: unknown): Promise<unknown> {
    if (this.isClosed) throw new Error('closed');
    clearTimeout(this.idle);
    this.worker ??= this.start();
    const worker = await this.worker;
    const id = ++this.last;
    const answer = new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.giveUp(id), DEADLINE);
      this.calls.set(id, { worker, resolve, reject, timer });
    });
    worker.ref();
    worker.postMessage({ id, until: Date.now() + DEADLINE, call });
    return answer.finally(() => {
      if (this.calls.size === 0) this.rest(worker);
    });
  }

  /** What takes so long must not keep others waiting: the thread ends with it. */
  private giveUp(id: number): void {
    this.take(id)?.reject(new TookTooLong());
    void this.end();
  }

  async close(): Promise<void> {
    this.isClosed = true;
    await this.end();
  }

  private async end(): Promise<void> {
    clearTimeout(this.idle);
    const worker = this.worker;
    this.worker = undefined;
    await (await worker)?.terminate();
  }

  private async start(): Promise<Worker> {
    const { Worker } = await import('node:worker_threads');
    const worker = new Worker(this.file, this.options);
    worker.on('message', ({ id, value, error }) => {
      const call = this.take(id);
      if (error) call?.reject(error);
      else call?.resolve(value);
    });
    const starting = this.worker;
    const lost = (error: unknown) => {
      // by now another one may have taken its place
      if (this.worker === starting) this.worker = undefined;
      for (const [id, call] of this.calls) if (call.worker === worker) this.take(id)?.reject(error);
    };
    worker.on('error', lost).on('exit', () => lost(new Error('the thread has ended')));
    return worker;
  }

  private take(id: number): Call | undefined {
    const call = this.calls.get(id);
    clearTimeout(call?.timer);
    this.calls.delete(id);
    return call;
  }

  private rest(worker: Worker): void {
    worker.unref();
    clearTimeout(this.idle);
    this.idle = setTimeout(() => this.end(), IDLE).unref();
  }
}
