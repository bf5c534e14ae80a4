import { Injectable } from '@nestjs/common';
import { HiddenSessionsService } from '../../sessions/hidden-sessions.service.js';
import type { SessionRow } from '../../sessions/session.view.js';
import {
  type CountersRecord,
  checkSizes,
  countersRecord,
  type ReportRecord,
  reportRecord,
  toCountersRecord,
  toReportRecord,
} from '../../stats/stats-record.js';
import { StatsTransferRepository } from '../../stats/stats-transfer.repository.js';
import type { Typed } from '../format.js';
import { fault, NOTHING, type Opened, type Part, parsed, type Reader } from '../part.js';

type Taken = CountersRecord | ReportRecord;

/** What others counted for the session, and their reports on models; what messages come to follows from these. */
@Injectable()
export class StatsPart implements Part {
  readonly name = 'stats';
  readonly scopes = { read: 'stats:read', write: 'stats:write' } as const;
  readonly types = ['counters', 'model_report'];

  constructor(
    private readonly hidden: HiddenSessionsService,
    private readonly rows: StatsTransferRepository,
  ) {}

  /** What is reported from now on is not in it. */
  async open({ key }: SessionRow): Promise<Opened> {
    const found = await this.rows.find(key);
    if (!found) return NOTHING;
    return {
      count: (isCounted(found) ? 1 : 0) + found.reports,
      pages: () => this.pages(key, found.reports),
    };
  }

  private async *pages(session: number, last: number) {
    const counted = await this.rows.find(session);
    if (counted && isCounted(counted)) yield [toCountersRecord(counted)];
    for (let after = 0; after < last; ) {
      const page = await this.rows.findPage(session, after, last);
      if (page.length === 0) return;
      yield page.map(toReportRecord);
      after = page.at(-1)!.n;
    }
  }

  reader(): Reader {
    return new StatsReader((session, taken, seconds) =>
      this.hidden.write(session, seconds, () => {
        const counted = taken.find((one) => one.type === 'counters') ?? null;
        const reports = taken.filter((one) => one.type === 'model_report');
        return this.rows.insert(session, counted, reports);
      }),
    );
  }
}

const isCounted = (found: { counters: object; metadata: object }) =>
  Object.keys(found.counters).length > 0 || Object.keys(found.metadata).length > 0;

class StatsReader implements Reader {
  private isCounted = false;
  private n = 0;
  private time = '';

  constructor(readonly write: (session: number, taken: Taken[], seconds: number) => Promise<void>) {}

  take(record: Typed): Taken {
    return record.type === 'counters' ? this.takeCounters(record) : this.takeReport(record);
  }

  private takeCounters(record: Typed): CountersRecord {
    if (this.isCounted || this.n > 0) throw fault('/type', 'counters come once, before all reports');
    this.isCounted = true;
    const counted = parsed(countersRecord, record);
    checkSizes(counted);
    return counted;
  }

  private takeReport(record: Typed): ReportRecord {
    const report = parsed(reportRecord, record);
    if (report.n !== this.n + 1) throw fault('/n', `must be ${this.n + 1}`);
    if (report.reported_at < this.time) throw fault('/reported_at', 'is before that of the report before');
    this.n = report.n;
    this.time = report.reported_at;
    return report;
  }

  end(): void {}
}
