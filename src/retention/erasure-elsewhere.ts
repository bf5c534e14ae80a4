import { Injectable } from '@nestjs/common';
import { MemberErasureRepository } from '../access/member-erasure.repository.js';
import { SummariesRepository } from '../context/summaries.repository.js';
import { Derivations } from '../derived/derivations.js';
import { MemoryErasureRepository } from '../memory/memory-erasure.repository.js';
import { MemoryWritesRepository } from '../memory/memory-writes.repository.js';
import { MessageErasureRepository, type Place, type Trace } from '../messages/message-erasure.repository.js';
import { EmbeddingsRepository } from '../search/embeddings.repository.js';
import { TextsRepository } from '../search/texts.repository.js';
import { type HeldSession, SessionErasureRepository } from '../sessions/session-erasure.repository.js';
import type { Erasing } from './erasing.js';
import { ErasurePlacesRepository } from './erasure-places.repository.js';

/** Rows that are looked at, and changed, at once. */
const [LOOKED_AT, CHANGED] = [20_000, 200];

/** What a user did in sessions of others: he leaves them, what he wrote is taken out, and who did it is not told any more. */
@Injectable()
export class ErasureElsewhere {
  constructor(
    private readonly sessions: SessionErasureRepository,
    private readonly memberRows: MemberErasureRepository,
    private readonly messageRows: MessageErasureRepository,
    private readonly memoryRows: MemoryErasureRepository,
    private readonly spaces: MemoryWritesRepository,
    private readonly texts: TextsRepository,
    private readonly embeddings: EmbeddingsRepository,
    private readonly summaries: SummariesRepository,
    private readonly derivations: Derivations,
    private readonly places: ErasurePlacesRepository,
  ) {}

  /** First sessions that are shared with him, then members whom he added. */
  members(erasing: Erasing): Promise<boolean> {
    return erasing.state.part === 0 ? this.leave(erasing) : this.forgetAdder(erasing);
  }

  async messages(erasing: Erasing): Promise<boolean> {
    const { state, names } = erasing;
    if (state.redacted) {
      await this.withdraw(erasing, state.redacted);
      return true;
    }
    const place = (state.after as Place | null) ?? [0, 0];
    const { last, traces } = await this.messageRows.find(
      names,
      place,
      state.upTo,
      state.since,
      LOOKED_AT,
      CHANGED,
    );
    if (last === null) return false;
    const [first] = traces;
    if (!first) await erasing.step({ after: last });
    else
      await this.redact(
        erasing,
        traces.filter(({ session_key }) => session_key === first.session_key),
      );
    return true;
  }

  async memory(erasing: Erasing): Promise<boolean> {
    const { state, user } = erasing;
    const after = Number(state.after ?? 0);
    const { last, entries } = await this.memoryRows.find(user, after, state.since, LOOKED_AT, CHANGED);
    if (last === null) return false;
    const space = entries[0]?.space_key;
    if (space === undefined) {
      await erasing.step({ after: last });
      return true;
    }
    // those of one session that follow one another
    const end = entries.findIndex(({ space_key }) => space_key !== space);
    const some = end < 0 ? entries : entries.slice(0, end);
    await erasing.writeTo(this.isBusy(space), async () => {
      const reached = { after: some.at(-1)!.key };
      if (!(await this.lock(space, erasing))) return reached;
      await this.spaces.lockSpace(space);
      const gone = await this.memoryRows.remove(
        space,
        some.map(({ key }) => key),
        user,
      );
      const removed = some.filter(({ key }) => gone.includes(key));
      erasing.count('memory', removed.length, removed.filter(({ is_old }) => is_old).length);
      await this.places.note(erasing.job.id, [space]);
      await this.embeddings.note(
        gone.map((item) => ({ kind: 'entry' as const, place_key: space, item })),
        [],
      );
      await this.sessions.tell(
        space,
        removed.map(({ memory_id }) => ({
          type: 'memory.deleted',
          payload: { memory_id: `mem_${memory_id}` },
        })),
      );
      return reached;
    });
    return true;
  }

