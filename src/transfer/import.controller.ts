import { Controller, Post, Query, Res } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import { STORE_DOWN } from '../collections/collections.schemas.js';
import type { Caller } from '../common/caller.js';
import { inTurns } from '../common/in-turns.js';
import { CurrentCaller } from '../http/caller.guard.js';
import { made } from '../http/made.js';
import { Operation } from '../http/operation.js';
import { Streamed, type StreamedBody, Streams } from '../http/streamed-body.js';
import { toView } from '../sessions/session.view.js';
import { linesOfDocument } from './document.js';
import { EXAMPLE } from './example.js';
import { exportDocument, LINE_BYTES, NDJSON } from './format.js';
import { ImportService } from './import.service.js';
import { linesOf } from './lines.js';
import { type ImportQuery, importedView, importQuery } from './transfer.schemas.js';

const JSON_TYPE = 'application/json';

@ApiTags('Sessions')
@Controller('sessions/import')
export class ImportController {
  constructor(private readonly imports: ImportService) {}

  @Post()
  @Streams(NDJSON, JSON_TYPE)
  @Operation({
    id: 'importSession',
    summary: 'Bring a session in that was exported, here or elsewhere',
    description:
      'Of any size: BODY_LIMIT_MB does not hold for it. May be packed by gzip (`Content-Encoding: gzip`, or `application/gzip`). ' +
      'Message ids, numbers and times are kept, and who said what is taken as the export says. Nobody sees the session before all is read and its ' +
      'SHA-256 is right; when something is wrong nothing is left. No Idempotency-Key: choose the `session_id`.',
    scope: 'sessions:write',
    answers: { 201: importedView },
    refusals: {
      400: ['upload_cut_off', 'upload_too_slow'],
      409: ['session_id_taken'],
      413: ['too_large', 'vectors_too_large'],
      422: [
        ...['invalid_export', 'digest_mismatch', 'unsupported_version', 'invalid_point', 'owner_required'],
        'reserved_id',
      ],
      503: [...STORE_DOWN, 'session_given_up'],
    },
    body: {
      example: EXAMPLE,
      streams: {
        [NDJSON]: { schema: null },
        [JSON_TYPE]: { schema: exportDocument, example: EXAMPLE },
        'application/gzip': { schema: null },
      },
    },
    located: true,
    versioned: 'read',
  })
  async import(
    @Query({ schema: importQuery }) wishes: ImportQuery,
    @Streamed() body: StreamedBody,
    @CurrentCaller() caller: Caller,
    @Res({ passthrough: true }) reply: FastifyReply,
  ) {
    try {
      this.imports.check(wishes, caller);
      const cut = body.mediaType === JSON_TYPE ? linesOfDocument : linesOf;
      const { session, counts } = await this.imports.run(
        cut(inTurns(body.bytes), LINE_BYTES),
        wishes,
        caller,
        body.abort,
      );
      return { session: toView(made(reply, { status: 201, value: session, replayed: false })), counts };
    } catch (error) {
      if (!(await body.drain())) reply.header('connection', 'close');
      throw error;
    }
  }
}
