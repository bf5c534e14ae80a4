import { Injectable } from '@nestjs/common';
import { EventErasureRepository, type Telling } from '../events/event-erasure.repository.js';
import { MessageErasureRepository } from '../messages/message-erasure.repository.js';
import { SessionErasureRepository } from '../sessions/session-erasure.repository.js';
import type { Erasing } from './erasing.js';

/** Rows that are looked at, and changed, at once. */
const [LOOKED_AT, CHANGED] = [20_000, 200];

/** Where a user is named in what is told of others: in the log of events, and in where sessions are from. */
@Injectable()
export class ErasureOfTraces {
  constructor(
    private readonly sessions: SessionErasureRepository,
    private readonly messages: MessageErasureRepository,
    private readonly events: EventErasureRepository,
  ) {}

  traces(erasing: Erasing): Promise<boolean> {
    return erasing.state.part === 0 ? this.log(erasing) : this.lineages(erasing);
  }

  private async log(erasing: Erasing): Promise<boolean> {
    const { user, state } = erasing;
    const after = (state.after as [number, number] | null) ?? [0, 0];
    const { last, events } = await this.events.find(user, after, state.upTo, state.since, LOOKED_AT, CHANGED);
    if (last === null) {
      await erasing.step({ part: 1, after: null });
      return true;
    }
    const [first] = events;
    if (!first) await erasing.step({ after: last });
    else
      await this.rewrite(
        erasing,
        events.filter(({ aggregate_key }) => aggregate_key === first.aggregate_key),
      );
    return true;
  }

  /** Events of one session, or of one that is gone: of that only its number is left. */
  private rewrite(erasing: Erasing, events: Telling[]): Promise<void> {
    const { aggregate_key: key } = events[0]!;
    return erasing.write(async () => {
      const reached = { after: [key, events.at(-1)!.seq] };
      const session = await this.sessions.lock(key);
      if (session?.user_id === erasing.user && !session.legal_hold) return reached;
      for (const event of events) {
        const payload = await this.unnamed(event.payload, key, erasing);
        if (payload === null) continue;
        if (session?.legal_hold) erasing.hold(session.id);
        else {
          await this.events.setPayload({ ...event, payload });
          erasing.count('replaced', 1, event.is_old ? 1 : 0);
        }
      }
      return reached;
    });
  }

  private async lineages(erasing: Erasing): Promise<boolean> {
    const { user, state } = erasing;
    const { last, found } = await this.sessions.findLineages(
      user,
      Number(state.after ?? 0),
      state.upTo,
      LOOKED_AT,
    );
    if (last === null) return false;
    for (const key of found)
      await erasing.write(async () => {
        const session = await this.sessions.lock(key);
        const lineage = session && (await this.sessions.lineageOf(key));
        const unnamed = lineage && (await this.unnamed(lineage, key, erasing));
        if (!unnamed) return {};
        if (session.legal_hold) erasing.hold(session.id);
        else {
          await this.sessions.setLineage(key, unnamed);
          erasing.count('replaced', 1);
        }
        return {};
      });
    await erasing.step({ after: last });
    return true;
  }

  /** What is told of a session; null: it does not name him. */
  private async unnamed(value: Telling['payload'], key: number, { names }: Erasing) {
    const sessions = await this.sessions.without(names.sessionsIn(value));
    const messages = await this.messages.without(key, names.messagesIn(value));
    const unnamed = names.without(value, [...sessions, ...messages]);
    return JSON.stringify(unnamed) === JSON.stringify(value) ? null : unnamed;
  }
}
