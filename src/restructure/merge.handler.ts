import { MembersRepository } from '../access/members.repository.js';
import type { CollectionRow } from '../collections/collection.view.js';
import type { Source } from '../collections/placed.js';
import { checkSameShape, PointCopiesService } from '../collections/point-copies.service.js';
import { DomainError } from '../common/errors.js';
import { newId } from '../common/ids.js';
import { type EndedJob, type Handler, JobHandler, type RunningJob } from '../jobs/job-handler.js';
import { MemoryCopiesRepository } from '../memory/memory-copies.repository.js';
import { MessageCopiesRepository } from '../messages/message-copies.repository.js';
import { BusySessionsService } from '../sessions/busy-sessions.service.js';
import { HiddenSessionsService } from '../sessions/hidden-sessions.service.js';
import type { SessionRow } from '../sessions/session.view.js';
import { SessionCopiesService } from '../sessions/session-copies.service.js';
import { type MergeInput, ownerOf, permissionOf } from './merge.schemas.js';
import { MergeStatsService } from './merge-stats.service.js';
import { advance, has, type Merging, type Phase, progressOf, resultOf, type State } from './merging.js';
import { RestructuringService } from './restructuring.service.js';

/** Entries of memory copied at once. */
const ENTRIES = 200;

/**
 * Makes one session out of several: hidden until it is whole, page by page, and every page is written together with how far
 * the merge is, or can be told from one that is not. Killed anywhere, it goes on; run twice, it changes nothing.
 */
@JobHandler('merge')
export class MergeHandler implements Handler {
  constructor(
    private readonly restructuring: RestructuringService,
    private readonly busy: BusySessionsService,
    private readonly hidden: HiddenSessionsService,
    private readonly copies: SessionCopiesService,
    private readonly messages: MessageCopiesRepository,
    private readonly memory: MemoryCopiesRepository,
    private readonly members: MembersRepository,
    private readonly points: PointCopiesService,
    private readonly stats: MergeStatsService,
  ) {}

  async run(job: RunningJob) {
    const before = job.cursor as State | null;
    if (before?.phase === 'done') return resultOf(before);
    const merging = await this.begin(job);
    while (merging.state.phase !== 'done') await this.phases[merging.state.phase](merging);
    return resultOf(merging.state);
  }

  abandon({ job_id, cursor }: EndedJob): Promise<void> {
    const state = cursor as State | null;
    return this.restructuring.abandon(job_id, state ? [state.target] : []);
  }

  private readonly phases: Record<Exclude<Phase, 'done'>, (merging: Merging) => Promise<void>> = {
    messages: (merging) => this.copyMessages(merging),
    memory: (merging) => this.copyMemory(merging),
    points: (merging) => this.copyPoints(merging),
    stats: (merging) => this.copyStats(merging),
    finish: (merging) => this.finish(merging),
  };

  private async begin(job: RunningJob): Promise<Merging> {
    const input = job.input as unknown as MergeInput;
    let merging!: Merging;
    await job.fence(async () => {
      const sources = await this.restructuring.take(job, permissionOf(input));
      const before = job.cursor as State | null;
      const isThere = before !== null && (await this.restructuring.isThere(before.target));
      const state = isThere ? before : await this.make(job, input, sources);
      merging = { job, input, sources, state };
      return { cursor: state, progress: progressOf(merging) };
    });
    return merging;
  }

  private async make(job: RunningJob, input: MergeInput, sources: SessionRow[]): Promise<State> {
    const first = sources[0]!;
    const { tags, description = null, metadata } = input;
    const session = this.copies.derived(first, {
      ...{ id: input.session_id ?? newId(), user_id: ownerOf(input, first), tags, description },
      ...titleOf(input, first),
      ...(metadata ? { metadata } : {}),
      lineage: { kind: 'merge', session_ids: [...job.sessionIds] },
    });
    return {
      target: await this.restructuring.make(session, job),
      session_id: session.id,
      phase: 'messages',
      reached: sources.map(() => 0),
      ...{ source: 0, after: null, messages: 0, memory: 0, read: 0, points: 0, remapped: 0 },
    };
  }

  private async copyMessages(merging: Merging): Promise<void> {
    const { job, sources, state } = merging;
    if (has(merging, 'messages')) {
      const upTo = sources.map(({ message_count }) => message_count);
      await this.restructuring.copyMessages(
        job,
        sources,
        state.target,
        state.reached,
        upTo,
        (reached, copied) => advance(merging, { reached, messages: merging.state.messages + copied }),
      );
      const whole = upTo.reduce((sum, count) => sum + count, 0);
      if (merging.state.messages !== whole) throw messagesDiffer(whole, merging.state.messages);
    }
    await this.enter(merging, 'memory');
  }

  /** Of two entries with the same key the later one stays. */
  private async copyMemory(merging: Merging): Promise<void> {
    const { job, sources, input } = merging;
    if (has(merging, 'memory')) {
      if (input.on_memory_conflict === 'fail') await this.refuseConflicts(sources);
      while (merging.state.source < sources.length) await this.copyEntries(merging);
      await this.restructuring.write(job, merging.state.target, async () =>
        advance(merging, { memory: await this.memory.settle(merging.state.target) }),
      );
    }
    await this.enter(merging, 'points');
  }

