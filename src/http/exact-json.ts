import type { FastifyReply } from 'fastify';

/** A number that is answered with all its digits: a sum of money has more than a double can hold. */
export class Exact {
  /** @param digits as PostgreSQL writes a `numeric` */
  constructor(private readonly digits: string) {}

  /** No text of ours has a NUL. */
  toJSON(): string {
    return `\0${this.digits}`;
  }
}

/** Lets an answer have numbers that are `Exact`. */
export function exactly<Body>(reply: FastifyReply, body: Body): Body {
  reply.header('content-type', 'application/json; charset=utf-8').serializer(exactJson);
  return body;
}

export const exactJson = (value: unknown): string =>
  JSON.stringify(value).replace(/"\\u0000(-?\d+(?:\.\d+)?)"/g, '$1');
