import { randomUUID } from 'node:crypto';
import { ProvisioningService } from '../collections/provisioning.service.js';
import { JobErasureRepository } from '../jobs/job-erasure.repository.js';
import { type Handler, JobHandler, type RunningJob } from '../jobs/job-handler.js';
import { EmbeddingService } from '../search/embedding.service.js';
import { EmbeddingErasureRepository } from '../search/embedding-erasure.repository.js';
import { EmbeddingSpaces } from '../search/embedding-spaces.js';
import { Erasing, LOOKS, PHASES, type Phase, type State, waits } from './erasing.js';
import { receiptOf } from './erasure.schemas.js';
import { ErasureOfCopies } from './erasure-copies.js';
import { ErasureElsewhere } from './erasure-elsewhere.js';
import { ErasureOfOwn } from './erasure-own.js';
import { ErasurePlacesRepository } from './erasure-places.repository.js';
import { ErasureOfTraces } from './erasure-traces.js';

/** Places whose vectors are looked at, at once. */
const PLACES = 500;
/** Passes in a row that may meet what others are at, before the job is put off. */
const PATIENCE = 10;

/** Answers whether there may be more to do. */
type Work = (erasing: Erasing) => Promise<boolean>;

/**
 * Forgets a user. It walks everything there is, batch by batch, each written together with how far it is; killed anywhere, it
 * goes on. Who writes, shares, copies or merges meanwhile may do so behind its back, so it walks again until a whole pass has found
 * nothing that is older than itself: that pass is the proof of the receipt.
 */
@JobHandler('erasure')
export class ErasureHandler implements Handler {
  private readonly phases: Record<(typeof PHASES)[number], Work>;

  constructor(
    own: ErasureOfOwn,
    copies: ErasureOfCopies,
    elsewhere: ErasureElsewhere,
    traces: ErasureOfTraces,
    private readonly places: ErasurePlacesRepository,
    private readonly collections: ProvisioningService,
    private readonly embeddings: EmbeddingService,
    private readonly vectors: EmbeddingErasureRepository,
    private readonly spaces: EmbeddingSpaces,
    private readonly jobs: JobErasureRepository,
  ) {
    this.phases = {
      jobs: (erasing) => own.jobs(erasing),
      copies: (erasing) => copies.copies(erasing),
      sessions: (erasing) => own.sessions(erasing),
      members: (erasing) => elsewhere.members(erasing),
      messages: (erasing) => elsewhere.messages(erasing),
      memory: (erasing) => elsewhere.memory(erasing),
      traces: (erasing) => traces.traces(erasing),
      user: (erasing) => own.user(erasing),
    };
  }

  async run(job: RunningJob) {
    const before = job.cursor as State | null;
    if (before?.phase === 'done') return receiptOf(before);
    const erasing = before ? new Erasing(job, String(job.input.user_id), before) : await this.begin(job);
    while (erasing.state.phase !== 'done') {
      const { phase } = erasing.state;
      if (phase === 'vectors') await this.clearStores(erasing);
      else if (!(await this.phases[phase](erasing))) await this.leave(erasing, phase);
    }
    return receiptOf(erasing.state);
  }

  private async begin(job: RunningJob): Promise<Erasing> {
    const { tx, at } = await this.places.now();
    const counts = {
      sessions: 0,
      messages: 0,
      memory: 0,
      jobs: 0,
      memberships: 0,
      policies: 0,
      redacted: 0,
      replaced: 0,
    };
    const erasing = new Erasing(job, String(job.input.user_id), {
      ...{ ...FIRST_PASS, upTo: await this.places.lastKey(), counts, tx, since: at },
      ...{ token: `erased-${randomUUID()}`, salt: randomUUID() },
    });
    await erasing.write(async () => ({}));
    return erasing;
  }

  private async leave(erasing: Erasing, phase: Phase): Promise<void> {
    const next = PHASES[PHASES.indexOf(phase as (typeof PHASES)[number]) + 1];
    if (next) return erasing.step({ phase: next, part: 0, after: null });
    const { found, waiting, settled, pass, tx } = erasing.state;
    if (found === 0 && !waiting && settled) return erasing.step({ phase: 'vectors', part: 0, after: null });
    const isSettled = await this.isSettled(erasing, tx);
    await erasing.step({
      ...ANOTHER_PASS,
      pass: pass + 1,
      settled: isSettled,
      upTo: await this.places.lastKey(),
    });
    if (waiting && ++erasing.waits > PATIENCE) throw waits();
    if (waiting) await erasing.pause();
    if (!isSettled) throw waits('What began to be written before the erasure is waited for.');
  }

  /** …or is soon: mostly it takes no longer than a statement. */
  private async isSettled(erasing: Erasing, tx: string): Promise<boolean> {
    for (let looks = 0; looks < LOOKS; looks++) {
      if (await this.places.isSettled(tx)) return true;
      await erasing.pause();
    }
    return false;
  }

  /** Stores may be away meanwhile: what they are to lose is in rows, and the job is tried again. */
  private async clearStores(erasing: Erasing): Promise<void> {
    const { job, user } = erasing;
    for (let page: number[]; ; await erasing.step({ after: page.at(-1)! })) {
      page = await this.places.findPage(job.id, Number(erasing.state.after ?? 0), PLACES);
      if (page.length === 0) break;
      await this.collections.dropOf(page);
      while (await this.vectors.hasGone(page)) if ((await this.embeddings.removeSome()) === 0) throw waits();
    }
    await this.spaces.dropOf(await this.vectors.ownerOf(user));
    await this.end(erasing);
  }

  /** From now on nothing of the job tells whom it was about, but that he may still ask for it. */
  private end(erasing: Erasing): Promise<void> {
    const { job, user } = erasing;
    return erasing.write(async () => {
      await this.places.forget(job.id);
      await this.jobs.forgetOwner(job.id, user);
      return { phase: 'done', after: null, token: '', salt: '' };
    });
  }
}

const ANOTHER_PASS = {
  ...{
    phase: PHASES[0],
    part: 0,
    after: null,
    found: 0,
    waiting: false,
    held: [],
    batch: [],
    redacted: null,
  },
  ...{ walked: 0, kept: false, copied: [] },
} satisfies Partial<State>;

/** Whether all is settled is known when it is over. */
const FIRST_PASS = { ...ANOTHER_PASS, pass: 1, settled: false };
