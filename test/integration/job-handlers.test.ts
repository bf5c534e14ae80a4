import { AppModule } from '../../src/app.module.js';
import { StartupError } from '../../src/common/startup-error.js';
import { type Handler, JobHandler } from '../../src/jobs/job-handler.js';
import { JOB_KINDS, type JobKind } from '../../src/jobs/kinds.js';
import { startApp } from '../setup/app.js';
import { EFFECTS, EffectsHandler, withRooms } from '../setup/job-rooms.js';

@JobHandler(EFFECTS)
class Second implements Handler {
  run = async () => null;
}

@JobHandler('unheard-of' as JobKind)
class Stranger implements Handler {
  run = async () => null;
}

const starting = (kinds: string[], ...handlers: Parameters<typeof withRooms>[1][]) =>
  startApp({}, undefined, (config, log, url) =>
    withRooms(
      AppModule.forRoot(config, log, url, {
        ...JOB_KINDS,
        ...Object.fromEntries(kinds.map((kind) => [kind, { about: kind }])),
      }),
      ...handlers,
    ),
  );

test.each([
  ['a kind without a handler', [EFFECTS, 'idle'], [EffectsHandler], /kind idle have no handler/],
  ['a kind with two', [EFFECTS], [EffectsHandler, Second], /kind effects have two handlers/],
  ['a handler of no kind', [EFFECTS], [EffectsHandler, Stranger], /kind unheard-of .* not in JOB_KINDS/],
] as const)('%s stops the start', async (_, kinds, handlers, message) => {
  const refused = await starting([...kinds], ...handlers).then(
    () => null,
    (error: unknown) => error,
  );
  expect(refused).toBeInstanceOf(StartupError);
  expect((refused as Error).message).toMatch(message);
});

test('a handler for each kind does not', async () => {
  const app = await starting([EFFECTS], EffectsHandler);
  await app.close();
});