  private async leave(erasing: Erasing): Promise<boolean> {
    const { user, names, state } = erasing;
    const [session] = await this.memberRows.findShared(user, Number(state.after ?? 0), 1);
    if (session === undefined) {
      await erasing.step({ part: 1, after: null });
      return true;
    }
    await erasing.writeTo(this.isBusy(session), async () => {
      const row = await this.lock(session, erasing);
      const gone = row && (await this.memberRows.remove(session, user, state.since));
      if (!gone) return { after: session };
      erasing.count('memberships', 1, gone.is_old ? 1 : 0);
      const payload = { user_ids: [names.token], removed_by: names.token };
      await this.sessions.tellShared(session, row.is_hidden ? [] : [{ type: 'session.unshared', payload }]);
      return { after: session };
    });
    return true;
  }

  private async forgetAdder(erasing: Erasing): Promise<boolean> {
    const { user, names, state } = erasing;
    const after = (state.after as [number, string] | null) ?? [0, ''];
    const { last, sessions } = await this.memberRows.findAdded(user, after, LOOKED_AT);
    if (last === null) return false;
    for (const session of sessions)
      await erasing.writeTo(this.isBusy(session), async () => {
        if (await this.lock(session, erasing))
          erasing.count('replaced', await this.memberRows.replaceAdder(session, user, names.token));
        return {};
      });
    await erasing.step({ after: last });
    return true;
  }

  private redact(erasing: Erasing, traces: Trace[]): Promise<void> {
    const { session_key: key } = traces[0]!;
    return erasing.writeTo(this.isBusy(key), async () => {
      const reached = { after: [key, traces.at(-1)!.seq] };
      const session = await this.lock(key, erasing);
      if (!session) return reached;
      const old = traces.some(({ is_old }) => is_old);
      const seqsOf = (isHis: boolean) =>
        traces.filter(({ is_his }) => is_his === isHis).map(({ seq }) => seq);
      const replaced = await this.messageRows.unname(key, seqsOf(false), erasing.names);
      erasing.count('replaced', replaced, old ? replaced : 0);
      const his = await this.messageRows.redact(key, seqsOf(true), erasing.names);
      const seqs = his.map(({ seq }) => seq);
      erasing.count('redacted', his.length, old ? his.length : 0);
      if (seqs.length === 0) return reached;
      const isTitle = session.title_seq !== null && seqs.includes(session.title_seq);
      const told = his
        .filter(({ was_redacted }) => !was_redacted)
        .map(({ seq, message_id }) => ({ type: 'message.redacted', payload: { seq, message_id } }));
      await this.sessions.tellRedacted(
        key,
        isTitle,
        session.is_hidden ? [] : [...told, ...untitled(session, isTitle)],
      );
      await this.places.note(erasing.job.id, [key]);
      return { ...reached, redacted: { session: key, seqs } };
    });
  }

  /**
   * What was derived of them goes too. Whoever derives holds his place first and sessions afterwards, so this is not done while
   * the session is held; and who read them before they were redacted has written by the time that place is held.
   */
  private withdraw(erasing: Erasing, { session, seqs }: { session: number; seqs: number[] }): Promise<void> {
    return erasing.write(async () => {
      await this.derivations.hold();
      const items = seqs.map((item) => ({ kind: 'message' as const, place_key: session, item }));
      await this.texts.deleteMessages(items);
      await this.embeddings.note(items, []);
      await this.summaries.withdraw(session, seqs);
      return { redacted: null };
    });
  }

  private isBusy = (key: number) => () => this.sessions.isBusy(key);

  /** null: nothing is to be done in it, now or at all */
  private async lock(key: number, erasing: Erasing): Promise<HeldSession | null> {
    const session = await this.sessions.lock(key);
    if (!session || session.user_id === erasing.user) return null;
    if (session.legal_hold) erasing.hold(session.id);
    else if (session.busy_job !== null) erasing.wait();
    else return session;
    return null;
  }
}

const untitled = ({ agent_id, status }: HeldSession, isTitle: boolean) =>
  isTitle ? [{ type: 'session.updated', payload: { agent_id, status, updates: ['title'] } }] : [];
