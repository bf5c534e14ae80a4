import { Injectable, type OnModuleInit } from '@nestjs/common';
import type { Caller } from '../common/caller.js';
import { Database } from '../database/database.js';
import { Sweeps } from '../jobs/sweeps.js';
import { StreamRepository } from './stream.repository.js';
import { type Total, TotalsRepository } from './totals.repository.js';

const BATCH = 5_000;
const WHO = 'service_totals';

/**
 * What sessions come to. Of a user it is counted when asked for; of the whole service it is folded in the background:
 * every change writes an event, so the events name the sessions to be counted anew, and no append touches a shared row.
 */
@Injectable()
export class TotalsService implements OnModuleInit {
  constructor(
    private readonly database: Database,
    private readonly stream: StreamRepository,
    private readonly totals: TotalsRepository,
    private readonly sweeps: Sweeps,
  ) {}

  onModuleInit(): void {
    this.sweeps.add('service totals', () => this.fold());
  }

  /** Over what the caller owns; for a service, over everything, as of the last fold. */
  async of(caller: Caller): Promise<{ totals: Total[]; asOf: Date }> {
    if (caller.userId === null)
      return { asOf: await this.stream.asOf(WHO), totals: await this.totals.folded() };
    const asOf = new Date();
    return { totals: await this.totals.recount(caller.userId), asOf };
  }

  /**
   * With writes stopped, folds what is left, and answers both sums: they must be equal. What time alone has done to a
   * session is in no event before somebody writes it down, so such sessions are counted anew too.
   */
  async prove(): Promise<{ folded: Total[]; recounted: Total[] }> {
    while (await this.fold()) {}
    return this.database.run(async () => {
      await this.totals.stopWrites();
      await this.foldAll();
      await this.totals.fold(await this.totals.lapsed());
      return { folded: await this.totals.folded(), recounted: await this.totals.recount(null) };
    });
  }

  /**
   * All events there are, without waiting for those that older transactions may yet write before them: so the position
   * stays, and the next fold meets these again, which changes nothing.
   */
  private async foldAll(): Promise<void> {
    let position = await this.stream.waitFor(WHO);
    for (let isMore = true; isMore; ) {
      const { keys, count, ...end } = await this.stream.readAll(position, BATCH);
      if (count > 0) await this.totals.fold(keys);
      position = end;
      isMore = count === BATCH;
    }
  }

  /** The next events. They stand still behind the position, so that none is missed (see `settledAfter`). */
  private fold(): Promise<boolean> {
    return this.database.run(async () => {
      const start = await this.stream.lock(WHO);
      if (!start) return false;
      const { keys, count, as_of, settled_as_of, ...end } = await this.stream.readOn(start, BATCH);
      const isMore = count === BATCH;
      if (count > 0) await this.totals.fold(keys);
      await this.stream.move(WHO, count > 0 ? end : start, isMore ? as_of! : settled_as_of);
      return isMore;
    });
  }
}
