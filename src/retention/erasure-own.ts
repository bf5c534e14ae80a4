import { Injectable } from '@nestjs/common';
import { Derivations } from '../derived/derivations.js';
import { EventErasureRepository } from '../events/event-erasure.repository.js';
import { EventsRepository } from '../events/events.repository.js';
import { JobErasureRepository, type Naming, type Unnamed } from '../jobs/job-erasure.repository.js';
import { MemoryWritesRepository } from '../memory/memory-writes.repository.js';
import { EmbeddingsRepository } from '../search/embeddings.repository.js';
import { CopiedFieldsRepository } from '../sessions/copied-fields.repository.js';
import { SessionErasureRepository } from '../sessions/session-erasure.repository.js';
import { type Erasing, MOST_NAMED } from './erasing.js';
import { ErasureOfCopies } from './erasure-copies.js';
import { ErasurePlacesRepository } from './erasure-places.repository.js';
import { PoliciesRepository } from './policies.repository.js';
import { PurgeService } from './purge.service.js';

/** Jobs that are looked at, sessions that are removed, and rows of memory and of the log, at once. */
const [JOBS, SESSIONS, ROWS] = [1_000, 50, 1_000];

/** What is a user's own goes whole: his jobs, his sessions, his memory, and that he was ever there. */
@Injectable()
export class ErasureOfOwn {
  constructor(
    private readonly jobRows: JobErasureRepository,
    private readonly sessionRows: SessionErasureRepository,
    private readonly fields: CopiedFieldsRepository,
    private readonly copies: ErasureOfCopies,
    private readonly places: ErasurePlacesRepository,
    private readonly purge: PurgeService,
    private readonly memory: MemoryWritesRepository,
    private readonly policies: PoliciesRepository,
    private readonly log: EventErasureRepository,
    private readonly events: EventsRepository,
    private readonly derivations: Derivations,
    private readonly embeddings: EmbeddingsRepository,
  ) {}

  /** Of a job that others asked for only what names him goes. One that ran before the erasure began is waited for. */
  async jobs(erasing: Erasing): Promise<boolean> {
    const { after, since } = erasing.state;
    const { last, jobs } = await this.jobRows.find(erasing.user, Number(after ?? 0), since, JOBS);
    if (last === null) return false;
    const over = jobs.filter(({ is_over }) => is_over);
    for (const job of jobs)
      if (!job.is_over && job.is_old && (job.is_his || (await this.unnamed(job, erasing)))) erasing.wait();
    const his = over.filter(({ is_his }) => is_his);
    await erasing.write(async () => {
      const removed = await this.jobRows.remove(his.map(({ key }) => key));
      erasing.count('jobs', removed, his.filter(({ is_old }) => is_old).length);
      if (removed > 0) await this.places.inherit(erasing.job.id);
      for (const job of over) {
        const unnamed = job.is_his ? null : await this.unnamed(job, erasing);
        if (unnamed && (await this.jobRows.unname(unnamed))) erasing.count('replaced', 1, job.is_old ? 1 : 0);
      }
      return { after: last };
    });
    return true;
  }

  /** Sessions are gone for every reader at once; their rows are removed batch by batch, as by the purge, which may be at it too. */
  async sessions(erasing: Erasing): Promise<boolean> {
    const { batch, copied, kept, walked } = erasing.state;
    if (copied.length > 0) await this.copies.copied(erasing, copied[0]!, batch);
    else if (batch.length > 0) await this.removeRows(erasing, batch[0]!);
    if (batch.length > 0) return true;
    const keys = kept ? [] : await this.sessionRows.findOwn(erasing.user, walked, SESSIONS);
    if (keys.length === 0) {
      const { held, busy } = await this.sessionRows.left(erasing.user, MOST_NAMED);
      for (const id of held) erasing.hold(id);
      if (busy) erasing.wait();
      return false;
    }
    await erasing.write(async () => {
      await this.sessionRows.lockAll(keys);
      // whoever has copied from them since it was looked
      const copied = await this.fields.findNew(keys, walked);
      const removed = await this.sessionRows.removeOwn(keys, erasing.user, erasing.state.since);
      const found = removed.filter(({ is_old }) => is_old).length;
      erasing.count('sessions', removed.length, found);
      const messages = removed.reduce((sum, row) => sum + row.messages, 0);
      erasing.count('messages', messages, 0);
      const batch = removed.map(({ key }) => key);
      await this.places.note(erasing.job.id, batch);
      return { batch, copied };
    });
    return true;
  }

  /** What is kept for him; nobody writes to it meanwhile, and when all is removed there is no such user. */
  async user(erasing: Erasing): Promise<boolean> {
    let isMore = false;
    await erasing.write(async () => {
      if (await this.policies.remove(erasing.user)) erasing.count('policies', 1, 0);
      const key = await this.log.lockUser(erasing.user);
      if (key === null) return {};
      isMore = true;
      const entries = await this.memory.purge(key, ROWS);
      erasing.count('memory', entries, 0);
      if (entries > 0 || (await this.events.purge(key, ROWS)) > 0) return {};
      await this.derivations.hold();
      await this.places.note(erasing.job.id, [key]);
      if ((await this.embeddings.purge(key, ROWS)) > 0) return {};
      await this.log.removeUser(key);
      // who comes back at this moment begins anew
      isMore = false;
      return {};
    });
    return isMore;
  }

  private removeRows(erasing: Erasing, key: number): Promise<void> {
    return erasing.write(async () => {
      const isThere = await this.sessionRows.lockPurged(key);
      if (isThere) await this.purge.removeSome(key);
      return isThere ? {} : { batch: erasing.state.batch.slice(1) };
    });
  }

  /** What others' job is left with; null: it does not name him. */
  private async unnamed(job: Naming, { names }: Erasing): Promise<Unnamed | null> {
    const { key, session_ids, input, result, cursor, error_detail, is_on_his } = job;
    const told = { session_ids, input: is_on_his ? {} : input, result, cursor };
    const unnamed = names.without(told, await this.sessionRows.without(names.sessionsIn(told)));
    const isNamed =
      is_on_his || names.areIn(error_detail ?? '') || JSON.stringify(unnamed) !== JSON.stringify(told);
    return isNamed ? { key, ...unnamed } : null;
  }
}
