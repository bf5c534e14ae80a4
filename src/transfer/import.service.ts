import { type BeforeApplicationShutdown, Inject, Injectable } from '@nestjs/common';
import type { Logger } from 'pino';
import type { Caller } from '../common/caller.js';
import { forbidden } from '../common/errors.js';
import { CHOSEN_ID, canonicalId, RESERVED_IDS } from '../common/ids.js';
import { Database } from '../database/database.js';
import { violates } from '../database/failures.js';
import { LOG } from '../http/log.js';
import { HiddenSessionsService } from '../sessions/hidden-sessions.service.js';
import type { SessionRow } from '../sessions/session.view.js';
import { SessionTransferService, type Wishes } from '../sessions/session-transfer.service.js';
import { SessionsService } from '../sessions/sessions.service.js';
import type { Counts, Manifest } from './format.js';
import { Intake } from './intake.js';
import { Making } from './making.js';
import { Parts } from './parts.js';

/** Seconds that a session is left hidden after the last sign of life of whoever makes it. */
const LEASE = 180;
/** Time for those that are nearly done when the process stops. */
const PATIENCE_MS = 10_000;
/** Each of them finds another who took the id in that moment. */
const SHOWN_TRIES = 5;

export interface Imported {
  session: SessionRow;
  counts: Counts;
}

/** Brings sessions in. Nobody sees one before all of its export has been read, and its digest is right. */
@Injectable()
export class ImportService implements BeforeApplicationShutdown {
  /** how to end those that run */
  private readonly running = new Set<() => void>();

  constructor(
    private readonly database: Database,
    private readonly sessions: SessionsService,
    private readonly transfer: SessionTransferService,
    private readonly hidden: HiddenSessionsService,
    private readonly parts: Parts,
    @Inject(LOG) private readonly log: Logger,
  ) {}

  /** Who has not sent all by then sends it again: the ids they asked for are free at once. */
  beforeApplicationShutdown(): void {
    setTimeout(() => {
      for (const abort of this.running) abort();
    }, PATIENCE_MS).unref();
  }

  /** @throws DomainError before anything is read: `forbidden` */
  check(wishes: Wishes, caller: Caller): void {
    this.transfer.checkWishes(wishes, caller);
  }

  /**
   * @param lines of an export as NDJSON, without their ends
   * @param abort ends them with an error
   * @throws DomainError for whatever makes it none, `forbidden`, `session_id_taken`, and what the stores say; nothing is left then
   */
  async run(
    lines: AsyncIterable<Buffer>,
    wishes: Wishes,
    caller: Caller,
    abort: () => void,
  ): Promise<Imported> {
    const planned: { session?: ReturnType<SessionTransferService['plan']> } = {};
    const intake = new Intake(
      this.parts.all,
      (record, manifest) => {
        planned.session = this.transfer.plan(record, wishes, formerOf(manifest), caller);
      },
      ({ scopes }) => {
        if (!caller.scopes.has(scopes.write)) throw forbidden(`The key lacks the scope ${scopes.write}.`);
      },
    );
    const isWished = wishes.session_id !== undefined;
    const making = new Making(LEASE, this.hidden, this.log, () =>
      this.transfer.begin(planned.session!, isWished, LEASE, caller),
    );
    this.running.add(abort);
    try {
      for await (const line of lines) {
        const taken = intake.take(line);
        if (taken) await making.add(taken);
      }
      intake.checkWhole();
      const key = await making.finish();
      return await this.show(key, intake, { session: planned.session!, isWished }, caller);
    } catch (error) {
      await making.giveUp();
      throw error;
    } finally {
      this.running.delete(abort);
      making.end();
    }
  }

  private async show(
    key: number,
    { session, manifest, tally }: Intake,
    plan: Parameters<SessionTransferService['show']>[2],
    caller: Caller,
  ): Promise<Imported> {
    const show = () =>
      this.database.run(async () => {
        const told = { from_session_id: manifest!.session_id, up_to_seq: tally.of('message') };
        await this.transfer.show(key, session!, plan, caller, told);
        return { session: await this.sessions.getByKey(key, caller), counts: tally.counts };
      });
    for (let tries = 1; ; tries++) {
      try {
        return await show();
      } catch (error) {
        // somebody else took the id meanwhile: nothing is shown yet, and who has it is seen now
        if (!violates(error, 'sessions_id') || tries === SHOWN_TRIES) throw error;
      }
    }
  }
}

/** An id that none may have here is replaced. */
function formerOf({ session_id, exported_at }: Manifest) {
  const isFit = CHOSEN_ID.test(session_id) && !RESERVED_IDS.has(session_id);
  return { session_id: isFit ? canonicalId(session_id) : null, exported_at };
}
