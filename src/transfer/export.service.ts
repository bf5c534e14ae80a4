import { Injectable } from '@nestjs/common';
import type { Caller } from '../common/caller.js';
import { DomainError, forbidden } from '../common/errors.js';
import type { SessionRow } from '../sessions/session.view.js';
import { toRecord } from '../sessions/session-record.js';
import { SessionTransferService } from '../sessions/session-transfer.service.js';
import { FORMAT, type Include, LINE_BYTES, type Manifest, NDJSON, VERSION } from './format.js';
import type { Opened } from './part.js';
import { Parts } from './parts.js';
import { Tally } from './tally.js';

/** How many records one document may have. */
const MOST_IN_DOCUMENT = 10_000;

/** An export that is about to be sent: all that could be refused has been looked at. */
export interface Export {
  session: SessionRow;
  manifest: Manifest;
  parts: Opened[];
  /** it breaks off when he may not read the session any more */
  caller: Caller;
}

/** Takes sessions out, as they are when they are read: messages up to the last one at the beginning. */
@Injectable()
export class ExportService {
  constructor(
    private readonly sessions: SessionTransferService,
    private readonly parts: Parts,
  ) {}

  /**
   * @param include null: all that the caller's key may read
   * @throws DomainError `forbidden` for what it may not, `use_ndjson`, and those of every session route
   */
  async open(id: string, include: Include[] | null, asDocument: boolean, caller: Caller): Promise<Export> {
    const session = await this.sessions.find(id, caller);
    const isAllowed = (scope: Parameters<Caller['scopes']['has']>[0]) => caller.scopes.has(scope);
    const chosen = this.parts.all.filter(({ name, scopes }) =>
      include ? include.includes(name) : isAllowed(scopes.read),
    );
    const denied = chosen.find(({ scopes }) => !isAllowed(scopes.read));
    if (denied) throw forbidden(`The key lacks the scope ${denied.scopes.read}.`);
    const parts: Opened[] = [];
    for (const part of chosen) parts.push(await part.open(session));
    const count = parts.reduce((sum, part) => sum + part.count, 1);
    if (asDocument && count > MOST_IN_DOCUMENT) throw useNdjson(count);
    const manifest: Manifest = {
      ...{ format: FORMAT, version: VERSION, exported_at: new Date().toISOString() },
      ...{ session_id: session.id, include: chosen.map(({ name }) => name) },
    };
    return { session, manifest, parts, caller };
  }

  /** Its lines, some at a time. It breaks off without an end line when the session is deleted meanwhile, or the caller may not read it any more. */
  async *lines(opened: Export): AsyncGenerator<string> {
    const tally = new Tally();
    const text = `${JSON.stringify(opened.manifest)}\n`;
    tally.digestAll(text);
    yield text;
    for await (const page of this.records(opened)) yield this.page(page, tally);
    yield `${JSON.stringify(tally.end())}\n`;
  }

  /** The same as one document: the records stand in a list, the end beside it. */
  async *document(opened: Export): AsyncGenerator<string> {
    const tally = new Tally();
    const head = JSON.stringify(opened.manifest);
    tally.digestAll(`${head}\n`);
    yield `${head.slice(0, -1)},"records":[`;
    let between = '\n';
    for await (const page of this.records(opened)) {
      if (page.length === 0) continue;
      yield between + this.page(page, tally).slice(0, -1).replaceAll('\n', ',\n');
      between = ',\n';
    }
    const { counts, sha256 } = tally.end();
    yield `\n],${JSON.stringify({ counts, sha256 }).slice(1)}\n`;
  }

  private async *records({ session, manifest, parts, caller }: Export): AsyncGenerator<object[]> {
    const along = {
      messages: manifest.include.includes('messages'),
      checkpoints: manifest.include.includes('checkpoints'),
    };
    yield [toRecord(session, along)];
    for (const part of parts)
      for await (const page of part.pages()) {
        await this.sessions.checkReadable(session.key, caller);
        yield page;
      }
    await this.sessions.checkReadable(session.key, caller);
  }

  private page(records: object[], tally: Tally): string {
    let text = '';
    for (const record of records) {
      const line = JSON.stringify(record);
      if (line.length > LINE_BYTES / 4 && Buffer.byteLength(line) > LINE_BYTES)
        throw new Error(`a record of ${line.length} characters is longer than an import takes`);
      tally.count((record as { type: string }).type);
      text += `${line}\n`;
    }
    tally.digestAll(text);
    return text;
  }
}

const useNdjson = (count: number) =>
  new DomainError(
    'too-large',
    'use_ndjson',
    `${count} records are too many for one document, which has at most ${MOST_IN_DOCUMENT}: ask for ${NDJSON}.`,
  );
