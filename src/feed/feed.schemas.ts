import { z } from 'zod';
import type { Event } from '../events/event.entity.js';
import { pageFields } from '../http/paging.js';
import { pageQuery, timestamp } from '../http/schemas.js';

const eventView = z
  .strictObject({
    event_id: z.uuid(),
    event_type: z.string(),
    aggregate_type: z.enum(['session', 'user']),
    aggregate_id: z.string(),
    seq: z.int().min(1).meta({ description: 'without gaps in its aggregate' }),
    payload: z
      .record(z.string(), z.unknown())
      .meta({ description: 'ids, numbers and names of fields, never content' }),
    timestamp,
  })
  .meta({
    id: 'Event',
    example: {
      event_id: '4b3c1f0e-6e5b-4a3c-8d1a-1f2e3d4c5b6a',
      event_type: 'message.appended',
      aggregate_type: 'session',
      aggregate_id: 'support-4711',
      seq: 2,
      payload: { from_seq: 1, to_seq: 2 },
      timestamp: '2026-01-31T12:00:00.250Z',
    },
  });

export const sessionEventsPage = z
  .strictObject({ events: z.array(eventView), ...pageFields })
  .meta({ id: 'SessionEventsPage' });

export const eventsPage = z
  .strictObject({
    events: z.array(eventView),
    ...pageFields,
    position: z.string().meta({ description: 'where to go on later, by `after`; also at the end' }),
  })
  .meta({ id: 'EventsPage' });

const after = z.string().max(4096).optional();

export const sessionEventsQuery = z.strictObject({
  ...pageQuery(50, 200),
  after: after.describe('seq of the last event seen'),
});
export const eventsQuery = z.strictObject({
  ...pageQuery(50, 200),
  after: after.describe('`position` of an answer before'),
});
export type EventsQuery = z.output<typeof eventsQuery>;

export type EventRow = Event & { aggregate_type: 'session' | 'user'; aggregate_id: string; found: number };

/** An event as the API shows it. */
export const toView = (row: EventRow) => ({
  event_id: row.event_id,
  event_type: row.event_type,
  aggregate_type: row.aggregate_type,
  aggregate_id: row.aggregate_id,
  seq: row.seq,
  payload: row.payload,
  timestamp: row.created_at.toISOString(),
});
