import { parseJson } from '../common/json.js';
import { type SessionRecord, sessionRecord } from '../sessions/session-record.js';
import { AROUND, end, FORMAT, type Manifest, manifest, type Typed, VERSION } from './format.js';
import { type Part, parsed, type Reader } from './part.js';
import { atLine, badExport, tooLong, unknownVersion, wrongDigest } from './refusals.js';
import { Tally } from './tally.js';

/** What a record comes to, for whoever writes it. */
export interface Taken {
  reader: Reader;
  item: unknown;
  bytes: number;
}

/** Of any line but the first; the rest is looked at by whoever knows the type. */
function typedOf(value: unknown): Typed {
  const { type } = Object(value) as { type?: unknown };
  if (typeof type !== 'string') throw badExport('A record has no type.');
  return value as Typed;
}

/** Reads the lines of one export in their order, and believes none of them. */
export class Intake {
  manifest: Manifest | null = null;
  session: SessionRecord | null = null;
  readonly tally = new Tally();
  private readonly readers: Map<Part, Reader>;
  private line = 0;
  private at = 0;
  private isOver = false;

  constructor(
    private readonly parts: readonly Part[],
    private readonly onSession: (record: SessionRecord, manifest: Manifest) => void,
    private readonly onPart: (part: Part) => void,
  ) {
    this.readers = new Map(parts.map((part) => [part, part.reader()]));
  }

  /**
   * Takes the next line; null: there is nothing to be written of it.
   * @throws DomainError `invalid_export`, `unsupported_version`, `digest_mismatch`, and what else is wrong with a record
   */
  take(line: Buffer): Taken | null {
    this.line++;
    try {
      if (this.isOver) throw badExport('Nothing may follow the end line.');
      if (!this.manifest && line.length > AROUND) throw tooLong(AROUND);
      const value = parseJson(line);
      if (!this.manifest) this.begin(value);
      else {
        const record = typedOf(value);
        if (record.type === 'end') return this.finish(record, line.length);
        this.tally.digest(line);
        return this.takeRecord(record, line.length);
      }
      this.tally.digest(line);
      return null;
    } catch (error) {
      throw atLine(this.line, error);
    }
  }

  /** @throws DomainError `invalid_export` when the end line has not come */
  checkWhole(): void {
    if (!this.isOver) throw badExport(`The export ends after ${this.line} lines, before its end line.`);
  }

  private begin(value: unknown): void {
    const { format, version } = Object(value) as { format?: unknown; version?: unknown };
    if (format !== FORMAT) throw badExport(`This is no ${FORMAT}.`);
    if (typeof version === 'number' && version > VERSION) throw unknownVersion(version);
    this.manifest = parsed(manifest, value);
    for (const part of this.included()) this.onPart(part);
  }

  private included(): Part[] {
    return this.parts.filter(({ name }) => this.manifest!.include.includes(name));
  }

  private takeRecord(record: Typed, bytes: number): Taken | null {
    this.tally.count(record.type);
    if (!this.session) {
      this.session = parsed(sessionRecord, record);
      this.onSession(this.session, this.manifest!);
      return null;
    }
    const parts = this.included();
    const at = parts.findIndex(({ types }) => types.includes(record.type));
    if (at < 0)
      throw badExport(`Records of the type ${JSON.stringify(record.type.slice(0, 64))} are not known here.`);
    if (at < this.at) throw badExport(`A record of the type ${record.type} comes too late.`);
    this.at = at;
    const reader = this.readers.get(parts[at]!)!;
    return { reader, item: reader.take(record), bytes };
  }

  private finish(record: Typed, bytes: number): null {
    if (bytes > AROUND) throw tooLong(AROUND);
    const said = parsed(end, record);
    if (!this.session) throw badExport('There is no session in it.');
    const { counts, sha256 } = this.tally.end();
    if (said.sha256 !== sha256) throw wrongDigest();
    const types = new Set([...Object.keys(counts), ...Object.keys(said.counts)]);
    for (const type of types)
      if ((counts[type] ?? 0) !== (said.counts[type] ?? 0))
        throw badExport(
          `There are ${counts[type] ?? 0} records of the type ${type}, it says ${said.counts[type] ?? 0}.`,
        );
    for (const reader of this.readers.values()) reader.end(this.session);
    this.isOver = true;
    return null;
  }
}
