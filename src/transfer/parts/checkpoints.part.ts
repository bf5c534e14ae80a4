import { Injectable } from '@nestjs/common';
import {
  type CheckpointRecord,
  checkpointRecord,
  checkSizes,
  toRecord,
} from '../../sessions/checkpoint-record.js';
import { CheckpointTransferRepository } from '../../sessions/checkpoint-transfer.repository.js';
import { MOST_CHECKPOINTS } from '../../sessions/checkpoints.schemas.js';
import { HiddenSessionsService } from '../../sessions/hidden-sessions.service.js';
import type { SessionRow } from '../../sessions/session.view.js';
import type { SessionRecord } from '../../sessions/session-record.js';
import type { Typed } from '../format.js';
import { fault, type Opened, type Part, parsed, type Reader } from '../part.js';

@Injectable()
export class CheckpointsPart implements Part {
  readonly name = 'checkpoints';
  readonly scopes = { read: 'sessions:read', write: 'sessions:write' } as const;
  readonly types = ['checkpoint'];

  constructor(
    private readonly hidden: HiddenSessionsService,
    private readonly rows: CheckpointTransferRepository,
  ) {}

  async open({ key, checkpoint_n: last }: SessionRow): Promise<Opened> {
    return { count: await this.rows.count(key, last), pages: () => this.pages(key, last) };
  }

  private async *pages(session: number, last: number) {
    for (let after = 0; after < last; ) {
      const page = await this.rows.findPage(session, after, last);
      if (page.length === 0) return;
      yield page.map(toRecord);
      after = page.at(-1)!.n;
    }
  }

  reader(): Reader {
    return new CheckpointsReader((session, checkpoints, seconds) =>
      this.hidden.write(session, seconds, () => this.rows.insert(session, checkpoints)),
    );
  }
}

class CheckpointsReader implements Reader {
  private last = 0;
  private count = 0;

  constructor(
    readonly write: (session: number, taken: CheckpointRecord[], seconds: number) => Promise<void>,
  ) {}

  take(record: Typed): CheckpointRecord {
    const checkpoint = parsed(checkpointRecord, record);
    checkSizes(checkpoint);
    if (this.count > 0 && checkpoint.n !== this.last + 1) throw fault('/n', `must be ${this.last + 1}`);
    if (++this.count > MOST_CHECKPOINTS)
      throw fault('/n', `a session has at most ${MOST_CHECKPOINTS} checkpoints`);
    this.last = checkpoint.n;
    return checkpoint;
  }

  end({ checkpoint_n }: SessionRecord): void {
    if (this.last !== checkpoint_n)
      throw fault('/checkpoint_n', `the last checkpoint is ${this.last}, the session says ${checkpoint_n}`);
  }
}