  private copyEntries(merging: Merging): Promise<void> {
    const { job, sources, state } = merging;
    const { target, source, after } = state;
    return this.restructuring.write(job, target, async () => {
      const page = await this.memory.add(
        sources[source]!.key,
        target,
        (after as number | null) ?? 0,
        ENTRIES,
      );
      return advance(merging, page === null ? { source: source + 1, after: null } : { after: page });
    });
  }

  private async refuseConflicts(sources: SessionRow[]): Promise<void> {
    const name = await this.memory.findConflict(sources.map(({ key }) => key));
    if (name !== null)
      throw new DomainError('conflict', 'memory_conflict', `Sources keep different things under ${name}.`);
  }

  private async copyPoints(merging: Merging): Promise<void> {
    const from = has(merging, 'vectors') ? await this.pointSources(merging.sources) : [];
    const some = from.filter((source) => source !== null);
    if (some.length > 0) {
      const like = some.map(({ collection }) => collection);
      // again: between a job that failed and its retry anybody may have made another collection
      checkSameShape(like);
      const target = await this.points.prepare(merging.state.target, like);
      while (merging.state.source < from.length)
        await this.copyPointsOf(merging, from[merging.state.source]!, target);
      await this.checkRead(merging, like);
      merging.state = { ...merging.state, points: await this.points.count(target) };
    }
    await this.enter(merging, 'stats');
  }

  private async copyStats(merging: Merging): Promise<void> {
    if (has(merging, 'stats')) await this.stats.copy(merging);
    await this.enter(merging, 'finish');
  }

  private async copyPointsOf(merging: Merging, from: Source | null, target: CollectionRow): Promise<void> {
    const { source, after, read } = merging.state;
    if (from !== null) {
      const { on_point_conflict } = merging.input;
      const pages = this.points.copy(from, target, read === 0, on_point_conflict, after as string | null);
      for await (const { last, ...page } of pages) {
        const { read, remapped } = merging.state;
        const counts = { read: read + page.read, remapped: remapped + page.remapped };
        await step(merging, { ...counts, after: last ?? merging.state.after });
      }
    }
    await step(merging, { source: source + 1, after: null });
  }

  private async checkRead({ state }: Merging, collections: CollectionRow[]): Promise<void> {
    let there = 0;
    for (const collection of collections) there += await this.points.count(collection);
    if (there !== state.read) throw pointsDiffer(state.read, there);
  }

  /** In the places of their sessions; null where there is none: one that is not made yet has no points. */
  private async pointSources(sources: SessionRow[]): Promise<(Source | null)[]> {
    const collections = await this.points.findAll(sources.map(({ key }) => key));
    return sources.map(({ id, key }) => {
      const collection = collections.get(key);
      return collection?.state === 'ready' ? { id, collection } : null;
    });
  }

  /** Everything shows in one moment: the target, and what became of the sources. */
  private finish(merging: Merging): Promise<void> {
    const { job, input, state } = merging;
    const { target, session_id } = state;
    return this.restructuring.write(job, target, async () => {
      const sources = await this.restructuring.take(job, permissionOf(input));
      await this.entitle(merging, sources[0]!);
      const keys = sources.map(({ key }) => key);
      await this.members.unite(keys, target, ownerOf(input, sources[0]!));
      const session_ids = sources.map(({ id }) => id);
      const payload = { session_ids, up_to_seq: state.messages };
      await this.hidden.show(target, [{ type: 'session.merged', payload }]);
      if (input.archive_sources) {
        const merged = { type: 'session.merged', payload: { into: session_id } };
        const released = { archive: true, lineage: { merged_into: session_id }, events: [merged] };
        for (const source of sources) await this.busy.release(source, released);
      }
      await this.busy.free(job.id);
      return { ...advance(merging, { phase: 'done' }), isCommitted: true };
    });
  }

  /** A title that was made from a message goes with its copy. */
  private async entitle({ input, state }: Merging, { key, title, title_seq }: SessionRow): Promise<void> {
    if (input.title || !title_seq) return;
    const seq = await this.messages.findCopy(key, title_seq, state.target);
    if (seq !== null) await this.hidden.entitle(state.target, title, seq);
  }

  private enter(merging: Merging, phase: Phase): Promise<void> {
    return step(merging, { phase, source: 0, after: null });
  }
}

async function step(merging: Merging, changes: Partial<State>): Promise<void> {
  const { cursor, progress } = advance(merging, changes);
  await merging.job.step(cursor, progress);
}

/** One that the first source was given is given to the target too. */
function titleOf({ title }: MergeInput, first: SessionRow) {
  if (title) return { title, title_seq: 0 };
  return first.title_seq === 0 ? { title: first.title, title_seq: 0 } : { title: '', title_seq: null };
}

const pointsDiffer = (read: number, there: number) =>
  new DomainError(
    'conflict',
    'points_changed',
    `${there} points are there, ${read} were read: somebody wrote to a collection itself meanwhile.`,
  );

/** Nothing that trying again would mend. */
const messagesDiffer = (expected: number, copied: number) =>
  new DomainError('conflict', 'messages_incomplete', `${copied} of ${expected} messages were found.`);
