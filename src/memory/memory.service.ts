import { Injectable } from '@nestjs/common';
import { verify } from '../access/verify.js';
import type { Caller } from '../common/caller.js';
import { DomainError } from '../common/errors.js';
import { isMemoryId, newId } from '../common/ids.js';
import type { Json } from '../common/json.js';
import { type Allowed, checkVersion } from '../common/version.js';
import { Database } from '../database/database.js';
import { type Answer, IdempotencyService } from '../idempotency/idempotency.service.js';
import { checkFree } from '../sessions/lifecycle.js';
import type { MemoryEntry } from './memory.entity.js';
import { type ListRequest, MemoryRepository, type Name, type Place } from './memory.repository.js';
import type { AddMemory, PatchMemory, SaveMemory } from './memory.schemas.js';
import type { MemoryRow } from './memory.view.js';
import { type HeldEntry, MemoryWritesRepository, type Written } from './memory-writes.repository.js';
import { type Space, SpacesService } from './spaces.service.js';
import { isUnchanged, merged, whole } from './written.js';

/** How many entries one session or one user may have. */
export const MOST_ENTRIES = 10_000;

export interface Saved {
  row: MemoryRow;
  isNew: boolean;
}

/** Facts that outlive a request: of a user, or of one session. */
@Injectable()
export class MemoryService {
  constructor(
    private readonly database: Database,
    private readonly memory: MemoryRepository,
    private readonly writes: MemoryWritesRepository,
    private readonly spaces: SpacesService,
    private readonly idempotency: IdempotencyService,
  ) {}

  /** @throws DomainError `memory_not_found`, and for a session those of every session route */
  async get(place: Place, key: string, caller: Caller, includeUser: boolean): Promise<MemoryRow> {
    const { header, entry } = await this.memory.find(place, nameOf(key), caller.userId, includeUser);
    if (place.scope === 'session') verify(header, 'read');
    return entry ?? notFound();
  }

  /** Those of the sessions that anything is kept for. */
  async kept(sessions: number[]): Promise<Set<number>> {
    return new Set(await this.memory.kept(sessions));
  }

  async page(place: Place, request: ListRequest) {
    const { header, rows } = await this.memory.findPage(place, request);
    if (place.scope === 'session') verify(header, 'read');
    return rows;
  }

  /** What an entry was, newest first. */
  async versions(place: Place, key: string, before: number | null, limit: number, caller: Caller) {
    const entry = await this.get(place, key, caller, false);
    return { entry, versions: await this.memory.findVersions(entry.key, before, limit) };
  }

  /**
   * Saves the entry whole.
   * @throws DomainError `version_mismatch`, `too_large`, `memory_full`
   */
  save(place: Place, key: string, input: SaveMemory, caller: Caller, allowed: Allowed): Promise<Saved> {
    const written = whole(input, input.value as Json);
    return this.inSpace(place, caller, async (space) => {
      const found = await this.writes.findHeld(space.key, { name: key, memoryId: null });
      const held = found?.is_live ? found : null;
      if (held) {
        checkVersion(held.version, allowed);
        return { row: await this.change(space, held, written), isNew: false };
      }
      if (allowed !== null) throw gone();
      if (found) await this.remove(space, found);
      return { row: await this.insert(space, key, written, caller), isNew: true };
    });
  }

  /** Merges into value and metadata (RFC 7396); concurrent ones follow one another. */
  patch(place: Place, key: string, input: PatchMemory, caller: Caller, allowed: Allowed): Promise<MemoryRow> {
    return this.inSpace(place, caller, async (space) => {
      const held = await this.held(space, key);
      checkVersion(held.version, allowed);
      return this.change(space, held, merged(held, input));
    });
  }

  /** A typed entry without a key. */
  add(place: Place, input: AddMemory, caller: Caller, key: string | null): Promise<Answer<MemoryRow>> {
    const written = whole(input, input.content);
    return this.inSpace(place, caller, (space) => {
      const work = async () => {
        const row = await this.insert(space, null, written, caller);
        return { status: 201, ids: [row.key], value: row };
      };
      const request = { key, caller, route: `POST memory ${space.key}`, body: input };
      return this.idempotency.once(request, work, async ([entry]) =>
        this.seen(space, (await this.writes.findByKey(entry!)) ?? notFound()),
      );
    });
  }

