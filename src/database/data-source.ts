import pg from 'pg';
import type { DataSourceOptions } from 'typeorm';
import { InitialSchema1763683200000 } from '../../migrations/1763683200000-initial-schema.js';
import { Lifecycle1763769600000 } from '../../migrations/1763769600000-lifecycle.js';
import { ServiceTotals1763856000000 } from '../../migrations/1763856000000-service-totals.js';
import { EventClock1763942400000 } from '../../migrations/1763942400000-event-clock.js';
import { Memory1764028800000 } from '../../migrations/1764028800000-memory.js';
import { Fork1764115200000 } from '../../migrations/1764115200000-fork.js';
import { Search1764201600000 } from '../../migrations/1764201600000-search.js';
import { Context1764288000000 } from '../../migrations/1764288000000-context.js';
import { Vectors1764374400000 } from '../../migrations/1764374400000-vectors.js';
import { Jobs1764460800000 } from '../../migrations/1764460800000-jobs.js';
import { Collections1764547200000 } from '../../migrations/1764547200000-collections.js';
import { Embeddings1764633600000 } from '../../migrations/1764633600000-embeddings.js';
import { ModelSummaries1764720000000 } from '../../migrations/1764720000000-model-summaries.js';
import { BusySessions1764806400000 } from '../../migrations/1764806400000-busy-sessions.js';
import { Schedules1764892800000 } from '../../migrations/1764892800000-schedules.js';
import { WaitingEmbeddings1764979200000 } from '../../migrations/1764979200000-waiting-embeddings.js';
import { Sharing1765065600000 } from '../../migrations/1765065600000-sharing.js';
import { SessionStats1765152000000 } from '../../migrations/1765152000000-session-stats.js';
import { Retention1765238400000 } from '../../migrations/1765238400000-retention.js';
import { DueOfAPlace1765324800000 } from '../../migrations/1765324800000-due-of-a-place.js';
import { EventStreams1765328400000 } from '../../migrations/1765328400000-event-streams.js';
import { Erasure1765411200000 } from '../../migrations/1765411200000-erasure.js';
import { OriginsByBytes1765497600000 } from '../../migrations/1765497600000-origins-by-bytes.js';
import { withOption } from './address.js';

const INT8 = 20;
const NUMERIC = 1700;
const TIMESTAMPTZ = 1184;

let last = { text: '', time: new Date(0) };
const parseTime = pg.types.getTypeParser(TIMESTAMPTZ);

/** Rows written together have the same time. */
function timeOf(text: string): Date {
  if (text !== last.text) last = { text, time: parseTime(text) as Date };
  return last.time;
}

/** Counters stay below 2^53 and money is a JSON number, so both are read as numbers. */
const types = {
  getTypeParser: (oid: number, format?: 'text' | 'binary') => {
    if (oid === INT8 || oid === NUMERIC) return Number;
    return oid === TIMESTAMPTZ ? timeOf : pg.types.getTypeParser(oid, format);
  },
};

/** In the order of their making; TypeORM keeps what has run in the table `migrations`. */
const MIGRATIONS = [
  InitialSchema1763683200000,
  Lifecycle1763769600000,
  ServiceTotals1763856000000,
  EventClock1763942400000,
  Memory1764028800000,
  Fork1764115200000,
  Search1764201600000,
  Context1764288000000,
  Vectors1764374400000,
  Jobs1764460800000,
  Collections1764547200000,
  Embeddings1764633600000,
  ModelSummaries1764720000000,
  BusySessions1764806400000,
  Schedules1764892800000,
  WaitingEmbeddings1764979200000,
  Sharing1765065600000,
  SessionStats1765152000000,
  Retention1765238400000,
  DueOfAPlace1765324800000,
  EventStreams1765328400000,
  Erasure1765411200000,
  OriginsByBytes1765497600000,
];

/**
 * How the service reaches PostgreSQL. Statements end after 30 s, and no transaction idles longer. None is compiled: that
 * takes longer than most of them.
 */
export const dataSourceOptions = (url: string, poolSize: number): DataSourceOptions => ({
  type: 'postgres',
  url: withOption(url, '-c jit=off'),
  poolSize,
  connectTimeoutMS: 5_000,
  applicationName: 'session-service',
  migrations: MIGRATIONS,
  migrationsTransactionMode: 'all',
  installExtensions: false,
  uuidExtension: 'pgcrypto', // says how ids are made, gen_random_uuid(): PostgreSQL has it without the extension
  logging: false,
  extra: {
    types,
    statement_timeout: 30_000,
    idle_in_transaction_session_timeout: 30_000,
    keepAlive: true,
  },
});
