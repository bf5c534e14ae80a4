import 'reflect-metadata';
import { DataSource } from 'typeorm';
import { Member } from '../../src/access/member.entity.js';
import { Collection } from '../../src/collections/collection.entity.js';
import { StoredSummary } from '../../src/context/summary.entity.js';
import { dataSourceOptions } from '../../src/database/data-source.js';
import { migrate } from '../../src/database/migrate.js';
import { Due } from '../../src/derived/due.entity.js';
import { Event } from '../../src/events/event.entity.js';
import { EventClockRow } from '../../src/events/event-clock.entity.js';
import { StreamPosition } from '../../src/events/stream-position.entity.js';
import { User } from '../../src/events/user.entity.js';
import { IdempotencyKey } from '../../src/idempotency/idempotency-key.entity.js';
import { Job } from '../../src/jobs/job.entity.js';
import { Schedule } from '../../src/jobs/schedule.entity.js';
import { MemoryEntry, MemorySpace, MemoryVersion } from '../../src/memory/memory.entity.js';
import { Message, ToolCall } from '../../src/messages/message.entity.js';
import { MessageFold, MessageSum } from '../../src/messages/message-sums.entity.js';
import { ErasurePlace } from '../../src/retention/erasure-place.entity.js';
import { RetentionPolicy } from '../../src/retention/policy.entity.js';
import { TextVector } from '../../src/search/embedding.entity.js';
import { MemoryText, MessageText, SearchLanguageRow } from '../../src/search/text.entity.js';
import { Checkpoint } from '../../src/sessions/checkpoint.entity.js';
import { Session, SessionDetails } from '../../src/sessions/session.entity.js';
import { ModelReport, ModelUsage, SessionStats } from '../../src/stats/session-stats.entity.js';
import { ServiceTotals, SessionTotals } from '../../src/stats/totals.entity.js';
import { PointRow, SpaceRow } from '../../src/vectors/backends/postgres/space.entity.js';
import { Installation } from '../../src/vectors/installation.entity.js';
import { createDatabase, type TestDatabase } from '../setup/database.js';

const entities = [
  Session,
  SessionDetails,
  Checkpoint,
  Member,
  Message,
  ToolCall,
  MessageFold,
  MessageSum,
  Event,
  StreamPosition,
  EventClockRow,
  User,
  MemorySpace,
  MemoryEntry,
  MemoryVersion,
  Due,
  StoredSummary,
  MessageText,
  MemoryText,
  SearchLanguageRow,
  IdempotencyKey,
  Job,
  Schedule,
  SessionTotals,
  ServiceTotals,
  SessionStats,
  ModelUsage,
  ModelReport,
  SpaceRow,
  PointRow,
  Collection,
  Installation,
  TextVector,
  RetentionPolicy,
  ErasurePlace,
];

let database: TestDatabase;
let dataSource: DataSource;
beforeEach(async () => {
  database = await createDatabase();
  dataSource = await new DataSource({ ...dataSourceOptions(database.url, 4), entities }).initialize();
});
afterEach(async () => {
  await dataSource.destroy();
  await database.drop();
});

const tables = async () => {
  const { rows } = await database.pool.query(
    `select table_name, column_name, data_type, is_nullable, collation_name from information_schema.columns
     where table_schema = 'public' order by 1, 2`,
  );
  const { rows: indexes } = await database.pool.query(
    `select indexdef from pg_indexes where schemaname = 'public' order by 1`,
  );
  return { rows, indexes };
};

test('migrations go up, down and up to the same schema', async () => {
  const first = await tables();
  for (const _ of dataSource.migrations) await dataSource.undoLastMigration();
  expect((await tables()).rows.filter((row) => row.table_name !== 'migrations')).toEqual([]);
  await migrate(dataSource);
  expect(await tables()).toEqual(first);
});

test('entities and schema do not drift', async () => {
  const { upQueries } = await dataSource.driver.createSchemaBuilder().log();
  expect(upQueries.map(({ query }) => query)).toEqual([]);
});

test('every table has an entity', async () => {
  const { rows } = await tables();
  const known = dataSource.entityMetadatas.map((entity) => entity.tableName);
  expect([...new Set(rows.map((row) => row.table_name))].sort()).toEqual([...known, 'migrations'].sort());
});

test('processes that migrate at once do it once', async () => {
  for (const _ of dataSource.migrations) await dataSource.undoLastMigration();
  const others = await Promise.all(
    Array.from({ length: 4 }, () => new DataSource({ ...dataSourceOptions(database.url, 2) }).initialize()),
  );
  await Promise.all(others.map(migrate));
  const { rows } = await database.pool.query('select name from migrations');
  expect(rows).toHaveLength(dataSource.migrations.length);
  await Promise.all(others.map((other) => other.destroy()));
});

test('a schema newer than the code is refused', async () => {
  await database.pool.query(
    `insert into migrations (timestamp, name) values (9999999999999, 'FromTheFuture9999999999999')`,
  );
  await expect(migrate(dataSource)).rejects.toThrow(
    /newer than this version \(migration FromTheFuture9999999999999\)/,
  );
});
