import { busSuite } from './bus.suite.js';

describe('on PostgreSQL', () =>
  busSuite({
    environment: () => ({}),
    interrupt: async ({ database }) => {
      await database.pool.query(
        `select pg_terminate_backend(pid) from pg_stat_activity
         where datname = current_database() and application_name = 'session-service events'`,
      );
    },
  }));
