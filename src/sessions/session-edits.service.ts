import { Inject, Injectable } from '@nestjs/common';
import type { Permission } from '../access/roles.js';
import { verify } from '../access/verify.js';
import type { Caller } from '../common/caller.js';
import { DomainError, invalid } from '../common/errors.js';
import { newId } from '../common/ids.js';
import { type Allowed, checkVersion } from '../common/version.js';
import { CONFIG, type Config } from '../config/config.js';
import { Database } from '../database/database.js';
import type { NewEvent } from '../events/events.sql.js';
import { type Answer, type Effect, IdempotencyService } from '../idempotency/idempotency.service.js';
import { CheckpointsRepository, type StoredCheckpoint } from './checkpoints.repository.js';
import type { NewCheckpoint } from './checkpoints.schemas.js';
import { eventsOf, type Plan, permissionFor, planCheckpoint, planEdit, planStatus } from './edit.js';
import { checkFree, checkRecoverable, type Status } from './lifecycle.js';
import { LivenessRepository } from './liveness.repository.js';
import type { SessionRow } from './session.view.js';
import { NOW, SessionsRepository } from './sessions.repository.js';
import type { EditSession } from './sessions.schemas.js';
import { SettlingService } from './settling.service.js';

type Transition = Exclude<Status, 'deleted'> | 'restored';

