import type { CollectionRow } from '../collections/collection.view.js';
import { PointCopiesService } from '../collections/point-copies.service.js';
import { DomainError } from '../common/errors.js';
import { newId } from '../common/ids.js';
import {
  type EndedJob,
  type Handler,
  JobHandler,
  type Progress,
  type RunningJob,
} from '../jobs/job-handler.js';
import { BusySessionsService } from '../sessions/busy-sessions.service.js';
import { HiddenSessionsService } from '../sessions/hidden-sessions.service.js';
import type { SessionRow } from '../sessions/session.view.js';
import { SessionCopiesService } from '../sessions/session-copies.service.js';
import { noSpace } from '../vectors/errors.js';
import { RestructuringService } from './restructuring.service.js';
import type { PartInput, SplitInput } from './split.schemas.js';

/** Points copied, or removed, at once. */
const POINTS = 200;

type Target = { key: number; session_id: string };

/** `copy` goes part by part, first messages, then points; from `remove` on the parts are there. */
type Phase = 'copy' | 'finish' | 'remove' | 'done';

/** How far a split is. Whoever goes on with it begins behind this. */
type State = {
  targets: Target[];
  phase: Phase;
  part: number;
  /** the last message of the part that is copied */
  reached: number;
  /** how many points of the part are copied; in `remove`, how many of all are removed */
  points: number;
  /** of all parts */
  done: number;
};

interface Splitting {
  job: RunningJob;
  input: SplitInput;
  source: SessionRow;
  state: State;
}

/** Makes several sessions out of parts of one: hidden until all of them are whole. Killed anywhere, it goes on; run twice, it changes nothing. */
@JobHandler('split')
export class SplitHandler implements Handler {
  constructor(
    private readonly restructuring: RestructuringService,
    private readonly busy: BusySessionsService,
    private readonly hidden: HiddenSessionsService,
    private readonly copies: SessionCopiesService,
    private readonly points: PointCopiesService,
  ) {}

  async run(job: RunningJob) {
    const input = job.input as unknown as SplitInput;
    const before = job.cursor as State | null;
    if (before?.phase === 'done') return resultOf(input, before);
    const splitting = await this.begin(job, input);
    while (splitting.state.phase !== 'done') await this.phases[splitting.state.phase](splitting);
    return resultOf(input, splitting.state);
  }

  abandon({ job_id, cursor }: EndedJob): Promise<void> {
    const state = cursor as State | null;
    return this.restructuring.abandon(job_id, state?.targets.map(({ key }) => key) ?? []);
  }

  private readonly phases: Record<Exclude<Phase, 'done'>, (splitting: Splitting) => Promise<void>> = {
    copy: (splitting) => this.copy(splitting),
    finish: (splitting) => this.finish(splitting),
    remove: (splitting) => this.remove(splitting),
  };

  private async begin(job: RunningJob, input: SplitInput): Promise<Splitting> {
    let splitting!: Splitting;
    await job.fence(async () => {
      const [source] = await this.restructuring.take(job, 'manage');
      const before = job.cursor as State | null;
      const state = before && (await this.goesOn(before)) ? before : await this.make(job, input, source!);
      splitting = { job, input, source: source!, state };
      return { cursor: state, progress: progressOf(splitting) };
    });
    return splitting;
  }

  /** Once the parts are shown there is no going back; before, all of them are still being made or none is. */
  private async goesOn({ phase, targets }: State): Promise<boolean> {
    return phase === 'remove' || (await this.restructuring.isThere(targets[0]!.key));
  }

  private async make(job: RunningJob, input: SplitInput, source: SessionRow): Promise<State> {
    const targets: Target[] = [];
    for (const part of input.parts) {
      const session = this.copies.derived(source, {
        ...{ id: newId(), user_id: source.user_id, title: part.title, title_seq: 0 },
        ...{ description: part.description ?? null, tags: part.tags ?? source.tags },
        ...(part.metadata ? { metadata: part.metadata } : {}),
        lineage: { kind: 'split', session_id: source.id, ...rangeOf(part) },
      });
      targets.push({ key: await this.restructuring.make(session, job), session_id: session.id });
    }
    return { targets, phase: 'copy', part: 0, reached: 0, points: 0, done: 0 };
  }

