import { availableParallelism } from 'node:os';
import { Injectable, type OnApplicationShutdown } from '@nestjs/common';
import type { Piscina } from 'piscina';

type Threads = Piscina<string[], number[]>;

/** Characters counted in one turn of a thread. Each request has one turn at a time, so that little need not wait for much. */
const TURN = 256 * 1024;

/** Counts tokens (o200k) in threads of their own, which end when there is nothing to count. */
@Injectable()
export class TokenCounter implements OnApplicationShutdown {
  private threads?: Promise<Threads>;

  async count(texts: string[]): Promise<number[]> {
    this.threads ??= startThreads();
    const threads = await this.threads;
    const counts: number[] = [];
    for (const turn of turnsOf(texts)) counts.push(...(await threads.run(turn)));
    return counts;
  }

  async onApplicationShutdown(): Promise<void> {
    await (await this.threads)?.destroy();
  }
}

/** Loaded when first needed: a start waits for nothing that it can do without. */
async function startThreads(): Promise<Threads> {
  const { Piscina } = await import('piscina');
  return new Piscina({
    filename: new URL('./count-tokens.mjs', import.meta.url).href,
    minThreads: 0,
    maxThreads: Math.max(1, availableParallelism() - 1),
    idleTimeout: 60_000,
  });
}

function turnsOf(texts: string[]): string[][] {
  const turns: string[][] = [];
  let size = Number.POSITIVE_INFINITY;
  for (const text of texts) {
    if (size + text.length > TURN) {
      turns.push([]);
      size = 0;
    }
    turns.at(-1)!.push(text);
    size += text.length;
  }
  return turns;
}
