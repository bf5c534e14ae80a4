import type { Logger } from 'pino';
import type { HiddenSessionsService } from '../sessions/hidden-sessions.service.js';
import type { Taken } from './intake.js';
import { ofRecords } from './refusals.js';

/** Records are written together: as many, or as many bytes of lines. */
const BATCH = { records: 1000, bytes: 1024 * 1024 };
/** Nothing is written before so many bytes have been read, or all: what is refused early leaves nothing to be removed. */
const FIRST_BYTES = 4 * 1024 * 1024;

/** A session while it is being written, batch by batch; the next one is read meanwhile, and no more. */
export class Making {
  private key: number | null = null;
  private pending: Taken[] = [];
  private bytes = 0;
  private isBegun = false;
  private writing: Promise<void> = Promise.resolve();
  private timer: NodeJS.Timeout | null = null;

  constructor(
    private readonly lease: number,
    private readonly hidden: HiddenSessionsService,
    private readonly log: Logger,
    private readonly begin: () => Promise<number>,
  ) {}

  async add(taken: Taken): Promise<void> {
    this.pending.push(taken);
    this.bytes += taken.bytes;
    const isEnough = this.isBegun
      ? this.bytes >= BATCH.bytes || this.pending.length >= BATCH.records
      : this.bytes >= FIRST_BYTES;
    if (isEnough) await this.write();
  }

  /** Writes what is left; answers the key. */
  async finish(): Promise<number> {
    await this.write();
    await this.writing;
    return this.key!;
  }

  /** The purge removes what is there. */
  async giveUp(): Promise<void> {
    await this.writing.catch(() => undefined);
    if (this.key === null) return;
    await this.hidden
      .discard(this.key)
      .catch((err: unknown) => this.log.warn({ err }, 'an import is given up, and removed a little later'));
  }

  end(): void {
    if (this.timer) clearInterval(this.timer);
  }

  /** Waits for the batch before, not for this one. */
  private async write(): Promise<void> {
    const pending = this.pending;
    this.pending = [];
    this.bytes = 0;
    this.isBegun = true;
    await this.writing;
    this.writing = this.writeAll(pending);
    // whoever writes or finishes next is told
    this.writing.catch(() => undefined);
  }

  private async writeAll(pending: Taken[]): Promise<void> {
    this.key ??= await this.started();
    for (const batch of batchesOf(pending)) await this.writeBatch(this.key, batch);
  }

  private async writeBatch(key: number, batch: Taken[]): Promise<void> {
    const items = batch.map(({ item }) => item) as never[];
    await batch[0]!.reader.write(key, items, this.lease).catch((error: unknown) => {
      throw ofRecords(error);
    });
  }

  private async started(): Promise<number> {
    const key = await this.begin();
    this.timer = setInterval(() => this.renew(key), (this.lease / 3) * 1000).unref();
    return key;
  }

  /** What it does not put off the next batch finds out. */
  private renew(key: number): void {
    this.hidden
      .write(key, this.lease, async () => {})
      .catch((err: unknown) => this.log.info({ err }, 'an import could not be put off from the purge'));
  }
}

/** Records that follow one another and have one reader, so many at a time. */
function batchesOf(taken: Taken[]): Taken[][] {
  const batches: Taken[][] = [];
  let bytes = 0;
  for (const one of taken) {
    const last = batches.at(-1);
    const isNext = last?.[0]?.reader === one.reader;
    const fits = isNext && last.length < BATCH.records && bytes < BATCH.bytes;
    if (fits) last.push(one);
    else batches.push([one]);
    bytes = fits ? bytes + one.bytes : one.bytes;
  }
  return batches;
}