  /** @throws DomainError `memory_not_found`, `version_mismatch` */
  delete(place: Place, key: string, caller: Caller, allowed: Allowed): Promise<void> {
    return this.inSpace(place, caller, async (space) => {
      const held = await this.held(space, key);
      checkVersion(held.version, allowed);
      await this.remove(space, held);
      await this.spaces.tell(space, 'memory.deleted', { memory_id: `mem_${held.memory_id}` });
    });
  }

  /** All entries of the place, and with `includeSessions` those of the sessions the user owns; answers how many. */
  async clear(place: Place, caller: Caller, includeSessions: boolean): Promise<number> {
    let deleted = await this.clearSpace(() => this.spaces.lock(place, caller));
    if (!includeSessions) return deleted;
    for (const id of await this.writes.sessionsOf(place.id)) {
      const session = () => this.spaces.lock({ scope: 'session', id }, caller, true);
      deleted += await this.clearSpace(session, place.id).catch(ifNotHis);
    }
    return deleted;
  }

  /** In short transactions: an entry may have 4 MiB of history. Of the owner alone, when one is named. */
  private async clearSpace(lock: () => Promise<Space>, owner?: string): Promise<number> {
    for (let deleted = 0; ; ) {
      const batch = await this.database.run(async () => {
        const space = await lock();
        if (owner !== undefined && space.userId !== owner) return { live: 0, isMore: false };
        checkFree(space);
        const some = await this.writes.deleteSome(space.key);
        if (some.live > 0) await this.spaces.tell(space, 'memory.deleted', { entries: some.live });
        return some;
      });
      deleted += batch.live;
      if (!batch.isMore) return deleted;
    }
  }

  private inSpace<T>(place: Place, caller: Caller, work: (space: Space) => Promise<T>): Promise<T> {
    return this.database.run(async () => work(await this.spaces.lock(place, caller)));
  }

  private async held(space: Space, key: string): Promise<HeldEntry> {
    const found = await this.writes.findHeld(space.key, nameOf(key));
    return found?.is_live ? found : notFound();
  }

  private async insert(
    space: Space,
    name: string | null,
    written: Written,
    caller: Caller,
  ): Promise<MemoryRow> {
    checkFree(space);
    if (space.entries >= MOST_ENTRIES && (await this.writes.deleteExpired(space.key)) === 0)
      throw memoryFull();
    const memoryId = newId();
    const entry = await this.writes.insert(space.key, { name, memoryId, createdBy: caller.userId }, written);
    return this.saved(space, entry);
  }

  /** Nothing is written where nothing changes. */
  private async change(space: Space, held: HeldEntry, written: Written): Promise<MemoryRow> {
    if (isUnchanged(held, written)) return this.seen(space, held);
    checkFree(space);
    return this.saved(space, await this.writes.update(held.key, written));
  }

  private async remove(space: Space, { key }: MemoryEntry): Promise<void> {
    checkFree(space);
    await this.writes.deleteOne(space.key, key);
    space.entries--;
  }

  private async saved(space: Space, entry: MemoryEntry): Promise<MemoryRow> {
    const { memory_id, version } = entry;
    await this.spaces.tell(space, 'memory.saved', { memory_id: `mem_${memory_id}`, version });
    return this.seen(space, entry);
  }

  private seen = (space: Space, entry: MemoryEntry): MemoryRow => ({
    ...entry,
    ...{ scope: space.scope, user_id: space.userId, session_id: space.sessionId },
  });
}

const nameOf = (key: string): Name =>
  isMemoryId(key) ? { name: null, memoryId: key.slice(4) } : { name: key, memoryId: null };

function notFound(): never {
  throw new DomainError('not-found', 'memory_not_found', 'There is no such entry.');
}

export const memoryFull = () =>
  new DomainError(
    'conflict',
    'memory_full',
    `There are ${MOST_ENTRIES} entries already: delete some, or give them a ttl_seconds.`,
  );

const gone = () => new DomainError('precondition', 'version_mismatch', 'There is no such entry.');

/** A session that is gone meanwhile, or passed to another, has nothing of his left to clear. */
function ifNotHis(error: unknown): number {
  if (error instanceof DomainError && (error.kind === 'not-found' || error.kind === 'forbidden')) return 0;
  throw error;
}
