import { Injectable } from '@nestjs/common';
import { CopiedFieldsRepository } from '../sessions/copied-fields.repository.js';
import { SessionErasureRepository } from '../sessions/session-erasure.repository.js';
import { type Erasing, type State, waits } from './erasing.js';

/** Sessions that are looked at, at once. */
const LOOKED_AT = 5_000;

/** Fields that forks, merges and imports of others have taken over of a user's sessions: while his are there, it can be told which. */
@Injectable()
export class ErasureOfCopies {
  constructor(
    private readonly sessions: SessionErasureRepository,
    private readonly fields: CopiedFieldsRepository,
  ) {}

  async copies(erasing: Erasing): Promise<boolean> {
    const { user, state } = erasing;
    const { last, found } = await this.fields.find(user, state.walked, state.upTo, LOOKED_AT);
    if (last === null) return false;
    for (const key of found)
      await this.write(erasing, key, async () =>
        (await this.clear(erasing, key, [])) ? {} : { waiting: true, kept: true },
      );
    await erasing.step({ walked: last });
    return true;
  }

  /** …of these sources, which nobody sees any more; they stay as long as this is to be done. */
  copied(erasing: Erasing, key: number, gone: number[]): Promise<void> {
    return this.write(erasing, key, async () => {
      if (!(await this.clear(erasing, key, gone))) throw waits();
      return { copied: erasing.state.copied.filter((other) => other !== key) };
    });
  }

  private write(erasing: Erasing, key: number, work: () => Promise<Partial<State>>): Promise<void> {
    return erasing.writeTo(() => this.sessions.isBusy(key), work);
  }

  /** False: a job is at it. */
  private async clear(erasing: Erasing, key: number, gone: number[]): Promise<boolean> {
    const session = await this.sessions.lock(key);
    if (!session || session.user_id === erasing.user) return true;
    if (session.legal_hold) {
      erasing.hold(session.id);
      return true;
    }
    if (session.busy_job !== null) return false;
    const updates = await this.fields.clear(key, erasing.user, gone);
    if (updates.length === 0) return true;
    erasing.count('replaced', 1);
    const { agent_id, status } = session;
    const updated = { type: 'session.updated', payload: { agent_id, status, updates } };
    await this.fields.tell(key, session.is_hidden ? [] : [updated]);
    return true;
  }
}
