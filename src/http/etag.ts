import type { FastifyReply } from 'fastify';
import { invalid } from '../common/errors.js';
import type { Allowed } from '../common/version.js';

/** Answers the row, with its version as entity tag. */
export function tagged<Row extends { version: number }>(reply: FastifyReply, row: Row): Row {
  reply.header('etag', `"${row.version}"`);
  return row;
}

/**
 * The versions an `If-Match` header allows; null without one. A weak tag is read, and matches none.
 * @throws DomainError `invalid` when the header is none
 */
export function ifMatch(header: string | undefined): Allowed {
  if (header === undefined) return null;
  if (header.trim() === '*') return ['*'];
  const tags = header
    .split(',')
    .map((tag) => /^(?:(W\/)?)"([^"]*)"$/.exec(tag.trim()))
    .map((tag) => tag && `${tag[1] ?? ''}${tag[2]}`);
  if (tags.some((tag) => tag === null)) {
    throw invalid([{ pointer: 'If-Match', detail: 'give an ETag such as "3", or *' }]);
  }
  return tags as string[];
}