  private async copy(splitting: Splitting): Promise<void> {
    const { job, input, state } = splitting;
    const part = input.parts[state.part]!;
    const target = state.targets[state.part]!;
    if (part.from <= part.to) await this.copyMessages(splitting, part, target);
    if (part.point_ids.length > 0) await this.copyPoints(splitting, part, target);
    const isLast = state.part === input.parts.length - 1;
    const next = isLast ? ({ phase: 'finish' } as const) : { part: state.part + 1 };
    await step(job, advance(splitting, { ...next, reached: 0, points: 0 }));
  }

  private copyMessages(splitting: Splitting, { from, to }: PartInput, target: Target): Promise<void> {
    const { job, source, state } = splitting;
    const reached = Math.max(state.reached, from - 1);
    return this.restructuring.copyMessages(job, [source], target.key, [reached], [to], ([seq], copied) =>
      advance(splitting, { reached: seq!, done: splitting.state.done + copied }),
    );
  }

  private async copyPoints(splitting: Splitting, { point_ids }: PartInput, { key }: Target): Promise<void> {
    const from = await this.collectionOf(splitting.source);
    const to = await this.points.prepare(key, [from]);
    while (splitting.state.points < point_ids.length) {
      const { points, done } = splitting.state;
      const ids = point_ids.slice(points, points + POINTS);
      if ((await this.points.copyThese(from, to, ids)) < ids.length) throw pointsGone();
      await step(splitting.job, advance(splitting, { points: points + ids.length, done: done + ids.length }));
    }
  }

  /** Everything shows in one moment: all parts, and what became of the original. */
  private async finish(splitting: Splitting): Promise<void> {
    const { job, input, state } = splitting;
    await job.fence(async () => {
      const [source] = await this.restructuring.take(job, 'manage');
      for (const [at, { key }] of state.targets.entries()) {
        const { from, to } = input.parts[at]!;
        const payload = { session_id: source!.id, up_to_seq: Math.max(0, to - from + 1) };
        await this.hidden.show(key, [{ type: 'session.split', payload }]);
      }
      const into = state.targets.map(({ session_id }) => session_id);
      await this.busy.release(source!, {
        archive: input.archive_original,
        lineage: { split_into: into },
        events: [{ type: 'session.split', payload: { into } }],
        keepFor: input.remove_points ? job.id : null,
      });
      return {
        ...advance(splitting, { phase: input.remove_points ? 'remove' : 'done', points: 0 }),
        isCommitted: true,
      };
    });
  }

  /** To remove some again does no harm. */
  private async remove(splitting: Splitting): Promise<void> {
    const { job, input, source } = splitting;
    const ids = input.parts.flatMap(({ point_ids }) => point_ids);
    const from = await this.collectionOf(source);
    while (splitting.state.points < ids.length) {
      const { points } = splitting.state;
      const some = ids.slice(points, points + POINTS);
      await this.points.delete(from, some);
      await step(job, advance(splitting, { points: points + some.length }));
    }
    await job.fence(async () => {
      await this.busy.free(job.id);
      return advance(splitting, { phase: 'done' });
    });
  }

  private async collectionOf({ key }: SessionRow): Promise<CollectionRow> {
    const collection = (await this.points.findAll([key])).get(key);
    if (!collection) throw noSpace();
    return collection;
  }
}

const step = (job: RunningJob, { cursor, progress }: { cursor: State; progress: Progress }) =>
  job.step(cursor, progress);

/** What is written next is how far it is then. */
function advance(splitting: Splitting, changes: Partial<State>): { cursor: State; progress: Progress } {
  splitting.state = { ...splitting.state, ...changes };
  return { cursor: splitting.state, progress: progressOf(splitting) };
}

const progressOf = ({ input, state }: Splitting): Progress => ({
  phase: state.phase,
  done: state.done,
  total: input.parts.reduce((sum, part) => sum + messagesOf(part) + part.point_ids.length, 0),
});

const messagesOf = ({ from, to }: PartInput) => to - from + 1;

const rangeOf = ({ from, to }: PartInput): Record<string, number> =>
  from <= to ? { from_seq: from, to_seq: to } : {};

function resultOf({ parts, remove_points }: SplitInput, { targets }: State) {
  const sessions = parts.map((part, at) => ({
    session_id: targets[at]!.session_id,
    title: part.title,
    messages: messagesOf(part),
    points: part.point_ids.length,
  }));
  const points = sessions.reduce((sum, session) => sum + session.points, 0);
  return { sessions, removed_points: remove_points ? points : 0 };
}

const pointsGone = () =>
  new DomainError('conflict', 'points_changed', 'Points of a part are not there any more.');
