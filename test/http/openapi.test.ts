import { readFileSync, writeFileSync } from 'node:fs';
import { OpenApiDocument } from '../../src/operations/openapi-document.js';
import { startApp, type TestApp } from '../setup/app.js';

let app: TestApp;
beforeAll(async () => {
  app = await startApp();
});
afterAll(() => app.close());

test('openapi.json is what the routes say', async () => {
  const current = `${JSON.stringify(app.app.get(OpenApiDocument).value, null, 2)}\n`;
  if (process.env.UPDATE_OPENAPI) writeFileSync('openapi.json', current);
  expect(readFileSync('openapi.json', 'utf8')).toBe(current);
});
