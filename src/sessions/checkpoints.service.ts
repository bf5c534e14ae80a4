import { Injectable } from '@nestjs/common';
import { verify } from '../access/verify.js';
import type { Caller } from '../common/caller.js';
import { DomainError } from '../common/errors.js';
import { checkSize } from '../common/json.js';
import { Database } from '../database/database.js';
import { type Answer, IdempotencyService } from '../idempotency/idempotency.service.js';
import { CheckpointsRepository, type StoredCheckpoint } from './checkpoints.repository.js';
import { CHECKPOINT_KIB, METADATA_KIB, type NewCheckpoint } from './checkpoints.schemas.js';
import { SessionEditsService } from './session-edits.service.js';
import { SessionsRepository } from './sessions.repository.js';

/** The saved states of a session, newest first; the newest shows on the session itself. */
@Injectable()
export class CheckpointsService {
  constructor(
    private readonly database: Database,
    private readonly sessions: SessionsRepository,
    private readonly checkpoints: CheckpointsRepository,
    private readonly edits: SessionEditsService,
    private readonly idempotency: IdempotencyService,
  ) {}

  /** @throws DomainError `too_large`, `key_reused`, and those of every session route */
  save(
    id: string,
    input: NewCheckpoint,
    caller: Caller,
    key: string | null,
  ): Promise<Answer<StoredCheckpoint>> {
    checkSize('/checkpoint', input.checkpoint, CHECKPOINT_KIB);
    checkSize('/metadata', input.metadata, METADATA_KIB);
    return this.database.run(async () => {
      const row = verify(await this.sessions.lock(id, caller.userId), 'work');
      const work = async () => {
        const saved = await this.edits.saveCheckpoint(row, input, caller);
        return { status: 201, ids: [saved.n], value: saved };
      };
      const request = { key, caller, route: `POST checkpoints ${row.key}`, body: input };
      return this.idempotency.once(request, work, async ([n]) => this.stored(row.key, n!));
    });
  }

  async page(id: string, before: number | null, limit: number, caller: Caller) {
    const { header, rows } = await this.checkpoints.findPage(id, caller.userId, before, limit);
    return { session: verify(header, 'read').session_key, rows };
  }

  /** @throws DomainError `checkpoint_not_found` */
  async get(id: string, n: number, caller: Caller): Promise<StoredCheckpoint> {
    const { header, checkpoint } = await this.checkpoints.find(id, caller.userId, n);
    verify(header, 'read');
    return checkpoint ?? notFound();
  }

  private async stored(key: number, n: number): Promise<StoredCheckpoint> {
    return (await this.checkpoints.findByKey(key, n)) ?? notFound();
  }
}

function notFound(): never {
  throw new DomainError(
    'not-found',
    'checkpoint_not_found',
    'There is no such checkpoint: the newest 1,000 are kept.',
  );
}
