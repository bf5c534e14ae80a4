import { pipeline, type Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import { RouteConfig } from '@nestjs/platform-fastify';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { DomainError } from '../common/errors.js';

/** A body that is read as it comes, unpacked: of any size, and only as fast as it is asked for. */
export interface StreamedBody {
  mediaType: string;
  /** @throws DomainError when it does not come whole, too slowly, or grows out of all proportion */
  bytes: AsyncIterable<Buffer>;
  /** Takes what is still under way, for a while: whoever only sends would miss the answer else. False: there is more. */
  drain(): Promise<boolean>;
  /** Waits for no more of it: whoever reads it is told that it was cut off. */
  abort(): void;
}

/** A media type that Fastify is told instead of the real one, so that it does not gather the body. */
const STREAMED = 'application/vnd.session-service.streamed';

/** Milliseconds, and bytes, that the rest of a refused body is taken for. */
const DRAIN = { ms: 10_000, bytes: 256 * 1024 * 1024 };
/** Whoever sends less than so many bytes a second, over all the time that was waited for him, holds a connection for nothing. */
const PACE = { afterMs: 60_000, bytesPerSecond: 1024 };
/** What unpacks to so many times its size is made to fill memory or disk. */
const BOMB = { times: 200, above: 16 * 1024 * 1024 };

const GZIP = 'application/gzip';

/** Declares that a route reads its body itself, of these media types; no limit of size holds for it. */
export const Streams = (...mediaTypes: string[]) => RouteConfig({ streams: [...mediaTypes, GZIP] });

/** Lets the bodies of such routes through. */
export function streamBodies(fastify: FastifyInstance): void {
  fastify.addHook('preParsing', (request, _reply, payload, done) => {
    if (streamsOf(request)?.includes(mediaTypeOf(request))) request.headers = { 'content-type': STREAMED };
    done(null, payload);
  });
  fastify.addContentTypeParser(STREAMED, (request, payload, done) =>
    streamsOf(request) ? done(null, payload) : done(unsupported()),
  );
}

/** The body, as a parameter of such a route. */
export const Streamed = createParamDecorator((_: unknown, context: ExecutionContext): StreamedBody => {
  const request = context.switchToHttp().getRequest<FastifyRequest>();
  const packed = packedBy(request);
  const source = (request.body ?? request.raw) as Readable;
  return {
    mediaType: mediaTypeOf(request) === GZIP ? '' : mediaTypeOf(request),
    bytes: packed ? unpacked(source) : received(source),
    drain: () => drained(source),
    abort: () => void source.destroy(new Error('not waited for')),
  };
});

const streamsOf = ({ routeOptions }: FastifyRequest) =>
  (routeOptions.config as { streams?: string[] }).streams;

const mediaTypeOf = ({ raw }: FastifyRequest) =>
  (raw.headers['content-type'] ?? '').split(';', 1)[0]!.trim().toLowerCase();

const unsupported = () => Object.assign(new Error('this body is not read here'), { statusCode: 415 });

/** @throws DomainError for a packing that is not known */
function packedBy(request: FastifyRequest): boolean {
  const encoding = (request.raw.headers['content-encoding'] ?? 'identity').trim().toLowerCase();
  if (encoding !== 'identity' && encoding !== 'gzip' && encoding !== 'x-gzip')
    throw new DomainError(
      'unsupported-media',
      'unsupported_media_type',
      'A body may be packed by gzip only.',
    );
  return encoding !== 'identity' || mediaTypeOf(request) === GZIP;
}

async function* received(source: Readable): AsyncGenerator<Buffer> {
  let bytes = 0;
  let waitedMs = 0;
  let since = Date.now();
  try {
    for await (const chunk of source.iterator({ destroyOnReturn: false })) {
      bytes += chunk.length;
      waitedMs += Date.now() - since;
      if (waitedMs > PACE.afterMs && (bytes / waitedMs) * 1000 < PACE.bytesPerSecond) throw tooSlow();
      yield chunk;
      since = Date.now();
    }
  } catch (error) {
    throw error instanceof DomainError ? error : cutOff(error);
  }
}

async function* unpacked(source: Readable): AsyncGenerator<Buffer> {
  let taken = 0;
  let given = 0;
  async function* counted() {
    for await (const chunk of received(source)) {
      taken += chunk.length;
      yield chunk;
    }
  }
  const gunzip = createGunzip();
  pipeline(counted, gunzip, () => undefined);
  try {
    for await (const chunk of gunzip) {
      given += chunk.length;
      if (given > BOMB.above && given > taken * BOMB.times) throw bomb();
      yield chunk;
    }
  } catch (error) {
    throw error instanceof DomainError ? error : notGzip(error);
  } finally {
    gunzip.destroy();
  }
}

async function drained(source: Readable): Promise<boolean> {
  if (source.readableEnded || source.destroyed) return true;
  let bytes = 0;
  await new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, DRAIN.ms);
    const end = () => {
      clearTimeout(timer);
      resolve();
    };
    source.once('end', end).once('close', end).once('error', end);
    source.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > DRAIN.bytes) end();
    });
    source.resume();
  });
  source.pause();
  return source.readableEnded;
}

const tooSlow = () =>
  new DomainError('malformed', 'upload_too_slow', 'The body came too slowly, and is not waited for.');
const cutOff = (cause: unknown) =>
  new DomainError('malformed', 'upload_cut_off', 'The body ended before its time.', { cause });
const bomb = () =>
  new DomainError('too-large', 'too_large', `The body unpacks to more than ${BOMB.times} times its size.`);
const notGzip = (cause: unknown) =>
  new DomainError('malformed', 'malformed_request', 'The body is not whole gzip.', { cause });
