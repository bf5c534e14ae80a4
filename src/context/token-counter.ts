import { availableParallelism } from 'node:os';
import { Injectable, type OnApplicationShutdown } from '@nestjs/common';
import { Piscina } from 'piscina';

/** Characters counted in one turn of a thread. Each request has one turn at a time, so that little need not wait for much. */
const TURN = 256 * 1024;

/** Counts tokens (o200k) in threads of their own, which end when there is nothing to count. */
@Injectable()
export class TokenCounter implements OnApplicationShutdown {
  private readonly threads = new Piscina<string[], number[]>({
    filename: new URL('./count-tokens.mjs', import.meta.url).href,
    minThreads: 0,
    maxThreads: Math.max(1, availableParallelism() - 1),
    idleTimeout: 60_000,
  });

  async count(texts: string[]): Promise<number[]> {
    const counts: number[] = [];
    for (const turn of turnsOf(texts)) counts.push(...(await this.threads.run(turn)));
    return counts;
  }

  async onApplicationShutdown(): Promise<void> {
    await this.threads.destroy();
  }
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
