import { Injectable } from '@nestjs/common';
import { verify } from '../access/verify.js';
import type { Caller } from '../common/caller.js';
import { DomainError, invalid } from '../common/errors.js';
import { Database } from '../database/database.js';
import { type Answer, IdempotencyService } from '../idempotency/idempotency.service.js';
import { checkFree } from '../sessions/lifecycle.js';
import type { SessionRow } from '../sessions/session.view.js';
import { SessionEditsService } from '../sessions/session-edits.service.js';
import { SessionsService } from '../sessions/sessions.service.js';
import { type Collaborator, MOST_LISTED, type Share } from './collaboration.schemas.js';
import { CollaboratorsRepository } from './collaborators.repository.js';

/** With how many a session may be shared. */
export const MOST_MEMBERS = 1_000;

/** Collaborators behind a name, in the order of their names; the owner goes before all. */
export interface Listed {
  session: number;
  /** one more than was asked for, if there are more */
  rows: Collaborator[];
}

/** Who else may do what with a session. Each change holds the session's row, so they follow one another, and is an edit of the session. */
@Injectable()
export class CollaborationService {
  constructor(
    private readonly database: Database,
    private readonly sessions: SessionsService,
    private readonly edits: SessionEditsService,
    private readonly collaborators: CollaboratorsRepository,
    private readonly idempotency: IdempotencyService,
  ) {}

  /** @param after the last name of the page before; null: from the owner on */
  async list(id: string, after: string | null, limit: number, caller: Caller): Promise<Listed> {
    const found = await this.collaborators.findPage(id, caller.userId, after ?? '', limit);
    const { session_key, owner, made_at } = verify(found.header, 'read');
    const isOwnerNext = after === null && owner !== null;
    const first: Collaborator[] = isOwnerNext
      ? [{ user_id: owner, role: 'owner', added_by: null, added_at: made_at }]
      : [];
    return { session: session_key, rows: [...first, ...found.members] };
  }

  /**
   * Makes users members, or members something else; those who are it already stay as they are. Answers the first collaborators.
   * @throws DomainError `is_owner`, `too_many_collaborators`, `session_busy`, `key_reused`, and those of every session route
   */
  share(id: string, input: Share, caller: Caller, key: string | null): Promise<Answer<Listed>> {
    return this.database.run(async () => {
      const row = await this.sessions.lock(id, caller, input.role === 'manager' ? 'own' : 'manage');
      const list = () => this.list(row.id, null, MOST_LISTED, caller);
      const work = async () => {
        await this.appoint(row, input, caller);
        return { status: 200, ids: [row.key], value: await list() };
      };
      const request = { key, caller, route: `POST share ${row.key}`, body: input };
      return this.idempotency.once(request, work, list);
    });
  }

  /**
   * Takes a member's role away. Anyone may take his own. A busy session does not keep him: who began a merge could else not be shut out.
   * @throws DomainError `not_a_collaborator`, and those of every session route
   */
  async unshare(id: string, user: string, caller: Caller): Promise<void> {
    await this.database.run(async () => {
      const isHimself = user === caller.userId;
      const row = await this.sessions.lock(id, caller, isHimself ? 'read' : 'manage');
      const role = await this.collaborators.delete(row.key, user);
      if (role === null) throw notCollaborator();
      if (role === 'manager' && !isHimself) verify(row, 'own');
      const payload = { user_ids: [user], removed_by: caller.userId };
      await this.edits.noteSharing(row, [{ type: 'session.unshared', payload }], caller);
    });
  }

  /**
   * Gives the session to another user; who had it stays its manager, so that he may ask again. To the owner himself: nothing changes.
   * @throws DomainError `session_busy`, `key_reused`, and those of every session route
   */
  transfer(id: string, user: string, caller: Caller, key: string | null): Promise<Answer<SessionRow>> {
    return this.database.run(async () => {
      const row = await this.sessions.lock(id, caller, 'read');
      const work = async () => {
        const value = await this.passOn(verify(row, 'own'), user, caller);
        return { status: 200, ids: [row.key], value };
      };
      const request = { key, caller, route: `POST transfer ${row.key}`, body: { user_id: user } };
      return this.idempotency.once(request, work, async () => row);
    });
  }

  private async appoint(row: SessionRow, { user_ids, role }: Share, caller: Caller): Promise<void> {
    const { total, roles } = await this.collaborators.rolesOf(row.key, user_ids);
    if ([...roles.values()].includes('manager')) verify(row, 'own');
    const owner = user_ids.indexOf(row.user_id ?? '');
    if (owner >= 0) throw isOwner(owner);
    checkFree(row);
    const changed = user_ids.filter((user) => roles.get(user) !== role);
    if (changed.length === 0) return;
    const added = user_ids.length - roles.size;
    if (added > 0 && total + added > MOST_MEMBERS) throw tooManyMembers();
    await this.collaborators.save(row.key, changed, role, caller.userId);
    const payload = { user_ids: changed, role, added_by: caller.userId };
    await this.edits.noteSharing(row, [{ type: 'session.shared', payload }], caller);
  }

  /** Whatever is derived is filed under the owner's name: the event says up to where it is to be filed anew. */
  private async passOn(row: SessionRow, user_id: string, caller: Caller): Promise<SessionRow> {
    checkFree(row);
    if (row.user_id === user_id) return row;
    await this.collaborators.delete(row.key, user_id);
    if (row.user_id !== null) await this.collaborators.save(row.key, [row.user_id], 'manager', caller.userId);
    const payload = {
      ...{ user_id, previous_user_id: row.user_id, transferred_by: caller.userId },
      up_to_seq: row.message_count,
    };
    return this.edits.passOn(row, user_id, [{ type: 'session.transferred', payload }], caller);
  }
}

const isOwner = (index: number) =>
  invalid(
    [{ pointer: `/user_ids/${index}`, detail: 'owns the session: it can only be transferred' }],
    'is_owner',
  );

export const tooManyMembers = () =>
  new DomainError(
    'conflict',
    'too_many_collaborators',
    `A session is shared with at most ${MOST_MEMBERS} users.`,
  );

const notCollaborator = () =>
  new DomainError('not-found', 'not_a_collaborator', 'The session is not shared with this user.');
