import { Injectable } from '@nestjs/common';
import { StatsCopiesRepository } from '../stats/stats-copies.repository.js';
import { advance, type Merging } from './merging.js';
import { RestructuringService } from './restructuring.service.js';

/** What was counted for the sources of a merge, and which models they used. */
@Injectable()
export class MergeStatsService {
  constructor(
    private readonly restructuring: RestructuringService,
    private readonly stats: StatsCopiesRepository,
  ) {}

  /** Counters are written as they come to, so that it does no harm to write them again; reports page by page, by time. */
  async copy(merging: Merging): Promise<void> {
    const { job, sources, state } = merging;
    const keys = sources.map(({ key }) => key);
    await this.restructuring.write(job, state.target, async () => {
      await this.stats.unite(keys, state.target);
      return advance(merging, {});
    });
    const reached = state.reported ?? keys.map(() => 0);
    const upTo = await this.stats.reports(keys);
    await this.restructuring.copy(this.stats, job, sources, state.target, reached, upTo, (reported) =>
      advance(merging, { reported }),
    );
  }
}
