import { Readable } from 'node:stream';
import { Controller, Get, Headers, Param, Query, Res } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import { z } from 'zod';
import { STORE_DOWN } from '../collections/collections.schemas.js';
import type { Caller } from '../common/caller.js';
import { CurrentCaller } from '../http/caller.guard.js';
import { Operation } from '../http/operation.js';
import { sessionId } from '../sessions/sessions.schemas.js';
import { ExportService } from './export.service.js';
import { exportDocument, NDJSON } from './format.js';
import { type ExportQuery, exportQuery } from './transfer.schemas.js';

@ApiTags('Sessions')
@Controller('sessions/:session_id/export')
export class ExportController {
  constructor(private readonly exports: ExportService) {}

  @Get()
  @Operation({
    id: 'exportSession',
    summary: 'Take a session out, with all that is in it',
    description:
      'A stream of lines: a manifest, a record each, an end line with counts and a SHA-256; without that line it is not ' +
      'whole. With `Accept: application/json` the same as one document of at most 10,000 records. docs/export-format.md tells all of them.',
    scope: 'sessions:read',
    permission: 'read',
    answers: { 200: z.string() },
    refusals: { 413: ['use_ndjson'], 503: STORE_DOWN },
    mediaType: NDJSON,
    alsoJson: exportDocument,
    example: `{"format":"session-service/export","version":1,"exported_at":"2026-01-31T12:00:00.000Z","session_id":"support-4711","include":["messages"]}\n`,
  })
  async export(
    @Param('session_id', { schema: sessionId }) id: string,
    @Query({ schema: exportQuery }) { include }: ExportQuery,
    @Headers('accept') accept: string | undefined,
    @CurrentCaller() caller: Caller,
    @Res({ passthrough: true }) reply: FastifyReply,
  ) {
    const asDocument = wantsDocument(accept ?? '');
    const opened = await this.exports.open(id, include ?? null, asDocument, caller);
    reply.type(asDocument ? 'application/json; charset=utf-8' : NDJSON);
    const text = asDocument ? this.exports.document(opened) : this.exports.lines(opened);
    return Readable.from(text, { objectMode: false });
  }
}

/** Lines are what is sent unless JSON is named, and they are not. */
const wantsDocument = (accept: string) => accept.includes('application/json') && !accept.includes(NDJSON);
