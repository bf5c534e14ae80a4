import { Injectable } from '@nestjs/common';
import {
  derivedFrom,
  type EntryRecord,
  entryRecord,
  toEntryRecord,
  toVersionRecord,
  versionRecord,
} from '../../memory/memory-record.js';
import {
  MemoryTransferRepository,
  type NewEntry,
  type NewVersion,
} from '../../memory/memory-transfer.repository.js';
import { HiddenSessionsService } from '../../sessions/hidden-sessions.service.js';
import type { SessionRow } from '../../sessions/session.view.js';
import type { Typed } from '../format.js';
import { fault, type Opened, type Part, parsed, type Reader } from '../part.js';

/** What a session keeps, at most: entries, earlier versions of one, bytes of these. */
const [ENTRIES, VERSIONS, VERSION_BYTES] = [10_000, 100, 4 * 1024 * 1024];

type Taken = NewEntry | NewVersion;

/** Facts kept for the session, each followed by what it was before. What has expired is not there any more. */
@Injectable()
export class MemoryPart implements Part {
  readonly name = 'memory';
  readonly scopes = { read: 'memory:read', write: 'memory:write' } as const;
  readonly types = ['memory', 'memory_version'];

  constructor(
    private readonly hidden: HiddenSessionsService,
    private readonly rows: MemoryTransferRepository,
  ) {}

  async open({ key }: SessionRow): Promise<Opened> {
    const { count, last } = await this.rows.outline(key);
    return { count, pages: () => this.pages(key, last) };
  }

  private async *pages(space: number, last: number) {
    for (let after = 0; ; ) {
      const entries = await this.rows.findPage(space, after, last);
      if (entries.length === 0) return;
      const versions = await this.rows.findVersions(entries);
      yield entries.flatMap((entry) => [
        toEntryRecord(entry),
        ...versions
          .filter(({ entry_key }) => entry_key === entry.key)
          .map((version) => toVersionRecord(entry, version)),
      ]);
      after = entries.at(-1)!.key;
    }
  }

  reader(): Reader {
    return new MemoryReader((session, taken, seconds) =>
      this.hidden.write(session, seconds, () => {
        const entries = taken.filter((one) => one.type === 'memory');
        const versions = taken.filter((one) => one.type === 'memory_version');
        return this.rows.insert(session, entries, versions);
      }),
    );
  }
}

class MemoryReader implements Reader {
  private entries = 0;
  private entry: EntryRecord | null = null;
  /** of the entry: how many, their bytes, the last one */
  private before = { count: 0, bytes: 0, version: 0 };

  constructor(readonly write: (session: number, taken: Taken[], seconds: number) => Promise<void>) {}

  take(record: Typed): Taken {
    return record.type === 'memory' ? this.takeEntry(record) : this.takeVersion(record);
  }

  private takeEntry(record: Typed): NewEntry {
    const entry = parsed(entryRecord, record);
    if (++this.entries > ENTRIES) throw fault('', `a session keeps at most ${ENTRIES} entries`);
    this.entry = entry;
    this.before = { count: 0, bytes: 0, version: 0 };
    return { ...entry, ...derivedFrom(entry) };
  }

  private takeVersion(record: Typed): NewVersion {
    const given = parsed(versionRecord, record);
    const version = { ...given, ...derivedFrom(given) };
    if (version.memory_id !== this.entry?.memory_id)
      throw fault('/memory_id', 'is not that of the entry before');
    const isBetween = version.version > this.before.version && version.version < this.entry.version;
    if (!isBetween) throw fault('/version', 'is out of order');
    this.before.version = version.version;
    this.before.bytes += version.bytes;
    if (++this.before.count > VERSIONS || this.before.bytes > VERSION_BYTES)
      throw fault('', `an entry keeps at most ${VERSIONS} versions of ${VERSION_BYTES} bytes together`);
    return version;
  }

  end(): void {}
}
