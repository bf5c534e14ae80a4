import type { OperationSpec } from './operation.js';

const TEXT = { schema: { type: 'string' } };

/** What an answer carries beside its body. */
export const headersOfAnswer = (spec: OperationSpec, status: string) => ({
  'X-Request-ID': TEXT,
  ...(spec.versioned && status !== '204' && { ETag: TEXT }),
  ...((spec.isJob || (spec.located && status === '201')) && { Location: TEXT }),
  ...(spec.isJob && { 'Preference-Applied': TEXT }),
  ...(spec.idempotent && { 'Idempotency-Replayed': TEXT }),
  ...(status === '503' && { 'Retry-After': TEXT }),
});

export const headersOfRefusal = (status: string, codes: string[]) => ({
  'X-Request-ID': TEXT,
  ...(status === '401' && { 'WWW-Authenticate': TEXT }),
  ...((status === '503' || status === '429' || codes.includes('session_busy')) && { 'Retry-After': TEXT }),
  ...(status === '429' && { RateLimit: TEXT, 'RateLimit-Policy': TEXT }),
});

/** What a request may carry. */
export function headersOfRequest(spec: OperationSpec): object[] {
  const header = (name: string, description: string, schema: object) => ({
    name,
    in: 'header',
    required: false,
    description,
    schema: { type: 'string', ...schema },
  });
  return [
    ...(spec.idempotent
      ? [
          header(
            'Idempotency-Key',
            'the same key with the same body has its effect once; kept at least 24 h; messages with a `message_id` of their own are known by that instead',
            { maxLength: 255 },
          ),
        ]
      : []),
    ...(spec.alsoEvents
      ? [header('Last-Event-ID', 'of the last event seen: the stream goes on after it', { maxLength: 4096 })]
      : []),
    ...(spec.isJob
      ? [
          header(
            'Prefer',
            '`wait=10`: answer when the job has ended, or after so many seconds, at most 60',
            {},
          ),
        ]
      : []),
    ...(spec.versioned === 'write'
      ? [header('If-Match', 'the ETag that was read; 412 when it changed since', {})]
      : []),
  ];
}
