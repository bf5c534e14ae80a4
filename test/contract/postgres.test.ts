import { createDatabase, type TestDatabase } from '../setup/database.js';
import { openPostgres } from './open-postgres.js';
import { describeVectorStore } from './vector-store.suite.js';

let database: TestDatabase | null = null;
afterAll(() => database?.drop());

describeVectorStore('postgres', async () => {
  database = await createDatabase();
  return openPostgres(database.url);
});
