import { type Handler, JobHandler, type RunningJob } from '../jobs/job-handler.js';
import { SessionStepsService } from '../sessions/session-steps.service.js';
import { begun, noted, reached, resultOf, type State } from './cleanup.js';
import { type Due, DueRepository, type Place } from './due.repository.js';

/** Sessions looked at by one statement, which holds none of them. */
const PAGE = 2_000;
const USERS = 100;
const USER_PAGE = 1_000;
/** Sessions held by one transaction: short enough to hold nobody up. */
const BATCH = 100;

interface Run {
  job: RunningJob;
  state: State;
}

/** Which of these sessions a step is due for, as they are now. */
type Judge = (keys: number[]) => Promise<Due[]>;

/**
 * Takes the steps that are due by the policies: one a session at most. Sessions are found without being held; under their locks they are judged again, so whoever
 * came between has his way. A step that was taken makes the next one due after the run began, so a page may be gone through again.
 */
@JobHandler('cleanup')
export class CleanupHandler implements Handler {
  constructor(
    private readonly due: DueRepository,
    private readonly steps: SessionStepsService,
  ) {}

  async run(job: RunningJob) {
    const before = job.cursor as unknown as State | null;
    const run = { job, state: before ?? begun(job.input.dry_run === true, await this.due.now()) };
    if (before === null) await advance(run, {});
    while (run.state.phase === 'rules') await this.nextPage(run);
    while (run.state.phase === 'limits') await this.nextUsers(run);
    return resultOf(run.state);
  }

  private async nextPage(run: Run): Promise<void> {
    const { as_of, after } = run.state;
    const { due, last } = await this.due.page(as_of, after as number, PAGE);
    if (last === null) {
      const isAnyoneLimited = await this.due.isAnyoneLimited();
      return advance(run, isAnyoneLimited ? { phase: 'limits', after: '' } : { phase: 'done' });
    }
    await this.take(run, due, (keys) => this.due.among(as_of, keys));
    await advance(run, { after: last });
  }

  private async nextUsers(run: Run): Promise<void> {
    const { users, last } = await this.due.usersBeyond(run.state.after as string, USERS);
    if (last === null) return advance(run, { phase: 'done' });
    for (const user of users) {
      await this.archiveBeyond(run, user);
      await advance(run, { after: user, within: null });
    }
    await advance(run, { after: last, within: null });
  }

  private async archiveBeyond(run: Run, user: string): Promise<void> {
    const { as_of } = run.state;
    const edge = run.state.within?.edge ?? (await this.edgeOf(as_of, user));
    if (edge === null) return;
    for (let place = run.state.within?.place ?? null; ; ) {
      const { due, last } = await this.due.beyond(as_of, user, edge, place, USER_PAGE);
      if (last === null) return;
      await this.take(run, due, (keys) => this.due.beyondAmong(as_of, user, edge, keys));
      place = last;
      await advance(run, { within: { edge, place } });
    }
  }

  /** The most active of the user's sessions that is one too many; null: none is. */
  private async edgeOf(now: string, user: string): Promise<Place | null> {
    let left = await this.due.limitOf(user);
    if (left === null) return null;
    for (let before: Place | null = null; ; ) {
      const page = await this.due.counted(now, user, before, USER_PAGE);
      for (const { place, isCounted } of page) if (isCounted && left-- === 0) return place;
      if (page.length === 0) return null;
      before = page.at(-1)!.place;
    }
  }

  private async take(run: Run, due: Due[], judge: Judge): Promise<void> {
    if (run.state.dry_run) {
      run.state = noted(run.state, due);
      return;
    }
    for (let at = 0; at < due.length; at += BATCH) {
      const keys = due.slice(at, at + BATCH).map(({ key }) => key);
      const held = await this.takeHeld(run, judge, () => this.steps.hold(keys));
      const others = keys.filter((key) => !held.includes(key));
      for (const key of others) await this.takePatiently(run, judge, key);
    }
  }

  /** One that somebody holds all the time is passed over until the next run. */
  private async takePatiently(run: Run, judge: Judge, key: number): Promise<void> {
    try {
      await this.takeHeld(run, judge, () => this.steps.holdPatiently(key));
    } catch (error) {
      if (!this.steps.isStillHeld(error)) throw error;
    }
  }

  /** Takes what is still due of what can be held, in one transaction with how far the job is; answers what was held. */
  private async takeHeld(run: Run, judge: Judge, hold: () => Promise<number[]>): Promise<number[]> {
    let held: number[] = [];
    let after = run.state;
    await run.job.fence(async () => {
      held = await hold();
      const due = held.length > 0 ? await judge(held) : [];
      const keysOf = (action: string) => due.filter((one) => one.action === action).map(({ key }) => key);
      const [archived, deleted, purged] = [keysOf('archive'), keysOf('delete'), keysOf('purge')];
      if (archived.length > 0) await this.steps.archive(archived);
      if (deleted.length > 0) await this.steps.delete(deleted, 'retention');
      if (purged.length > 0) await this.steps.purge(purged);
      after = noted(run.state, due);
      return reached(after);
    });
    run.state = after;
    return held;
  }
}

async function advance(run: Run, changes: Partial<State>): Promise<void> {
  run.state = { ...run.state, ...changes };
  const { cursor, progress } = reached(run.state);
  await run.job.step(cursor, progress);
}
