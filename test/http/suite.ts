import type { Api } from '../setup/api.js';
import { SERVICE_KEY, startApp, type TestApp } from '../setup/app.js';
import { fresh } from './support.js';

// what most suites share: imported names are bound to the value of the moment

/** The application of this file. */
export let app: TestApp;
export let service: Api;
/** A user of its own for each test. */
export let user: string;
export let api: Api;

/** Starts the application for the tests of this file. */
export function useApp(environment: NodeJS.ProcessEnv = {}): void {
  beforeAll(async () => {
    app = await startApp(environment);
    service = app.api.service(SERVICE_KEY);
  });
  afterAll(() => app.close());
  beforeEach(() => {
    user = fresh();
    api = app.api.as(user);
  });
}