/** Changes to one session: fields, state, deletion. Each holds the session's row, so edits follow one another. */
@Injectable()
export class SessionEditsService {
  constructor(
    private readonly database: Database,
    private readonly sessions: SessionsRepository,
    private readonly checkpoints: CheckpointsRepository,
    private readonly settling: SettlingService,
    private readonly liveness: LivenessRepository,
    private readonly idempotency: IdempotencyService,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  /** PUT and PATCH; with `merge` the JSON documents are merged into. */
  edit(
    id: string,
    input: EditSession,
    merge: boolean,
    caller: Caller,
    allowed: Allowed,
  ): Promise<SessionRow> {
    return this.database.run(async () => {
      const row = verify(await this.sessions.lock(id, caller.userId), 'work');
      verify(row, permissionFor(row, input));
      checkVersion(row.version, allowed);
      this.checkTimeout(input.timeout_minutes);
      const timeout =
        input.timeout_minutes === null ? (this.config.SESSION_TTL_MINUTES ?? null) : input.timeout_minutes;
      if (row.user_id === null && input.agent_id === null) throw ownerRequired('/agent_id');
      const settled = await this.settling.settle(row, caller.userId);
      return this.apply(settled, planEdit(settled, { ...input, timeout_minutes: timeout }, merge), caller);
    });
  }

  /** A named transition: the same as an edit of the status, but that `restored` goes back to what it was. */
  transition(id: string, to: Transition, caller: Caller, key: string | null): Promise<Answer<SessionRow>> {
    return this.database.run(async () => {
      const reaches = to === 'archived' || to === 'restored' ? 'manage' : 'work';
      const row = verify(await this.sessions.lock(id, caller.userId), reaches, to === 'restored');
      const work = async () => {
        verify(row, permissionOf(row, to), to === 'restored');
        return effect(await this.move(row, to, caller));
      };
      return this.idempotency.once(
        { key, caller, route: `POST ${to} ${row.key}`, body: null },
        work,
        async () => row,
      );
    });
  }

  /** Crashed → active; one that is active already stays so. */
  recover(id: string, caller: Caller, key: string | null): Promise<Answer<SessionRow>> {
    return this.database.run(async () => {
      const row = verify(await this.sessions.lock(id, caller.userId), 'work');
      const work = async () => effect(await this.revive(row, caller));
      return this.idempotency.once(
        { key, caller, route: `POST recover ${row.key}`, body: null },
        work,
        async () => row,
      );
    });
  }

  /** Saves a checkpoint of a locked session, as an edit of it. */
  async saveCheckpoint(row: SessionRow, input: NewCheckpoint, caller: Caller): Promise<StoredCheckpoint> {
    const settled = await this.settling.settle(row, caller.userId);
    const plan: Plan = { session: {}, details: {}, updates: [], status: settled.status };
    planCheckpoint(plan, settled, input);
    const { checkpoint_n } = await this.apply(settled, plan, caller);
    return (await this.checkpoints.findByKey(row.key, checkpoint_n))!;
  }

  /** Notes a change of the members of a locked session, as an edit of it. Time, which waits for a busy one, has done nothing to it. */
  async noteSharing(row: SessionRow, events: NewEvent[], caller: Caller): Promise<SessionRow> {
    const settled = row.busy_job ? row : await this.settling.settle(row, caller.userId);
    return this.sessions.save(settled, { sharing: row.sharing + 1 }, {}, events, caller.userId);
  }

  /** Gives a locked session to another user; beside the change of the field, it is told as these events. No sign of life: he has done nothing with it. */
  async passOn(row: SessionRow, user_id: string, events: NewEvent[], caller: Caller): Promise<SessionRow> {
    const settled = await this.settling.settle(row, caller.userId);
    const plan: Plan = { session: {}, details: {}, updates: ['user_id'], status: settled.status };
    const told = [...eventsOf(settled, plan), ...events];
    const session = { user_id, sharing: row.sharing + 1, last_activity_at: row.last_activity_at };
    return this.sessions.save(settled, session, { user_id }, told, caller.userId);
  }

  /** Makes an active or paused session active and renews its time, within a transaction that found it. */
  async activate(id: string, caller: Caller): Promise<Effect<SessionRow>> {
    const row = verify(await this.sessions.lock(id, caller.userId), 'work');
    const moved = await this.move(row, 'active', caller);
    if (moved !== row) return effect(moved);
    await this.liveness.beat(id, caller.userId);
    return effect(verify(await this.sessions.lock(id, caller.userId), 'work'));
  }

  /** Softly: restorable until it is purged. Again: the same answer. */
  delete(id: string, caller: Caller, allowed: Allowed): Promise<SessionRow> {
    return this.database.run(async () => {
      const row = await this.lockToDelete(id, caller);
      if (row.status === 'deleted') return row;
      checkVersion(row.version, allowed);
      const plan: Plan = { session: DELETED, details: {}, updates: ['status'], status: 'deleted' };
      return this.apply(await this.settling.settle(row, caller.userId), plan, caller);
    });
  }

  /** For good: gone for every reader at once, and the id is free. The purge removes the rows. */
  async deleteForGood(id: string, caller: Caller, allowed: Allowed): Promise<void> {
    await this.database.run(async () => {
      const row = await this.lockToDelete(id, caller);
      checkVersion(row.version, allowed);
      const purged = { type: 'session.purged', payload: { session_id: row.id, agent_id: row.agent_id } };
      await this.sessions.markPurged(row.key, newId(), [purged]);
    });
  }

  /** A deleted session leaves its id to a new one and stays restorable under another. */
  async giveUpId(row: SessionRow): Promise<void> {
    const settled = await this.settling.settle(row, null);
    const payload = {
      session_id: row.id,
      agent_id: row.agent_id,
      status: 'deleted',
      updates: ['session_id'],
    };
    const renamed = [{ type: 'session.updated', payload }];
    await this.sessions.save(settled, { id: newId() }, {}, renamed, null);
  }

  /** @throws DomainError naming the largest time-out */
  checkTimeout(minutes: number | null | undefined): void {
    const largest = this.config.MAX_SESSION_TTL_MINUTES;
    if (minutes && minutes > largest)
      throw invalid([{ pointer: '/timeout_minutes', detail: `must be at most ${largest}` }]);
  }

  private async lockToDelete(id: string, caller: Caller): Promise<SessionRow> {
    const row = verify(await this.sessions.lock(id, caller.userId), 'own', true);
    if (row.legal_hold) throw legalHold();
    checkFree(row);
    return row;
  }

  private async move(row: SessionRow, to: Transition, caller: Caller): Promise<SessionRow> {
    const settled = await this.settling.settle(row, caller.userId);
    if (to === 'restored') return this.restore(settled, caller);
    const plan: Plan = { session: {}, details: {}, updates: [], status: settled.status };
    planStatus(plan, settled, to);
    return this.apply(settled, plan, caller);
  }

  private async revive(row: SessionRow, caller: Caller): Promise<SessionRow> {
    checkRecoverable(row.status);
    return this.move(row, 'active', caller);
  }

  /** Takes away what lies on top: the deletion, else the archiving. Its time starts anew. */
  private async restore(row: SessionRow, caller: Caller): Promise<SessionRow> {
    if (row.status === 'deleted') {
      const status = row.archived_at ? 'archived' : row.state;
      const session = { deleted_at: null, deleted_reason: null };
      return this.apply(row, { session, details: {}, updates: ['status'], status }, caller);
    }
    if (row.status !== 'archived') return row;
    return this.apply(
      row,
      { session: { archived_at: null }, details: {}, updates: ['status'], status: row.state },
      caller,
    );
  }

  private async apply(row: SessionRow, plan: Plan, caller: Caller): Promise<SessionRow> {
    if (plan.updates.length === 0) return row;
    const saved = await this.sessions.save(
      row,
      plan.session,
      plan.details,
      eventsOf(row, plan),
      caller.userId,
    );
    if (plan.checkpoint) await this.checkpoints.insert(row.key, saved.checkpoint_n, plan.checkpoint);
    return saved;
  }
}

/** Somebody owns every session: a user, or the agent of one without. */
export const ownerRequired = (pointer: string) =>
  invalid([{ pointer, detail: 'names the owner: a service gives user_id, or agent_id' }], 'owner_required');

export const legalHold = () => new DomainError('conflict', 'legal_hold', 'The session is under legal hold.');

const DELETED = { deleted_at: NOW, deleted_reason: 'requested' } as const;

const effect = (row: SessionRow): Effect<SessionRow> => ({ status: 200, ids: [row.key], value: row });

/** Archiving and its restore are a manager's, the restore of a deleted session its owner's. */
function permissionOf(row: SessionRow, to: Transition): Permission {
  if (to === 'restored') return row.status === 'deleted' ? 'own' : 'manage';
  return to === 'archived' || row.status === 'archived' ? 'manage' : 'work';
}
