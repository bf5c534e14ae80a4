import { z } from 'zod';
import { checkSize } from '../common/json.js';
import { jsonObject, pastTime } from '../http/schemas.js';
import { METADATA_KIB } from './counters.js';
import { type Report, reported, toReport } from './model-usage.schemas.js';
import type { Counted } from './session-stats.repository.js';
import { counters } from './session-stats.schemas.js';

/** What was counted for a session, as an export carries it. */
export const countersRecord = z.strictObject({
  type: z.literal('counters'),
  counters,
  metadata: jsonObject(METADATA_KIB),
});
export type CountersRecord = z.output<typeof countersRecord>;

/** @throws DomainError `too_large` */
export const checkSizes = ({ metadata }: CountersRecord) => checkSize('/metadata', metadata, METADATA_KIB);

/** …and one report on a model; what they come to together follows from them. */
export const reportRecord = z.strictObject({
  type: z.literal('model_report'),
  n: z.int().min(1),
  ...reported,
  reported_at: pastTime,
});
export type ReportRecord = z.output<typeof reportRecord>;

export const toCountersRecord = ({ counters, metadata }: Counted) => ({
  type: 'counters',
  counters,
  metadata,
});

export const toReportRecord = (report: Report) => ({ type: 'model_report', ...toReport(report) });
