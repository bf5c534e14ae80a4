import type { z } from 'zod';
import type { Scope } from '../common/caller.js';
import { invalid } from '../common/errors.js';
import { escapePointer } from '../common/json.js';
import type { SessionRow } from '../sessions/session.view.js';
import type { SessionRecord } from '../sessions/session-record.js';
import type { Include, Typed } from './format.js';

/** Something of a session that an export carries. Another one is a class of this shape in the list of `parts.ts`. */
export interface Part {
  readonly name: Include;
  /** what a service key needs to take it out, and to bring it in */
  readonly scopes: { read: Scope; write: Scope };
  /** types of its records */
  readonly types: readonly string[];
  /** Looks at what there is, before the first byte is sent. */
  open(session: SessionRow): Promise<Opened>;
  reader(): Reader;
}

/** What there is of a part. */
export interface Opened {
  /** about as many records as there will be */
  count: number;
  /** The records, a page of few MiB at a time, so that no more is held in memory. */
  pages(): AsyncIterable<object[]>;
}

async function* none(): AsyncGenerator<object[]> {}

/** A part of which a session has nothing. */
export const NOTHING: Opened = { count: 0, pages: none };

/** Takes the records of one import, in their order. */
export interface Reader {
  /** Checks the next record; answers what is to be written of it. @throws DomainError kind `invalid`, `too-large` */
  take(record: Typed): unknown;
  /** Writes some of what it has answered, in order, to a session that nobody sees yet. */
  write(session: number, taken: never[], seconds: number): Promise<void>;
  /** All has been taken. @throws DomainError kind `invalid` when something is missing */
  end(session: SessionRecord): void;
}

/** No record has more; what has is not looked at any further. */
const MOST_MEMBERS = 64;
/** Characters of what is told of a fault: not what was sent, once more. */
const TOLD = 200;

/** The record, if it is one. @throws DomainError kind `invalid` */
export function parsed<Schema extends z.ZodType>(schema: Schema, record: unknown): z.output<Schema> {
  if (Object.keys(Object(record)).length > MOST_MEMBERS)
    throw fault('', `has more than ${MOST_MEMBERS} members`);
  const result = schema.safeParse(record);
  if (result.success) return result.data;
  throw invalid(
    result.error.issues.slice(0, 10).map(({ path, message }) => ({
      pointer: path
        .map((member) => `/${escapePointer(String(member))}`)
        .join('')
        .slice(0, TOLD),
      detail: message.slice(0, TOLD),
    })),
  );
}

export const fault = (pointer: string, detail: string) => invalid([{ pointer, detail }]);
