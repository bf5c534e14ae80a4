import { type Json, parseJson } from '../common/json.js';
import { AROUND } from './format.js';
import { Gathered } from './gathered.js';
import { badExport, tooLong } from './refusals.js';

const [QUOTE, BACKSLASH, COMMA] = ['"', '\\', ','].map((sign) => sign.charCodeAt(0));
const OPENING = new Set(['[', '{'].map((sign) => sign.charCodeAt(0)));
const CLOSING = new Set([']', '}'].map((sign) => sign.charCodeAt(0)));

const SPACE = 0x20;
const [OPEN, CLOSE] = [Buffer.from('{'), Buffer.from(']}')];

/** Characters in which the name of the records stands before them. */
const LAST = 64;
const RECORDS = /(?<!\\)"records"\s*:\s*\[$/;

/**
 * Reads a document as the lines that it is made of, without holding it: what stands before the records, each of
 * them, what stands behind. Each is written anew, so that spaces between make no difference to the digest.
 */
export async function* linesOfDocument(source: AsyncIterable<Buffer>, limit: number): AsyncGenerator<Buffer> {
  const cutter = new Cutter(limit);
  for await (const chunk of source) yield* cutter.take(chunk);
  yield cutter.end();
}

/** Where a document is: before the list of records, in it, behind it. */
type Place = 'head' | 'records' | 'tail';

class Cutter {
  private place: Place = 'head';
  private depth = 0;
  private isText = false;
  private isEscaped = false;
  private readonly pieces = new Gathered();
  private hasRecords = false;
  /** of the head: what is looked at for the beginning of the records */
  private last = '';

  constructor(private readonly limit: number) {}

  *take(chunk: Buffer): Generator<Buffer> {
    let from = 0;
    for (let at = 0; at < chunk.length; at++) {
      const cut = this.step(chunk[at]!);
      if (!cut) continue;
      if (cut === 'opening') {
        this.keep(chunk.subarray(from, at + 1));
        if (this.beginsRecords()) yield this.manifest();
      } else {
        this.keep(chunk.subarray(from, at));
        const text = this.taken();
        if (text.some((byte) => byte > SPACE)) yield lineOf(text, (record) => record);
        else if (cut === 'comma' || this.hasRecords) throw badExport('A record is missing behind a comma.');
        if (cut === 'closing') this.place = 'tail';
        this.hasRecords = true;
      }
      from = at + 1;
    }
    this.keep(chunk.subarray(from));
  }

  end(): Buffer {
    const text = this.taken();
    const comma = text.indexOf(COMMA!);
    if (this.place !== 'tail' || comma < 0) throw badExport('The document ends before its end.');
    const rest = Buffer.concat([text.subarray(0, comma), OPEN, text.subarray(comma + 1)]);
    return lineOf(rest, (end) => ({ type: 'end', ...end }));
  }

  /** What a byte ends, or may begin; null: nothing. */
  private step(byte: number): 'opening' | 'comma' | 'closing' | null {
    if (this.isText) {
      if (this.isEscaped) this.isEscaped = false;
      else if (byte === BACKSLASH) this.isEscaped = true;
      else if (byte === QUOTE) this.isText = false;
      return null;
    }
    if (byte === QUOTE) this.isText = true;
    else if (OPENING.has(byte)) return ++this.depth === 2 && this.place === 'head' ? 'opening' : null;
    else if (CLOSING.has(byte)) return --this.depth === 1 && this.place === 'records' ? 'closing' : null;
    else if (byte === COMMA && this.depth === 2 && this.place === 'records') return 'comma';
    return null;
  }

  private beginsRecords(): boolean {
    if (!RECORDS.test(this.last)) return false;
    this.place = 'records';
    return true;
  }

  private manifest(): Buffer {
    return lineOf(Buffer.concat([this.taken(), CLOSE]), ({ records: _, ...manifest }) => manifest);
  }

  private keep(piece: Buffer): void {
    const limit = this.place === 'records' ? this.limit : AROUND;
    if (this.pieces.length + piece.length > limit) throw tooLong(limit);
    if (piece.length === 0) return;
    this.pieces.add(piece);
    if (this.place === 'head')
      this.last = (this.last + piece.toString('latin1', Math.max(0, piece.length - LAST))).slice(-LAST);
  }

  private taken(): Buffer {
    return this.pieces.take();
  }
}

/** @throws DomainError when the text is no JSON object */
function lineOf(text: Buffer, change: (value: { [member: string]: Json }) => object): Buffer {
  const value = parseJson(text);
  if (value === null || typeof value !== 'object' || Array.isArray(value))
    throw badExport('What should be an object is none.');
  return Buffer.from(JSON.stringify(change(value)));
}
